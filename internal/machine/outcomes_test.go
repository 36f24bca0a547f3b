package machine

import (
	"fmt"
	"testing"
	"time"

	"github.com/commontrip/commontrip/internal/limits"
	"github.com/commontrip/commontrip/store"
)

func TestEachOutcomeIsCountedInOneTotal(t *testing.T) {
	lax := store.Policy{ConsecutiveFailures: 1000}
	for _, c := range []struct {
		name   string
		runs   []store.Run
		totals store.Totals
		window store.Tally
	}{
		{"successes", []store.Run{run(success, 7)}, store.Totals{Calls: 7}, store.Tally{Calls: 7}},
		{"failures", []store.Run{run(failure, 7)}, store.Totals{Calls: 7, Failures: 7}, store.Tally{Calls: 7, Failures: 7, Consecutive: 7}},
		{"slow successes", []store.Run{slowRun(success, 7)}, store.Totals{Calls: 7, Slow: 7}, store.Tally{Calls: 7, Slow: 7}},
		{"slow failures", []store.Run{slowRun(failure, 7)}, store.Totals{Calls: 7, Failures: 7, Slow: 7}, store.Tally{Calls: 7, Failures: 7, Slow: 7, Consecutive: 7}},
		{"ignored", []store.Run{run(ignored, 7)}, store.Totals{Ignored: 7}, store.Tally{}},
		{"slow, and given up", []store.Run{run(failure, 2), slowRun(ignored, 7)}, store.Totals{Calls: 9, Failures: 2, Slow: 7}, store.Tally{Calls: 9, Failures: 2, Slow: 7, Consecutive: 2}},
		{"exactly as old as allowed is not late", []store.Run{aged(run(success, 7), 3000)}, store.Totals{Calls: 7}, store.Tally{Calls: 7}},
		{"older is", []store.Run{aged(run(failure, 7), 3001)}, store.Totals{Late: 7}, store.Tally{}},
		{"late is looked at before ignored", []store.Run{aged(run(ignored, 7), 3001)}, store.Totals{Late: 7}, store.Tally{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, lax)
			got := r.report("web-1", c.runs...).Snapshot
			equal(t, "totals", got.Totals, c.totals)
			equal(t, "window", got.Window, c.window)
			roster := r.m.Roster(r.now)
			equal(t, "replica's calls", roster[0].Calls, c.totals.Calls)
			equal(t, "replica's failures", roster[0].Failures, c.totals.Failures)
		})
	}
}

func TestResultsOfAnOlderGenerationMoveNothing(t *testing.T) {
	r := newRig(t, store.Policy{ConsecutiveFailures: 3})
	old := r.m.generation
	r.halfOpen("web-1", "c1", 1)
	for _, o := range []store.Outcome{success, failure} {
		late := r.blank("web-1")
		late.Generation, late.Runs = old, []store.Run{run(o, 5)}
		before := r.read()
		after := r.send(late).Snapshot
		before.Totals.Late += 5
		before.Replicas = 1
		equal(t, "snapshot", fmt.Sprint(after), fmt.Sprint(before))
	}
}

func TestWhatFollowsTheTrippingOutcomeIsLate(t *testing.T) {
	r := newRig(t, store.Policy{ConsecutiveFailures: 3})
	got := r.report("web-1", run(failure, 5), run(success, 4), run(ignored, 1)).Snapshot
	equal(t, "totals", got.Totals, store.Totals{Calls: 3, Failures: 3, Late: 7})
}

func TestARepeatCountsNothing(t *testing.T) {
	r := newRig(t, store.Policy{ConsecutiveFailures: 5})
	report := r.blank("web-1")
	report.Runs, report.Rejected = []store.Run{run(failure, 3)}, 2
	first := r.send(report).Snapshot
	for range 3 {
		equal(t, "snapshot", fmt.Sprint(r.send(report).Snapshot), fmt.Sprint(first))
	}
	equal(t, "rejected", first.Totals.Rejected, 2)
	older := report
	older.Seq = 0
	equal(t, "seq 0", r.send(older).Snapshot.Totals, first.Totals)
}

func TestAReplicaThatWasForgottenStartsAnew(t *testing.T) {
	r := newRig(t, store.Policy{})
	report := r.blank("web-1")
	report.Seq, report.Runs = 9, []store.Run{run(success, 1)}
	r.send(report)
	r.now += 2 * limits.SliceFor
	report.Seq = 1
	equal(t, "calls", r.send(report).Snapshot.Totals.Calls, 2)
}

func TestUnderAForcedModeOutcomesAreOnlyCounted(t *testing.T) {
	for _, action := range []store.Action{store.ForceOpen, store.ForceClosed} {
		t.Run(action.String(), func(t *testing.T) {
			r := newRig(t, store.Policy{ConsecutiveFailures: 3})
			r.report("web-1", run(failure, 2))
			r.command(store.Command{Action: action})
			got := r.report("web-1", run(failure, 5), slowRun(success, 1), run(ignored, 1), aged(run(success, 1), 9000)).Snapshot
			equal(t, "state", got.State, store.Closed)
			equal(t, "totals", got.Totals, store.Totals{Calls: 8, Failures: 7, Slow: 1, Ignored: 1, Late: 1})
			equal(t, "window", got.Window, store.Tally{Calls: 2, Failures: 2, Consecutive: 2})
			equal(t, "labels", fmt.Sprint(got.Errors), "[{timeout 2}]")
			equal(t, "replica", r.m.Roster(r.now)[0].Calls, 8)
		})
	}
}

func TestTotalsStopAtWhatADoubleKeeps(t *testing.T) {
	r := newRig(t, store.Policy{})
	for range 2 {
		report := r.blank("web-1")
		report.Rejected = store.MaxNumber - 1
		r.send(report)
	}
	equal(t, "rejected", r.read().Totals.Rejected, store.MaxNumber)
}

func TestLabelsOfTheNewestFailures(t *testing.T) {
	lax := store.Policy{ConsecutiveFailures: 1000}
	for _, c := range []struct {
		name string
		runs []store.Run
		want string
	}{
		{"by count, ties by label", []store.Run{labelled("b", 2), labelled("c", 3), labelled("a", 2)}, "[{c 3} {a 2} {b 2}]"},
		{"an empty label takes a place and is not listed", []store.Run{labelled("a", 5), labelled("", 30)}, "[{a 2}]"},
		{"the newest 32", []store.Run{labelled("a", 32), labelled("b", 31)}, "[{b 31} {a 1}]"},
		{"slow successes have none", []store.Run{{Outcome: success, Slow: true, Count: 40, Label: "x"}, labelled("a", 1)}, "[{a 1}]"},
		{"eight at most", []store.Run{
			labelled("a", 1), labelled("b", 1), labelled("c", 1), labelled("d", 1), labelled("e", 1),
			labelled("f", 1), labelled("g", 1), labelled("h", 1), labelled("i", 2),
		}, "[{i 2} {a 1} {b 1} {c 1} {d 1} {e 1} {f 1} {g 1}]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, lax)
			equal(t, "errors", fmt.Sprint(r.report("web-1", c.runs...).Snapshot.Errors), c.want)
		})
	}
}

func TestAWindowOfTimeForgetsInTenths(t *testing.T) {
	r := newRig(t, store.Policy{WindowTime: 10 * time.Second, FailureRate: 1, MinCalls: 1000})
	r.now = 1_000_000_000_999 // the end of a bucket
	r.report("web-1", run(failure, 1), aged(run(failure, 1), 1000))
	for _, c := range []struct {
		at    int64
		calls int
	}{{8000, 2}, {8001, 1}, {9000, 1}, {9001, 0}} {
		r.now = 1_000_000_000_999 + c.at
		equal(t, fmt.Sprint("calls after ", c.at), r.read().Window.Calls, c.calls)
	}
}

func TestAnOutcomeOlderThanTheWindowMovesLabelsAndTotalsOnly(t *testing.T) {
	r := newRig(t, store.Policy{WindowTime: time.Second, ConsecutiveFailures: 3, FailureRate: 0.5, MinCalls: 1})
	got := r.report("web-1", aged(run(failure, 2), 2500)).Snapshot
	equal(t, "window", got.Window, store.Tally{})
	equal(t, "totals", got.Totals, store.Totals{Calls: 2, Failures: 2})
	equal(t, "labels", fmt.Sprint(got.Errors), "[{timeout 2}]")
	equal(t, "state", r.report("web-1", aged(run(failure, 1), 2500)).Snapshot.State, store.Closed)
}

func TestAnOldSuccessBreaksTheStreak(t *testing.T) {
	r := newRig(t, store.Policy{WindowTime: time.Second, ConsecutiveFailures: 3})
	got := r.report("web-1", run(failure, 2), aged(run(success, 1), 2500), run(failure, 2)).Snapshot
	equal(t, "state", got.State, store.Closed)
	equal(t, "streak", got.Window.Consecutive, 2)
}
