package machine

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/commontrip/commontrip/internal/limits"
	"github.com/commontrip/commontrip/store"
)

func buried(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, store.Policy{})
	r.report("web-1", run(failure, 5))
	r.command(store.Command{Action: store.ForceOpen})
	r.now += second
	r.m.Remove(r.now)
	return r
}

func (r *rig) shown() bool {
	_, snapshot := r.m.Snapshot(r.now, "tier")
	_, version := r.m.Version(r.now, "tier")
	if snapshot != version {
		r.t.Error("Snapshot and Version do not agree on whether it is shown")
	}
	if !snapshot && len(r.history())+len(r.m.Roster(r.now)) > 0 {
		r.t.Error("a hidden name has a history or a roster")
	}
	return snapshot
}

func TestARemovedBreakerIsNumbersOnly(t *testing.T) {
	r := buried(t)
	equal(t, "shown", r.shown(), false)
	removed := r.now
	r.now += second
	got := r.report("web-2").Snapshot
	want := store.Snapshot{
		Name: "tier", Generation: uint64(removed), Rev: uint64(removed), Since: time.UnixMilli(removed).UTC(), Age: time.Second,
		Policy: store.Policy{}.WithDefaults(),
	}
	equal(t, "answer", fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want))
	equal(t, "shown after a sign of life", r.shown(), false)
	grant := r.claim("web-2", "c1", 1)
	equal(t, "claim", fmt.Sprintf("%+v", grant), fmt.Sprintf("%+v", store.Grant{Snapshot: want}))
	want.Policy = store.Policy{}
	settled := r.settle("web-2", store.Lease{Name: "tier", ID: "1.1"}, success).Snapshot
	equal(t, "settle", fmt.Sprintf("%+v", settled), fmt.Sprintf("%+v", want))
}

func TestATombstoneIsUnknownToCommandsAndRemove(t *testing.T) {
	r := buried(t)
	before := inside(&r.m)
	r.now += second
	if _, err := r.try(store.Command{Action: store.Reset}); !errors.Is(err, store.ErrUnknown) {
		t.Errorf("got %v, want ErrUnknown", err)
	}
	r.m.Remove(r.now)
	equal(t, "inside", inside(&r.m), before)
}

func TestOutcomesEndATombstone(t *testing.T) {
	for _, c := range []struct {
		name string
		run  store.Run
		late uint64
	}{
		{"a success", run(success, 1), 1},
		{"a late one", aged(run(success, 1), 9000), 1},
		{"an ignored one", run(ignored, 1), 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := buried(t)
			grave := r.m.generation
			r.now += second
			got := r.report("web-1", c.run).Snapshot
			equal(t, "shown", r.shown(), true)
			equal(t, "generation", got.Generation, uint64(r.now))
			equal(t, "rev", got.Rev, uint64(r.now))
			equal(t, "above the grave's", got.Generation > grave, true)
			equal(t, "since", got.Since, time.UnixMilli(r.now).UTC())
			equal(t, "they were admitted in an older generation", got.Totals, store.Totals{Late: c.late})
			equal(t, "entries", len(r.history()), 0)
			equal(t, "replicas", got.Replicas, 1)
		})
	}
	t.Run("but not a repeat", func(t *testing.T) {
		r := buried(t)
		report := r.blank("web-1")
		report.Seq, report.Runs = 0, []store.Run{run(success, 1)}
		r.send(report)
		equal(t, "shown", r.shown(), false)
	})
}

func TestAKnownAtOrBelowATombstoneMovesNothing(t *testing.T) {
	r := buried(t)
	before := r.m
	report := r.blank("web-1")
	report.Known = store.Known{Generation: before.generation, Rev: before.rev, State: store.Open, RetryIn: time.Minute}
	equal(t, "state", r.send(report).Snapshot.State, store.Closed)
	equal(t, "inside", inside(&r.m), inside(&before))
}

func TestAKnownAboveATombstoneRepairsItHidden(t *testing.T) {
	r := buried(t)
	grave := r.m
	removed := r.now
	r.now += second
	report := r.blank("web-2")
	report.Known = store.Known{Generation: grave.generation + 1, State: store.Open, RetryIn: time.Minute, Openings: 1}
	got := r.send(report).Snapshot
	equal(t, "state", got.State, store.Open)
	equal(t, "rev is still the grave's", got.Rev, grave.rev)
	equal(t, "shown", r.shown(), false)
	equal(t, "it has a roster", got.Replicas, 1)
	r.now += minute
	probe := r.claim("web-2", "c1", 1)
	equal(t, "it leases", len(probe.Leases), 1)
	equal(t, "successes", r.settle("web-2", probe.Leases[0], success).Snapshot.ProbeSuccesses, 1)

	before := got
	got = r.report("web-2", run(success, 1)).Snapshot
	equal(t, "shown", r.shown(), true)
	equal(t, "what it knew stays", got.Generation, probe.Snapshot.Generation)
	equal(t, "successes stay", got.ProbeSuccesses, 1)
	equal(t, "the number that nobody raised grows", got.Rev, uint64(r.now))
	equal(t, "since moved with the generation alone", before.Since.UnixMilli() > removed, true)
}

func TestAKnownRevAboveATombstone(t *testing.T) {
	r := buried(t)
	grave := r.m
	removed := r.now
	r.now += second
	report := r.blank("web-2")
	report.Known = store.Known{Rev: grave.rev + 1, Mode: store.ForcedOpen, ModeNote: store.Note{By: "oncall"}}
	got := r.send(report).Snapshot
	equal(t, "mode", got.Mode, store.ForcedOpen)
	equal(t, "since", got.Since, time.UnixMilli(removed).UTC())
	r.now += second
	report = r.blank("web-2")
	report.Runs = []store.Run{run(success, 1)}
	got = r.send(report).Snapshot
	equal(t, "generation", got.Generation, uint64(r.now))
	equal(t, "since", got.Since, time.UnixMilli(r.now).UTC())
	equal(t, "rev", got.Rev, grave.rev+1)
	equal(t, "mode", got.Mode, store.ForcedOpen)
}

func TestATombstoneIsForgottenADayAfterTheLastRequest(t *testing.T) {
	r := buried(t)
	r.now += limits.Day - 1
	equal(t, "empty, 1 ms short", r.m.Empty(r.now), false)
	r.report("web-1") // an accepted request: the day begins again
	r.now += limits.Day - 1
	equal(t, "empty after a report, 1 ms short", r.m.Empty(r.now), false)
	r.now++
	equal(t, "empty after a day", r.m.Empty(r.now), true)
	equal(t, "a new machine", r.report("web-1", run(success, 1)).Snapshot.Generation, 0)
}

// TestARefusedRequestForgetsNoTombstone: what is refused stores nothing, and the clock may step back after it.
func TestARefusedRequestForgetsNoTombstone(t *testing.T) {
	r := buried(t)
	before := inside(&r.m)
	r.now += limits.Day
	refused := r.blank("web-1")
	refused.Known.Generation = store.MaxNumber
	isInvalid(t, r.send(refused).Err)
	_, err := r.m.Claim(r.now, store.Claim{Name: "tier", ID: "c", Replica: "web-1", Want: 1, Known: refused.Known}, 0)
	isInvalid(t, err)
	if _, err := r.try(store.Command{Action: store.Lift}); !errors.Is(err, store.ErrUnknown) {
		t.Errorf("got %v, want ErrUnknown", err)
	}
	r.m.Remove(r.now)
	r.settle("web-1", store.Lease{Name: "tier", ID: "1.1"}, success)
	equal(t, "inside", inside(&r.m), before)
	r.now--
	equal(t, "it is still there", r.report("web-1").Snapshot.Generation > 0, true)
	r.now += limits.Day
	equal(t, "a claim makes a new one", r.claim("web-1", "c1", 1).Snapshot.Generation, 0)
}

func TestRemoveEndsNothing(t *testing.T) {
	r := newRig(t, store.Policy{})
	r.report("web-1")
	r.command(store.Command{Action: store.ForceOpen, For: time.Second})
	r.now += minute
	r.m.Remove(r.now)
	equal(t, "written", len(r.m.Written()), 0)
	equal(t, "generation", r.m.generation, uint64(r.now))
}

func TestSettlingOnNothingMakesNothing(t *testing.T) {
	r := newRig(t, store.Policy{})
	got := r.settle("web-1", store.Lease{Name: "tier", ID: "1.1"}, failure)
	equal(t, "answer", fmt.Sprint(got.Snapshot), fmt.Sprint(store.Snapshot{Name: "tier"}))
	equal(t, "empty", r.m.Empty(r.now), true)
}
