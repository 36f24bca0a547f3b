package machine

import (
	"slices"
	"testing"
	"time"

	"github.com/commontrip/commontrip/internal/limits"
	"github.com/commontrip/commontrip/store"
)

func TestRules(t *testing.T) {
	streak := store.Policy{ConsecutiveFailures: 3}
	rate := store.Policy{WindowCalls: 20, FailureRate: 0.5, MinCalls: 10}
	slowness := store.Policy{WindowCalls: 20, SlowCallRate: 0.5, SlowCallAfter: time.Second, MinCalls: 10}
	for _, c := range []struct {
		name   string
		policy store.Policy
		runs   []store.Run
		want   store.Reason // "" = stays closed
	}{
		{"a streak of the length trips", streak, []store.Run{run(failure, 3)}, store.ByConsecutiveFailures},
		{"one less does not", streak, []store.Run{run(failure, 2)}, ""},
		{"a success breaks the streak", streak, []store.Run{run(failure, 2), run(success, 1), run(failure, 2)}, ""},
		{"a slow success breaks the streak", streak, []store.Run{run(failure, 2), slowRun(success, 1), run(failure, 2)}, ""},
		{"an ignored call does not break it", streak, []store.Run{run(failure, 2), run(ignored, 9), run(failure, 1)}, store.ByConsecutiveFailures},
		{"a slow failure is one of the streak", streak, []store.Run{run(failure, 2), slowRun(failure, 1)}, store.ByConsecutiveFailures},
		{"exactly at the rate trips", rate, []store.Run{run(success, 5), run(failure, 5)}, store.ByFailureRate},
		{"below the rate does not", rate, []store.Run{run(success, 6), run(failure, 5)}, ""},
		{"fewer calls than the minimum are not judged", rate, []store.Run{run(failure, 9)}, ""},
		{"a success that completes the minimum does not trip", rate, []store.Run{run(failure, 9), run(success, 1)}, ""},
		{"the adverse call after it does", rate, []store.Run{run(failure, 9), run(success, 1), run(failure, 1)}, store.ByFailureRate},
		{"a slow success that completes the minimum is adverse, and all rules are judged", rate, []store.Run{run(failure, 9), slowRun(success, 1)}, store.ByFailureRate},
		{"slow successes count for the slow-call rate", slowness, []store.Run{run(success, 5), slowRun(success, 5)}, store.BySlowCallRate},
		{"slow failures count for the slow-call rate", slowness, []store.Run{run(success, 5), slowRun(failure, 5)}, store.BySlowCallRate},
		{"failures that are not slow do not", slowness, []store.Run{run(success, 5), run(failure, 15)}, ""},
		{"a slow success is not a failure", rate, []store.Run{slowRun(success, 20)}, ""},
		{"what has left the window is not judged", rate, []store.Run{run(failure, 5), run(success, 20), run(failure, 9)}, ""},
		{
			"the streak is judged before the rate",
			store.Policy{ConsecutiveFailures: 10, FailureRate: 1, MinCalls: 10},
			[]store.Run{run(failure, 10)},
			store.ByConsecutiveFailures,
		},
		{
			"the failure rate is judged before the slow-call rate",
			store.Policy{FailureRate: 0.5, SlowCallRate: 0.5, SlowCallAfter: time.Second, MinCalls: 10},
			[]store.Run{slowRun(failure, 10)},
			store.ByFailureRate,
		},
		{
			"a rate of 0.29 is 29 of 100, not a rounding error away",
			store.Policy{FailureRate: 0.29, MinCalls: 100},
			[]store.Run{run(success, 71), run(failure, 29)},
			store.ByFailureRate,
		},
		{
			"49.5 % is not 50 %",
			store.Policy{WindowCalls: 200, FailureRate: 0.5, MinCalls: 200},
			[]store.Run{run(success, 101), run(failure, 99)},
			"",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, c.policy)
			result := r.report("web-1", c.runs...)
			if c.want == "" {
				equal(t, "state", result.Snapshot.State, store.Closed)
				if result.Made != nil {
					t.Errorf("made %+v", result.Made)
				}
				return
			}
			equal(t, "state", result.Snapshot.State, store.Open)
			equal(t, "reason", result.Snapshot.Reason, c.want)
			equal(t, "cause", result.Snapshot.Cause, "web-1")
			equal(t, "reason made", result.Made.Reason, c.want)
		})
	}
}

func TestAStreakMustLastConsecutiveFor(t *testing.T) {
	r := newRig(t, store.Policy{ConsecutiveFailures: 3, ConsecutiveFor: time.Second})
	r.report("web-1", aged(run(failure, 1), 2500)) // the store's time of arrival counts, not the age
	r.now += 999
	equal(t, "1 ms short", r.report("web-1", run(failure, 5)).Snapshot.State, store.Closed)
	r.now++
	equal(t, "exactly", r.report("web-1", run(failure, 1)).Snapshot.State, store.Open)
}

func TestAStreakIsTimedFromItsVeryFirstFailure(t *testing.T) {
	r := newRig(t, store.Policy{ConsecutiveFailures: 2, ConsecutiveFor: time.Second})
	r.report("web-1", run(failure, 50))
	r.now += second
	equal(t, "state", r.report("web-1", run(failure, 1)).Snapshot.State, store.Open)
}

func TestAStreakOfAWindowOfCallsDoesNotAge(t *testing.T) {
	r := newRig(t, store.Policy{WindowCalls: 5, ConsecutiveFailures: 20})
	for range 19 {
		r.report("web-1", run(failure, 1))
		r.now += 24 * hour
	}
	equal(t, "streak", r.read().Window.Consecutive, 19)
	equal(t, "state", r.report("web-1", run(failure, 1)).Snapshot.State, store.Open)
}

func TestAStreakOfAWindowOfTimeAges(t *testing.T) {
	r := newRig(t, store.Policy{WindowTime: 10 * time.Second, ConsecutiveFailures: 5})
	for range 19 {
		equal(t, "state", r.report("web-1", run(failure, 1)).Snapshot.State, store.Closed)
		r.now += 5 * second
	}
	equal(t, "streak", r.read().Window.Consecutive, 1)
	r.now += 10 * second
	equal(t, "streak when all have left", r.read().Window.Consecutive, 0)
}

func TestReporters(t *testing.T) {
	policy := store.Policy{WindowCalls: 20, FailureRate: 0.5, MinCalls: 10, ConsecutiveFailures: 15, Reporters: 2}
	t.Run("one replica among several does not trip the fleet", func(t *testing.T) {
		r := newRig(t, policy)
		r.report("web-2", run(success, 1))
		equal(t, "state", r.report("web-1", run(failure, 40)).Snapshot.State, store.Closed)
	})
	t.Run("a second one's failure does", func(t *testing.T) {
		r := newRig(t, policy)
		r.report("web-2", run(failure, 1))
		result := r.report("web-1", run(failure, 9))
		equal(t, "state", result.Snapshot.State, store.Open)
		if want := []string{"web-1", "web-2"}; !slices.Equal(result.Made.Witnesses, want) {
			t.Errorf("witnesses: %q", result.Made.Witnesses)
		}
	})
	t.Run("a failure that left the window bears no witness", func(t *testing.T) {
		r := newRig(t, policy)
		r.report("web-2", run(failure, 1), run(success, 20))
		equal(t, "state", r.report("web-1", run(failure, 14)).Snapshot.State, store.Closed)
	})
	t.Run("nor does one that leaves the window with this very outcome", func(t *testing.T) {
		r := newRig(t, store.Policy{WindowCalls: 10, FailureRate: 0.5, MinCalls: 10, Reporters: 2})
		r.report("web-2", run(failure, 1))
		r.report("web-1", run(failure, 5), run(success, 4))
		equal(t, "state", r.report("web-1", run(failure, 1)).Snapshot.State, store.Closed)
		equal(t, "window", r.read().Window, store.Tally{Calls: 10, Failures: 6, Consecutive: 1})
	})
	t.Run("the streak counts the replicas of the streak alone", func(t *testing.T) {
		r := newRig(t, store.Policy{WindowCalls: 100, ConsecutiveFailures: 3, Reporters: 2})
		r.report("web-2", run(failure, 2), run(success, 1))
		equal(t, "one", r.report("web-1", run(failure, 5)).Snapshot.State, store.Closed)
		equal(t, "both", r.report("web-2", run(failure, 1)).Snapshot.State, store.Open)
	})
	t.Run("the only replica that calls is enough", func(t *testing.T) {
		r := newRig(t, policy)
		r.report("web-2") // a sign of life is not an outcome
		equal(t, "state", r.report("web-1", run(failure, 10)).Snapshot.State, store.Open)
	})
	t.Run("a replica that stopped calling is no longer waited for", func(t *testing.T) {
		r := newRig(t, policy)
		r.report("web-2", run(success, 1))
		r.now += 2 * limits.SliceFor
		equal(t, "state", r.report("web-1", run(failure, 15)).Snapshot.State, store.Open)
	})
	t.Run("a repeat is not a report of outcomes", func(t *testing.T) {
		r := newRig(t, policy)
		repeat := r.blank("web-2")
		repeat.Seq, repeat.Runs = 0, []store.Run{run(success, 1)}
		r.send(repeat)
		equal(t, "state", r.report("web-1", run(failure, 10)).Snapshot.State, store.Open)
	})
	t.Run("slow calls have witnesses of their own", func(t *testing.T) {
		r := newRig(t, store.Policy{SlowCallRate: 0.5, SlowCallAfter: time.Second, MinCalls: 10, Reporters: 2})
		r.report("web-2", run(failure, 5))
		equal(t, "one slow", r.report("web-1", slowRun(success, 20)).Snapshot.State, store.Closed)
		equal(t, "both slow", r.report("web-2", slowRun(success, 1)).Snapshot.State, store.Open)
	})
	t.Run("in a window of time a witness leaves with its bucket", func(t *testing.T) {
		r := newRig(t, store.Policy{WindowTime: 10 * time.Second, FailureRate: 0.5, MinCalls: 2, Reporters: 2})
		r.report("web-2", run(failure, 1))
		r.now += 10 * second
		equal(t, "too late", r.report("web-1", run(failure, 5)).Snapshot.State, store.Closed)
		r.report("web-2", run(success, 1))
		equal(t, "in time", r.report("web-2", run(failure, 1)).Snapshot.State, store.Open)
	})
}

func TestSixteenWitnessesAreKeptAndEightShown(t *testing.T) {
	r := newRig(t, store.Policy{WindowCalls: 100, ConsecutiveFailures: 20, Reporters: 16})
	for i := range 20 {
		r.report(string(rune('a'+i)), run(failure, 1))
	}
	made := r.newest()
	equal(t, "to", made.To, store.Open)
	if want := []string{"e", "f", "g", "h", "i", "j", "k", "l"}; !slices.Equal(made.Witnesses, want) {
		t.Errorf("witnesses: %q, want %q", made.Witnesses, want)
	}
}

func TestAWitnessNeverMovesBack(t *testing.T) {
	var w witnesses
	w.touch("a", place{bucket: 5, arrival: 1})
	w.touch("a", place{bucket: 3, arrival: 2})
	equal(t, "place", w[0].place, place{bucket: 5, arrival: 1})
	w.touch("a", place{bucket: 5, arrival: 3})
	equal(t, "place", w[0].place, place{bucket: 5, arrival: 3})
}

func TestOnlyClosedIsJudged(t *testing.T) {
	r := newRig(t, store.Policy{ConsecutiveFailures: 3, Observe: true})
	tripped := r.report("web-1", run(failure, 3))
	r.now += second
	after := r.report("web-1", run(failure, 30)).Snapshot
	equal(t, "generation", after.Generation, tripped.Snapshot.Generation)
	equal(t, "window", after.Window, store.Tally{Calls: 30, Failures: 30, Consecutive: 30})
}
