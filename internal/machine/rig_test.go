package machine

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/commontrip/commontrip/store"
)

const (
	second = int64(1000)
	minute = 60 * second
	hour   = 60 * minute
)

// fataler is a *testing.T or a *rapid.T.
type fataler interface {
	Helper()
	Error(args ...any)
	Fatal(args ...any)
}

// rig drives one machine by hand: a clock that stands until it is moved, replicas that number their reports.
type rig struct {
	t      fataler
	m      Machine
	now    int64
	policy store.Policy
	seq    map[string]uint64
	maxAge time.Duration
}

func newRig(t fataler, policy store.Policy) *rig {
	t.Helper()
	if err := policy.Validate(); err != nil {
		t.Fatal(err)
	}
	return &rig{t: t, now: 1_000_000_000_000, policy: policy, seq: map[string]uint64{}, maxAge: 3 * time.Second}
}

// blank is a report of the present generation without anything in it.
func (r *rig) blank(replica string) store.Report {
	r.seq[replica]++
	return store.Report{
		Name: "tier", Policy: r.policy, Replica: replica, Seq: r.seq[replica],
		Generation: r.m.generation, MaxAge: r.maxAge,
	}
}

func (r *rig) send(report store.Report) store.Result {
	r.t.Helper()
	normal, err := report.Normalize()
	if err != nil {
		r.t.Fatal(err)
	}
	return r.m.Report(r.now, normal)
}

func (r *rig) report(replica string, runs ...store.Run) store.Result {
	r.t.Helper()
	report := r.blank(replica)
	report.Runs = runs
	result := r.send(report)
	if result.Err != nil {
		r.t.Fatal(result.Err)
	}
	return result
}

func (r *rig) claim(replica, id string, want int) store.Grant {
	r.t.Helper()
	return r.claimAs(store.Claim{Name: "tier", ID: id, Policy: r.policy, Replica: replica, Want: want})
}

func (r *rig) claimAs(c store.Claim) store.Grant {
	r.t.Helper()
	normal, err := c.Normalize()
	if err != nil {
		r.t.Fatal(err)
	}
	grant, err := r.m.Claim(r.now, normal, 7)
	if err != nil {
		r.t.Fatal(err)
	}
	return grant
}

func (r *rig) settle(replica string, l store.Lease, o store.Outcome) store.Result {
	r.t.Helper()
	normal, err := store.Settlement{Lease: l, Replica: replica, Outcome: o, Label: "probe"}.Normalize()
	if err != nil {
		r.t.Fatal(err)
	}
	return r.m.Settle(r.now, normal)
}

func (r *rig) command(c store.Command) store.Result {
	r.t.Helper()
	result, err := r.try(c)
	if err != nil {
		r.t.Fatal(err)
	}
	return result
}

func (r *rig) try(c store.Command) (store.Result, error) {
	r.t.Helper()
	c.Name = "tier"
	if c.By == "" {
		c.By = "oncall"
	}
	normal, err := c.Normalize()
	if err != nil {
		r.t.Fatal(err)
	}
	return r.m.Command(r.now, normal)
}

func (r *rig) read() store.Snapshot {
	r.t.Helper()
	snapshot, ok := r.m.Snapshot(r.now, "tier")
	if !ok {
		r.t.Fatal("the breaker is not shown")
	}
	return snapshot
}

func (r *rig) history() []store.Transition { return r.m.History(r.now, "tier", 0) }

func (r *rig) newest() store.Transition {
	r.t.Helper()
	history := r.history()
	if len(history) == 0 {
		r.t.Fatal("the history is empty")
	}
	return history[0]
}

// halfOpen trips the breaker and claims a probe once the open time is over.
func (r *rig) halfOpen(replica, id string, want int) store.Grant {
	r.t.Helper()
	if r.m.phase == absent {
		r.report(replica)
	}
	if r.read().State != store.Open {
		r.command(store.Command{Action: store.Trip})
	}
	r.now += r.read().RetryIn.Milliseconds()
	grant := r.claim(replica, id, want)
	if grant.Snapshot.State != store.HalfOpen {
		r.t.Fatal("it is", grant.Snapshot.State)
	}
	return grant
}

func (r *rig) known() store.Known {
	r.t.Helper()
	s := r.read()
	return store.Known{
		Generation: s.Generation, Rev: s.Rev, State: s.State, Reason: s.Reason, Cause: s.Cause, RetryIn: s.RetryIn,
		Openings: s.Openings, Mode: s.Mode, ModeNote: s.ModeNote, Retuned: s.Retuned, Policy: s.Policy, PolicyNote: s.PolicyNote,
	}
}

func run(o store.Outcome, n int) store.Run {
	r := store.Run{Outcome: o, Count: n}
	if o == store.Failure {
		r.Label = "timeout"
	}
	return r
}

func slowRun(o store.Outcome, n int) store.Run {
	r := run(o, n)
	r.Slow = true
	return r
}

func aged(r store.Run, ms int64) store.Run {
	r.Age = time.Duration(ms) * time.Millisecond
	return r
}

func labelled(label string, n int) store.Run {
	return store.Run{Outcome: store.Failure, Count: n, Label: label}
}

// inside is all that a machine holds, to tell whether anything changed.
func inside(m *Machine) string {
	var slots any
	if m.window != nil && m.window.times.slots != nil {
		slots = *m.window.times.slots
	}
	flat := *m
	flat.totals, flat.window, flat.labels, flat.roster, flat.probes, flat.overrides, flat.history, flat.tombstone = nil, nil, nil, nil, nil, nil, nil, nil
	flat.written, flat.made = 0, 0
	return fmt.Sprintf("%+v %+v %+v %+v %+v %+v %+v %+v %+v %+v",
		flat, m.totals, m.window, slots, m.labels, m.roster, m.probes, m.overrides, m.history, m.tombstone)
}

func equal[T comparable](tb testing.TB, what string, got, want T) {
	tb.Helper()
	if got != want {
		tb.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func isInvalid(tb testing.TB, err error) {
	tb.Helper()
	if !errors.Is(err, store.ErrInvalid) {
		tb.Errorf("got %v, want an ErrInvalid", err)
	}
}

const (
	success = store.Success
	failure = store.Failure
	ignored = store.Ignored
)
