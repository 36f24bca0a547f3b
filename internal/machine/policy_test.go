package machine

import (
	"testing"
	"time"

	"github.com/commontrip/commontrip/store"
)

func TestTermsKeepAWholePolicy(t *testing.T) {
	for _, p := range []store.Policy{
		store.DefaultPolicy(), store.FleetPolicy(),
		{
			WindowTime: 24 * time.Hour, ConsecutiveFailures: 1_000_000, ConsecutiveFor: 24 * time.Hour, FailureRate: 0.0001,
			SlowCallRate: 0.5772, SlowCallAfter: 1, MinCalls: 1_000_000, Reporters: 16, OpenFor: 24 * time.Hour,
			OpenForMax: 24 * time.Hour, Probes: 1000, ProbeSuccesses: 1_000_000, ProbeLease: 24 * time.Hour, RampUp: 24 * time.Hour, Observe: true,
		},
		{WindowCalls: 10_000, FailureRate: 1, SlowCallRate: 0.29, SlowCallAfter: time.Millisecond},
	} {
		if err := p.Validate(); err != nil {
			t.Fatal(err)
		}
		p = p.WithDefaults()
		of := compilePolicy(&p)
		equal(t, "policy", of.policy(), p)
	}
}

func TestTheFirstPolicyIsTheFleetsUntilOneIsAnnounced(t *testing.T) {
	r := newRig(t, store.Policy{WindowCalls: 10})
	r.report("web-1")
	other := r.blank("web-2")
	other.Policy = store.Policy{WindowCalls: 20}
	got := r.send(other).Snapshot
	equal(t, "policy", got.Policy.WindowCalls, 10)
	equal(t, "conflict", got.PolicyConflict, true)
	equal(t, "rev", got.Rev, 0)

	other = r.blank("web-2")
	other.Policy, other.Announce = store.Policy{WindowCalls: 20}, true
	got = r.send(other).Snapshot
	equal(t, "announced policy", got.Policy.WindowCalls, 20)
	equal(t, "rev grew", got.Rev, uint64(r.now))
	equal(t, "conflict is cleared", got.PolicyConflict, false)
	equal(t, "entries", len(r.history()), 0)

	r.now += second
	other = r.blank("web-2")
	other.Policy, other.Announce = store.Policy{WindowCalls: 20}, true
	equal(t, "announced again, rev", r.send(other).Snapshot.Rev, uint64(r.now-second))
}

func TestARepeatAnnouncesNothing(t *testing.T) {
	r := newRig(t, store.Policy{WindowCalls: 10})
	r.report("web-1")
	repeat := r.blank("web-1")
	repeat.Seq, repeat.Announce, repeat.Policy = 1, true, store.Policy{WindowCalls: 20}
	got := r.send(repeat).Snapshot
	equal(t, "policy", got.Policy.WindowCalls, 10)
	equal(t, "conflict", got.PolicyConflict, true)
}

func TestAConflictIsShownForAMinuteAfterItWasLastReported(t *testing.T) {
	r := newRig(t, store.Policy{WindowCalls: 10})
	r.report("web-1")
	other := r.blank("web-2")
	other.Policy = store.Policy{WindowCalls: 20}
	r.send(other)
	r.now += 30 * second
	r.send(other) // a repeat counts for this
	equal(t, "in the roster", r.m.Roster(r.now)[1].Conflict, true)
	r.now += minute - 1
	equal(t, "1 ms short", r.read().PolicyConflict, true)
	r.now++
	equal(t, "a minute later", r.read().PolicyConflict, false)
}

func TestAnAnnouncementUnderARetuneWaitsBelowIt(t *testing.T) {
	r := newRig(t, store.Policy{WindowCalls: 10})
	r.report("web-1")
	rev := r.command(store.Command{Action: store.Retune, Policy: store.Policy{WindowCalls: 30}}).Snapshot.Rev
	report := r.blank("web-1")
	report.Policy, report.Announce = store.Policy{WindowCalls: 20}, true
	got := r.send(report).Snapshot
	equal(t, "policy", got.Policy.WindowCalls, 30)
	equal(t, "rev grew", got.Rev, rev+1)
	equal(t, "conflict", got.PolicyConflict, false)
	equal(t, "after", r.command(store.Command{Action: store.Restore}).Snapshot.Policy.WindowCalls, 20)
}

func TestAClaimBringsAPolicyOnlyWhereThereIsNone(t *testing.T) {
	r := newRig(t, store.Policy{WindowCalls: 10})
	got := r.claim("web-1", "c1", 1)
	equal(t, "policy", got.Snapshot.Policy.WindowCalls, 10)
	equal(t, "replicas", got.Snapshot.Replicas, 0)
	r.policy = store.Policy{WindowCalls: 20}
	got = r.claim("web-1", "c2", 1)
	equal(t, "policy stays", got.Snapshot.Policy.WindowCalls, 10)
	equal(t, "conflict", got.Snapshot.PolicyConflict, false)
}

func TestAChangedPolicyAndTheWindow(t *testing.T) {
	lax := func(p store.Policy) store.Policy { p.ConsecutiveFailures = 1000; return p }
	for _, c := range []struct {
		name     string
		from, to store.Policy
		want     store.Tally
	}{
		{"shorter keeps the newest", store.Policy{WindowCalls: 10}, store.Policy{WindowCalls: 4}, store.Tally{Calls: 4, Failures: 3, Consecutive: 3}},
		{"longer keeps all", store.Policy{WindowCalls: 10}, store.Policy{WindowCalls: 40}, store.Tally{Calls: 10, Failures: 3, Consecutive: 3}},
		{"another rule keeps all", store.Policy{WindowCalls: 10}, store.Policy{WindowCalls: 10, OpenFor: time.Second}, store.Tally{Calls: 10, Failures: 3, Consecutive: 3}},
		{"another kind empties", store.Policy{WindowCalls: 10}, store.Policy{WindowTime: time.Minute}, store.Tally{}},
		{"and back", store.Policy{WindowTime: time.Minute}, store.Policy{WindowCalls: 10}, store.Tally{}},
		{"another time empties", store.Policy{WindowTime: time.Minute}, store.Policy{WindowTime: time.Hour}, store.Tally{}},
		{"the same time keeps all", store.Policy{WindowTime: time.Minute}, store.Policy{WindowTime: time.Minute, OpenFor: time.Second}, store.Tally{Calls: 15, Failures: 3, Consecutive: 3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, lax(c.from))
			r.report("web-1", run(success, 12), run(failure, 3))
			was := r.read().Window
			made := r.command(store.Command{Action: store.Retune, Policy: lax(c.to)}).Made
			equal(t, "window", r.read().Window, c.want)
			equal(t, "labels stay", r.read().Errors[0].Count, 3)
			equal(t, "the entry's window is that before", made.Window, was)
		})
	}
}

func TestAWindowThatShrankAndGrewHoldsWhatItKept(t *testing.T) {
	r := newRig(t, store.Policy{WindowCalls: 10, FailureRate: 0.5, MinCalls: 5, Reporters: 2})
	r.report("web-1", run(failure, 2), run(success, 8))
	r.command(store.Command{Action: store.Retune, Policy: store.Policy{WindowCalls: 4, FailureRate: 0.5, MinCalls: 4, Reporters: 2}})
	r.command(store.Command{Action: store.Restore})
	equal(t, "window", r.read().Window, store.Tally{Calls: 4})
	got := r.report("web-2", run(failure, 4))
	equal(t, "web-1's failures are not counted again", got.Snapshot.State, store.Closed)
}
