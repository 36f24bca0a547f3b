package machine

import (
	"fmt"
	"testing"
	"time"

	"github.com/commontrip/commontrip/internal/limits"
	"github.com/commontrip/commontrip/store"
)

// lost gives a rig whose store forgot everything, and a report that brings back what was known.
func lost(t *testing.T, policy store.Policy, prepare func(r *rig)) (*rig, store.Report) {
	t.Helper()
	r := newRig(t, policy)
	r.report("web-1")
	prepare(r)
	known := r.known()
	r.m = Machine{}
	r.now += second
	report := r.blank("web-2")
	report.Known = known
	return r, report
}

func TestRepairBringsBackAnOpenState(t *testing.T) {
	r, report := lost(t, store.Policy{OpenFor: time.Minute, OpenForMax: time.Hour}, func(r *rig) {
		r.report("web-1", run(failure, 5))
		r.now += r.read().RetryIn.Milliseconds()
		r.settle("web-1", r.claim("web-1", "c1", 1).Leases[0], failure)
	})
	report.Known.RetryIn = 90 * time.Second
	result := r.send(report)
	got := result.Snapshot
	equal(t, "generation", got.Generation, report.Known.Generation)
	equal(t, "state", got.State, store.Open)
	equal(t, "reason", got.Reason, store.ByProbeFailure)
	equal(t, "cause", got.Cause, "web-1")
	equal(t, "openings", got.Openings, 2)
	equal(t, "left", got.RetryIn, 90*time.Second)
	equal(t, "since", got.Since, time.UnixMilli(r.now).UTC())
	if result.Made != nil {
		t.Errorf("an adoption was made: %+v", result.Made)
	}
	entry := r.newest()
	entry.At, entry.Errors = time.Time{}, nil
	equal(t, "entry", fmt.Sprintf("%+v", entry), fmt.Sprintf("%+v", store.Transition{
		Name: "tier", From: store.Open, To: store.Open, Generation: report.Known.Generation, Reason: store.ByRepair, Cause: "web-2",
	}))
}

func TestRepairLeavesTheOpenTimeWhole(t *testing.T) {
	for _, c := range []struct {
		name  string
		known func(k *store.Known)
		want  time.Duration
	}{
		{"whatever the request's policy, if the fleet has none", func(*store.Known) {}, time.Hour},
		{"whatever a retuned policy that it brings", func(k *store.Known) {
			k.Rev, k.Retuned, k.PolicyNote.By = 7, true, "oncall"
			k.Policy = store.Policy{OpenFor: time.Second, OpenForMax: 2 * time.Second}
		}, time.Hour},
		{"or one whose time is over: it stands until step 4", func(k *store.Known) {
			k.Rev, k.Retuned, k.PolicyNote = 7, true, store.Note{By: "oncall", Timed: true}
			k.Policy = store.Policy{OpenFor: time.Second, OpenForMax: 2 * time.Second}
		}, time.Hour},
		{"but for the longest that a command may last", func(k *store.Known) { k.RetryIn = 2 * store.MaxFor }, store.MaxFor},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, store.Policy{OpenFor: time.Minute})
			report := r.blank("web-1")
			report.Known = store.Known{Generation: 9, State: store.Open, RetryIn: time.Hour}
			c.known(&report.Known)
			equal(t, "left", r.send(report).Snapshot.RetryIn, c.want)
		})
	}
}

func TestAKnownHalfOpenWaitsUntilLostLeasesHaveEnded(t *testing.T) {
	r, report := lost(t, store.Policy{OpenFor: time.Second, OpenForMax: time.Second, ProbeLease: time.Minute}, func(r *rig) {
		r.halfOpen("web-1", "c1", 3)
	})
	result := r.send(report)
	got := result.Snapshot
	equal(t, "state", got.State, store.Open)
	equal(t, "left, not cut by OpenForMax", got.RetryIn, time.Minute)
	equal(t, "openings", got.Openings, report.Known.Openings)
	equal(t, "reason", got.Reason, store.ByRepair)
	equal(t, "cause", got.Cause, "web-2")
	equal(t, "made", result.Made.Prev, report.Known.Generation)
	history := r.history()
	equal(t, "entries", len(history), 2)
	equal(t, "adoption", history[1].From, store.HalfOpen)
	equal(t, "adoption", history[1].To, store.HalfOpen)
	equal(t, "transition", history[0].From, store.HalfOpen)
	equal(t, "transition", history[0].To, store.Open)
}

func TestRepairBringsBackCommands(t *testing.T) {
	r, report := lost(t, store.Policy{WindowCalls: 50}, func(r *rig) {
		r.command(store.Command{Action: store.ForceOpen, Why: "INC-1"})
		r.command(store.Command{Action: store.Retune, Policy: store.Policy{WindowCalls: 10}, For: time.Hour})
	})
	result := r.send(report)
	got := result.Snapshot
	equal(t, "rev", got.Rev, report.Known.Rev)
	equal(t, "mode", got.Mode, store.ForcedOpen)
	equal(t, "mode note", got.ModeNote, report.Known.ModeNote)
	equal(t, "policy", got.Policy.WindowCalls, 10)
	equal(t, "policy note's end", got.PolicyNote.EndsIn, time.Hour)
	equal(t, "entries", len(r.history()), 0)
	if result.Made != nil {
		t.Errorf("made %+v", result.Made)
	}
	r.now += hour
	back := r.report("web-1")
	equal(t, "the fleet's policy again", back.Snapshot.Policy.WindowCalls, 50)
	equal(t, "made", back.Made.Reason, store.ByTime)
}

func TestAnAdoptedNoteShowsTheTimeThatItBrought(t *testing.T) {
	r := newRig(t, store.Policy{})
	r.report("web-1")
	r.now -= hour
	at := time.UnixMilli(r.now - minute).UTC()
	report := r.blank("web-1")
	report.Known = store.Known{Rev: 5, Mode: store.ForcedOpen, ModeNote: store.Note{By: "oncall", At: at}}
	equal(t, "at", r.send(report).Snapshot.ModeNote.At, at)
}

func TestATimedCommandOfWhichNothingIsLeftEndsInTheSameScript(t *testing.T) {
	r, report := lost(t, store.Policy{}, func(r *rig) {
		r.command(store.Command{Action: store.ForceOpen, For: time.Minute})
		r.now += minute
	})
	result := r.send(report)
	equal(t, "mode", result.Snapshot.Mode, store.Auto)
	equal(t, "state", result.Snapshot.State, store.HalfOpen)
	equal(t, "made", result.Made.Reason, store.ByTime)
	equal(t, "cause", result.Made.Cause, "web-2")
	equal(t, "action", result.Made.Action, 0)
}

func TestEqualNumbersLeaveTheStoresWord(t *testing.T) {
	r := newRig(t, store.Policy{})
	r.report("web-1", run(failure, 5))
	report := r.blank("web-1")
	report.Known = store.Known{Generation: r.m.generation, State: store.Closed}
	equal(t, "state", r.send(report).Snapshot.State, store.Open)
}

func TestEachNumberIsAdoptedOnItsOwn(t *testing.T) {
	r := newRig(t, store.Policy{ConsecutiveFailures: 9})
	r.report("web-1", run(failure, 3))
	report := r.blank("web-1")
	report.Known = store.Known{Rev: 5, State: store.Open, Mode: store.ForcedClosed, ModeNote: store.Note{By: "oncall"}}
	got := r.send(report).Snapshot
	equal(t, "state", got.State, store.Closed)
	equal(t, "mode", got.Mode, store.ForcedClosed)
	equal(t, "window", got.Window.Failures, 3)
	report = r.blank("web-1")
	report.Known = store.Known{Generation: 5, Rev: 4, State: store.Open, RetryIn: time.Second}
	got = r.send(report).Snapshot
	equal(t, "state", got.State, store.Open)
	equal(t, "mode", got.Mode, store.ForcedClosed)
	equal(t, "window", got.Window, store.Tally{})
	equal(t, "totals stay", got.Totals.Failures, 3)
}

func TestAnAdoptedGenerationEmptiesLeasesAndBans(t *testing.T) {
	r := newRig(t, store.Policy{Reporters: 2, OpenFor: time.Second})
	grant := r.halfOpen("web-1", "c1", 2)
	r.settle("web-1", grant.Leases[0], failure)
	report := r.blank("web-2")
	report.Known = store.Known{Generation: r.m.generation + 1, State: store.Open}
	equal(t, "probing", r.send(report).Snapshot.Probing, 0)
	equal(t, "a lease for the banned one", len(r.claim("web-1", "c2", 3).Leases), 3)
}

func TestAnAdoptionsWindowIsThatBetweenTheTwo(t *testing.T) {
	r := newRig(t, store.Policy{WindowCalls: 10, ConsecutiveFailures: 99})
	r.report("web-1", run(failure, 8))
	report := r.blank("web-1")
	report.Known = store.Known{
		Generation: 1, Rev: 1, Retuned: true,
		Policy: store.Policy{WindowCalls: 5, ConsecutiveFailures: 99}, PolicyNote: store.Note{By: "oncall"},
	}
	r.send(report)
	equal(t, "window", r.newest().Window, store.Tally{Calls: 5, Failures: 5, Consecutive: 8})
	equal(t, "errors", fmt.Sprint(r.newest().Errors), "[{timeout 8}]")
	equal(t, "rev", r.newest().Rev, 1)
}

func TestNumbersFromTheFutureAreRefused(t *testing.T) {
	for _, c := range []struct {
		name  string
		known store.Known
		ok    bool
	}{
		{"a generation 24 h ahead", store.Known{Generation: uint64(limits.Day)}, true},
		{"a generation beyond", store.Known{Generation: uint64(limits.Day) + 1}, false},
		{"a rev 24 h ahead", store.Known{Rev: uint64(limits.Day)}, true},
		{"a rev beyond", store.Known{Rev: uint64(limits.Day) + 1}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, store.Policy{})
			r.report("web-1")
			before := inside(&r.m)
			report := r.blank("web-1")
			report.Known = c.known
			for _, n := range []*uint64{&report.Known.Generation, &report.Known.Rev} {
				if *n > 0 {
					*n += uint64(r.now)
				}
			}
			err := r.send(report).Err
			if c.ok {
				equal(t, "error", err, nil)
				return
			}
			isInvalid(t, err)
			equal(t, "inside", inside(&r.m), before)
			_, err = r.m.Claim(r.now, store.Claim{Name: "tier", ID: "c", Replica: "web-1", Want: 1, Known: report.Known}, 0)
			isInvalid(t, err)
		})
	}
}

func TestARefusedReportMakesNoMachine(t *testing.T) {
	r := newRig(t, store.Policy{})
	report := r.blank("web-1")
	report.Known.Generation = store.MaxNumber
	isInvalid(t, r.send(report).Err)
	equal(t, "empty", r.m.Empty(r.now), true)
}

func TestAKnownThatIsFarAheadButNotAboveIsNoError(t *testing.T) {
	r := newRig(t, store.Policy{})
	report := r.blank("web-1")
	report.Known.Generation = uint64(r.now + limits.Day)
	r.send(report)
	r.now -= 10 * limits.Day // the store failed over to a slow clock: its own numbers are far ahead
	report = r.blank("web-1")
	report.Known.Generation = r.m.generation
	equal(t, "error", r.send(report).Err, nil)
}
