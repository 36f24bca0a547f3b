package machine

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/commontrip/commontrip/store"
)

func TestAClaimOfAClosedBreakerIsNoLease(t *testing.T) {
	r := newRig(t, store.Policy{})
	grant := r.claim("web-1", "c1", 1)
	equal(t, "leases", len(grant.Leases), 0)
	equal(t, "ask again", grant.RetryIn, 0)
	equal(t, "it made a machine", r.m.Empty(r.now), false)
}

func TestAnOpenBreakerLeasesOnceItsTimeIsOver(t *testing.T) {
	r := newRig(t, store.Policy{OpenFor: time.Minute, Probes: 2, ProbeLease: 10 * time.Second})
	r.report("web-1", run(failure, 5))
	r.now += minute - 1
	refused := r.claim("web-1", "c1", 1)
	equal(t, "left", refused.RetryIn, time.Millisecond)
	equal(t, "state", refused.Snapshot.State, store.Open)
	r.now++
	equal(t, "a read moves nothing", r.read().State, store.Open)
	grant := r.claim("web-2", "c2", 5)
	equal(t, "leases", len(grant.Leases), 2)
	equal(t, "ask again", grant.RetryIn, 0)
	equal(t, "made", grant.Made.Reason, store.ByTime)
	equal(t, "cause", grant.Made.Cause, "web-2")
	equal(t, "state", grant.Snapshot.State, store.HalfOpen)
	equal(t, "probing", grant.Snapshot.Probing, 2)
	first := grant.Leases[0]
	equal(t, "lease", first, store.Lease{
		Name: "tier", ID: fmt.Sprint(grant.Snapshot.Generation, ".1"), Generation: grant.Snapshot.Generation, For: 10 * time.Second,
	})
}

func TestPlacesAreFleetWide(t *testing.T) {
	r := newRig(t, store.Policy{Probes: 3, ProbeLease: 10 * time.Second})
	equal(t, "first", len(r.halfOpen("web-1", "c1", 2).Leases), 2)
	equal(t, "second", len(r.claim("web-2", "c2", 2).Leases), 1)
	refused := r.claim("web-3", "c3", 1)
	equal(t, "third", len(refused.Leases), 0)
	equal(t, "ask again: 100 ms and a little", refused.RetryIn, 107*time.Millisecond)
	r.now += 10*second - 50
	equal(t, "or when the next lease ends", r.claim("web-3", "c4", 1).RetryIn, 50*time.Millisecond)
	r.now += 50
	equal(t, "an ended lease frees its place", len(r.claim("web-3", "c5", 9).Leases), 3)
}

func TestTheSameClaimGetsTheSameLeases(t *testing.T) {
	r := newRig(t, store.Policy{Probes: 3, ProbeLease: 10 * time.Second})
	first := r.halfOpen("web-1", "c1", 2)
	r.claim("web-2", "c2", 1)
	r.now += second
	again := r.claim("web-1", "c1", 2)
	for i := range first.Leases {
		first.Leases[i].For = 9 * time.Second
	}
	if !slices.Equal(again.Leases, first.Leases) {
		t.Errorf("got %v, want %v", again.Leases, first.Leases)
	}
	equal(t, "made", again.Made, nil)
	r.settle("web-1", first.Leases[0], ignored)
	again = r.claim("web-1", "c1", 2)
	if !slices.Equal(again.Leases, first.Leases[1:]) {
		t.Errorf("what still lives: got %v, want %v", again.Leases, first.Leases[1:])
	}
}

func TestALeaseOutlivesItsGeneration(t *testing.T) {
	r := newRig(t, store.Policy{Probes: 2, OpenFor: time.Second, ProbeLease: time.Minute})
	old := r.halfOpen("web-1", "c1", 2).Leases
	r.command(store.Command{Action: store.Trip})
	r.now += second
	refused := r.claim("web-1", "c2", 1)
	equal(t, "the old calls still run", len(refused.Leases), 0)
	equal(t, "half-open all the same", refused.Snapshot.State, store.HalfOpen)
	equal(t, "probing", refused.Snapshot.Probing, 2)
	again := r.claim("web-1", "c1", 2)
	equal(t, "the same claim has leases of the old generation", again.Leases[0].Generation, old[0].Generation)

	before := refused.Snapshot
	settled := r.settle("web-1", old[0], failure).Snapshot
	before.Probing, before.Totals.Late = 1, 1
	equal(t, "settling one frees its place and is late, no more", fmt.Sprint(settled), fmt.Sprint(before))
	equal(t, "the place", len(r.claim("web-1", "c3", 2).Leases), 1)
}

func TestARetuneToFewerProbesTakesNoneBack(t *testing.T) {
	r := newRig(t, store.Policy{Probes: 3})
	r.halfOpen("web-1", "c1", 3)
	got := r.command(store.Command{Action: store.Retune, Policy: store.Policy{Probes: 1}}).Snapshot
	equal(t, "probing", got.Probing, 3)
	equal(t, "leases", len(r.claim("web-1", "c2", 1).Leases), 0)
}

func TestNothingIsLeasedUnderAForcedMode(t *testing.T) {
	for _, c := range []struct {
		name    string
		command store.Command
		want    time.Duration
	}{
		{"forced open without end: OpenFor", store.Command{Action: store.ForceOpen}, time.Minute},
		{"forced open for a time: what is left", store.Command{Action: store.ForceOpen, For: time.Hour}, time.Hour - time.Second},
		{"forced closed", store.Command{Action: store.ForceClosed, For: time.Hour}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, store.Policy{})
			r.report("web-1", run(failure, 5))
			r.now += minute
			r.command(c.command)
			r.now += second
			grant := r.claim("web-1", "c1", 1)
			equal(t, "leases", len(grant.Leases), 0)
			equal(t, "ask again", grant.RetryIn, c.want)
			equal(t, "state", grant.Snapshot.State, store.Open)
		})
	}
}

func TestSuccessesClose(t *testing.T) {
	r := newRig(t, store.Policy{Probes: 1, ProbeSuccesses: 3})
	r.halfOpen("web-1", "c1", 1)
	for i := range 3 {
		grant := r.claim("web-1", "c1", 1)
		got := r.settle("web-1", grant.Leases[0], success)
		if i < 2 {
			equal(t, "successes", got.Snapshot.ProbeSuccesses, i+1)
			r.claim("web-1", "c1", 1)
			continue
		}
		equal(t, "state", got.Snapshot.State, store.Closed)
		equal(t, "reason", got.Made.Reason, store.ByProbeSuccesses)
		equal(t, "cause", got.Made.Cause, "web-1")
		equal(t, "calls", got.Snapshot.Totals.Calls, 3)
		equal(t, "successes of this half-open", got.Snapshot.ProbeSuccesses, 0)
		equal(t, "the backoff is not forgotten yet", got.Snapshot.Openings, 1)
	}
}

func TestAFailedProbeReopens(t *testing.T) {
	r := newRig(t, store.Policy{OpenFor: time.Second, OpenForMax: time.Minute})
	for i, want := range []time.Duration{2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second, time.Minute, time.Minute} {
		grant := r.halfOpen("web-1", fmt.Sprint(i), 1)
		got := r.settle("web-1", grant.Leases[0], failure)
		equal(t, "state", got.Snapshot.State, store.Open)
		equal(t, "reason", got.Made.Reason, store.ByProbeFailure)
		equal(t, "period", got.Snapshot.RetryIn, want)
		equal(t, "openings", got.Snapshot.Openings, i+2)
		equal(t, "errors", fmt.Sprint(got.Made.Errors), "[{probe 1}]")
		equal(t, "witnesses", fmt.Sprint(got.Made.Witnesses), "[web-1]")
	}
}

func TestTheBackoffIsForgottenAfterACloseThatLasted(t *testing.T) {
	r := newRig(t, store.Policy{OpenFor: time.Minute, OpenForMax: time.Hour, ProbeSuccesses: 1})
	r.settle("web-1", r.halfOpen("web-1", "c1", 1).Leases[0], success)
	r.now += minute - 1
	equal(t, "1 ms short", r.read().Openings, 1)
	other := *r
	r.now++
	equal(t, "read", r.read().Openings, 0)
	got := r.report("web-1", run(failure, 5)).Snapshot
	equal(t, "forgotten", got.RetryIn, time.Minute)
	equal(t, "openings", got.Openings, 1)
	r = &other
	r.m.window, r.m.labels, r.m.history = nil, nil, nil
	got = r.report("web-2", run(failure, 5)).Snapshot
	equal(t, "not forgotten", got.RetryIn, 2*time.Minute)
}

func TestOnlyTheHolderSettlesOnceAndInTime(t *testing.T) {
	r := newRig(t, store.Policy{ProbeSuccesses: 9, ProbeLease: 10 * time.Second})
	leases := r.halfOpen("web-1", "c1", 3).Leases
	unchanged := func(what string, got store.Result, want store.Snapshot) {
		t.Helper()
		want.Age = got.Snapshot.Age
		equal(t, what, fmt.Sprint(got.Snapshot), fmt.Sprint(want))
	}
	before := r.read()
	unchanged("another replica", r.settle("web-2", leases[0], failure), before)
	unknown := leases[0]
	unknown.ID = "1.1"
	unchanged("an unknown lease", r.settle("web-1", unknown, failure), before)
	other := leases[0]
	other.Generation--
	before.Probing--
	before.Totals.Late++
	unchanged("another generation: the lease goes, and its outcome is late", r.settle("web-1", other, failure), before)

	after := r.settle("web-1", leases[1], success).Snapshot
	equal(t, "successes", after.ProbeSuccesses, 1)
	unchanged("twice", r.settle("web-1", leases[1], success), after)
	r.now += 10 * second
	after.Probing = 0
	unchanged("too late", r.settle("web-1", leases[2], failure), after)
}

func TestAnIgnoredProbeFreesItsPlace(t *testing.T) {
	r := newRig(t, store.Policy{Probes: 1})
	lease := r.halfOpen("web-1", "c1", 1).Leases[0]
	got := r.settle("web-1", lease, ignored).Snapshot
	equal(t, "state", got.State, store.HalfOpen)
	equal(t, "successes", got.ProbeSuccesses, 0)
	equal(t, "totals", got.Totals, store.Totals{Ignored: 1})
	equal(t, "the place", len(r.claim("web-2", "c2", 1).Leases), 1)
}

func TestALeaseThatNobodySettlesSaysNothing(t *testing.T) {
	r := newRig(t, store.Policy{Probes: 1, ProbeLease: 10 * time.Second})
	r.halfOpen("web-1", "c1", 1)
	r.now += 10 * second
	equal(t, "probing", r.read().Probing, 0)
	equal(t, "state", r.report("web-1").Snapshot.State, store.HalfOpen)
}

func TestASlowProbeFailsIfARuleJudgesSlowCalls(t *testing.T) {
	slow := func(rate float64) store.Snapshot {
		r := newRig(t, store.Policy{ProbeSuccesses: 1, ConsecutiveFailures: 5, SlowCallAfter: time.Second, SlowCallRate: rate, MinCalls: 1})
		lease := r.halfOpen("web-1", "c1", 1).Leases[0]
		return r.m.Settle(r.now, store.Settlement{Lease: lease, Replica: "web-1", Outcome: success, Slow: true, Label: "x"}).Snapshot
	}
	equal(t, "state", slow(0.1).State, store.Open)
	equal(t, "a success has no label", len(slow(0.1).Errors), 0)
	got := slow(0)
	equal(t, "state without the rule", got.State, store.Closed)
	equal(t, "totals", got.Totals, store.Totals{Calls: 1, Slow: 1})
	equal(t, "window", got.Window, store.Tally{})
}

func TestUnderAForcedModeAProbeIsOnlyCounted(t *testing.T) {
	r := newRig(t, store.Policy{ProbeSuccesses: 1})
	leases := r.halfOpen("web-1", "c1", 2).Leases
	r.command(store.Command{Action: store.ForceOpen})
	r.settle("web-1", leases[0], success)
	got := r.settle("web-1", leases[1], failure).Snapshot
	equal(t, "state", got.State, store.HalfOpen)
	equal(t, "totals", got.Totals, store.Totals{Calls: 2, Failures: 1})
	equal(t, "probing", got.Probing, 0)
	equal(t, "successes", got.ProbeSuccesses, 0)
	equal(t, "labels", len(got.Errors), 0)
}

func TestFailedProbesFromEnoughReplicasReopen(t *testing.T) {
	policy := store.Policy{Reporters: 2, Probes: 3, ProbeLease: 10 * time.Second}
	t.Run("one is banned for a while", func(t *testing.T) {
		r := newRig(t, policy)
		got := r.settle("web-1", r.halfOpen("web-1", "c1", 1).Leases[0], failure).Snapshot
		equal(t, "state", got.State, store.HalfOpen)
		equal(t, "its place is free", got.Probing, 0)
		equal(t, "others get all", len(r.claim("web-2", "c2", 9).Leases), 3)
		equal(t, "the ban is looked at before places", r.claim("web-1", "c3", 1).RetryIn, 10*time.Second)
		r.now += 10*second - 1
		equal(t, "left", r.claim("web-1", "c4", 1).RetryIn, time.Millisecond)
		r.now++
		equal(t, "over", len(r.claim("web-1", "c5", 1).Leases), 1)
	})
	t.Run("a second one reopens", func(t *testing.T) {
		r := newRig(t, policy)
		r.settle("web-2", r.halfOpen("web-2", "c1", 1).Leases[0], failure)
		got := r.settle("web-1", r.claim("web-1", "c2", 1).Leases[0], failure)
		equal(t, "state", got.Snapshot.State, store.Open)
		equal(t, "witnesses", fmt.Sprint(got.Made.Witnesses), "[web-1 web-2]")
	})
	t.Run("leases held before the ban only prolong it", func(t *testing.T) {
		r := newRig(t, policy)
		leases := r.halfOpen("web-1", "c1", 3).Leases
		r.settle("web-1", leases[0], failure)
		r.now += second
		equal(t, "state", r.settle("web-1", leases[1], failure).Snapshot.State, store.HalfOpen)
		equal(t, "ban", r.claim("web-1", "c2", 1).RetryIn, 100*time.Millisecond*100)
	})
	t.Run("failing again after the ban reopens", func(t *testing.T) {
		r := newRig(t, policy)
		r.settle("web-1", r.halfOpen("web-1", "c1", 1).Leases[0], failure)
		r.now += 10 * second
		got := r.settle("web-1", r.claim("web-1", "c2", 1).Leases[0], failure)
		equal(t, "state", got.Snapshot.State, store.Open)
	})
	t.Run("bans end with their half-open", func(t *testing.T) {
		r := newRig(t, policy)
		r.settle("web-1", r.halfOpen("web-1", "c1", 1).Leases[0], failure)
		r.command(store.Command{Action: store.Trip, For: time.Millisecond})
		r.now++
		grant := r.claim("web-1", "c2", 1)
		equal(t, "leases", len(grant.Leases), 1)
		equal(t, "tally", r.settle("web-1", grant.Leases[0], failure).Snapshot.State, store.HalfOpen)
	})
	t.Run("the same claim is answered before the ban", func(t *testing.T) {
		r := newRig(t, policy)
		leases := r.halfOpen("web-1", "c1", 2).Leases
		r.settle("web-1", leases[0], failure)
		equal(t, "leases", len(r.claim("web-1", "c1", 2).Leases), 1)
	})
}

func TestLeaseIDsAreNeverUsedTwice(t *testing.T) {
	r := newRig(t, store.Policy{OpenFor: time.Millisecond, ProbeLease: time.Millisecond})
	seen := map[string]bool{}
	for i := range 100 {
		for _, l := range r.halfOpen("web-1", fmt.Sprint(i), 3).Leases {
			equal(t, "seen "+l.ID, seen[l.ID], false)
			seen[l.ID] = true
		}
		r.now++
	}
}
