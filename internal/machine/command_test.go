package machine

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/commontrip/commontrip/store"
)

func TestACommandForNothingIsUnknown(t *testing.T) {
	r := newRig(t, store.Policy{})
	if _, err := r.try(store.Command{Action: store.Trip}); !errors.Is(err, store.ErrUnknown) {
		t.Errorf("got %v, want ErrUnknown", err)
	}
	equal(t, "empty", r.m.Empty(r.now), true)
}

func TestAForceStandsAboveTheState(t *testing.T) {
	for _, c := range []struct {
		action store.Action
		mode   store.Mode
		end    store.State
	}{
		{store.ForceOpen, store.ForcedOpen, store.HalfOpen},
		{store.ForceClosed, store.ForcedClosed, store.Closed},
	} {
		t.Run(c.action.String(), func(t *testing.T) {
			for _, end := range []string{"lifted", "timed"} {
				t.Run(end, func(t *testing.T) {
					r := newRig(t, store.Policy{ConsecutiveFailures: 9})
					r.report("web-1", run(failure, 3))
					before := r.read()
					forced := r.command(store.Command{Action: c.action, For: time.Minute, Why: "INC-1"})
					equal(t, "mode", forced.Snapshot.Mode, c.mode)
					equal(t, "state below", forced.Snapshot.State, store.Closed)
					equal(t, "generation", forced.Snapshot.Generation, before.Generation)
					equal(t, "reason of the generation", forced.Snapshot.Reason, before.Reason)
					equal(t, "rev", forced.Snapshot.Rev, uint64(r.now))
					equal(t, "note", forced.Snapshot.ModeNote, store.Note{
						By: "oncall", Why: "INC-1", At: time.UnixMilli(r.now).UTC(), Timed: true, EndsIn: time.Minute,
					})
					equal(t, "made", fmt.Sprintf("%+v", *forced.Made), fmt.Sprintf("%+v", store.Transition{
						Name: "tier", Mode: c.mode, Rev: uint64(r.now), Action: c.action, At: time.UnixMilli(r.now).UTC(),
						Reason: store.ByOperator, Cause: "oncall", Why: "INC-1", Window: before.Window, Errors: before.Errors,
					}))

					var ended store.Result
					if end == "lifted" {
						r.now += second
						ended = r.command(store.Command{Action: store.Lift, Why: "mended"})
						equal(t, "reason", ended.Made.Reason, store.ByOperator)
						equal(t, "action", ended.Made.Action, store.Lift)
						equal(t, "why", ended.Made.Why, "mended")
					} else {
						r.now += minute
						equal(t, "a read still shows it", r.read().Mode, c.mode)
						equal(t, "with nothing left", r.read().ModeNote.EndsIn, 0)
						ended = r.report("web-1")
						equal(t, "reason", ended.Made.Reason, store.ByTime)
						equal(t, "action", ended.Made.Action, 0)
						equal(t, "cause", ended.Made.Cause, "web-1")
					}
					got := ended.Snapshot
					equal(t, "mode", got.Mode, store.Auto)
					equal(t, "state", got.State, c.end)
					equal(t, "a new generation, though the state may be the same", got.Generation, uint64(r.now))
					equal(t, "rev", got.Rev, uint64(r.now))
					equal(t, "entry's window", ended.Made.Window, before.Window)
					equal(t, "entry's mode", ended.Made.Mode, store.Auto)
					equal(t, "window", got.Window, store.Tally{})
					equal(t, "note", got.ModeNote, store.Note{})
				})
			}
		})
	}
}

func TestAForceReplacesAForceWithoutEndingIt(t *testing.T) {
	r := newRig(t, store.Policy{})
	r.report("web-1")
	r.command(store.Command{Action: store.ForceOpen, For: time.Minute})
	got := r.command(store.Command{Action: store.ForceClosed}).Snapshot
	equal(t, "mode", got.Mode, store.ForcedClosed)
	equal(t, "generation", got.Generation, 0)
	r.now += hour
	equal(t, "the first one's time is not the second's", r.report("web-1").Snapshot.Mode, store.ForcedClosed)
}

func TestTripAndResetMoveTheStateBelowAMode(t *testing.T) {
	r := newRig(t, store.Policy{})
	r.report("web-1")
	r.command(store.Command{Action: store.ForceClosed})
	got := r.command(store.Command{Action: store.Trip}).Snapshot
	equal(t, "state", got.State, store.Open)
	equal(t, "left, whatever the mode", got.RetryIn, time.Minute)
	equal(t, "mode", got.Mode, store.ForcedClosed)
	got = r.command(store.Command{Action: store.Reset}).Snapshot
	equal(t, "state", got.State, store.Closed)
	equal(t, "mode", got.Mode, store.ForcedClosed)
}

func TestTrip(t *testing.T) {
	policy := store.Policy{OpenFor: time.Minute, OpenForMax: 10 * time.Minute}
	t.Run("takes a step of the backoff", func(t *testing.T) {
		r := newRig(t, policy)
		r.halfOpen("web-1", "c1", 1)
		got := r.command(store.Command{Action: store.Trip})
		equal(t, "period", got.Snapshot.RetryIn, 2*time.Minute)
		equal(t, "openings", got.Snapshot.Openings, 2)
		equal(t, "reason", got.Made.Reason, store.ByOperator)
	})
	t.Run("while open starts the period again, without a step", func(t *testing.T) {
		r := newRig(t, policy)
		r.settle("web-1", r.halfOpen("web-1", "c1", 1).Leases[0], failure)
		before := r.read()
		r.now += 30 * second
		got := r.command(store.Command{Action: store.Trip}).Snapshot
		equal(t, "period", got.RetryIn, before.RetryIn)
		equal(t, "openings", got.Openings, before.Openings)
		equal(t, "generation", got.Generation, uint64(r.now))
	})
	t.Run("for a time of its own, not cut by the policy", func(t *testing.T) {
		r := newRig(t, policy)
		r.report("web-1")
		got := r.command(store.Command{Action: store.Trip, For: time.Hour}).Snapshot
		equal(t, "period", got.RetryIn, time.Hour)
		equal(t, "openings", got.Openings, 1)
		equal(t, "again", r.command(store.Command{Action: store.Trip, For: 2 * time.Hour}).Snapshot.RetryIn, 2*time.Hour)
	})
}

func TestResetAlwaysMakesANewGeneration(t *testing.T) {
	r := newRig(t, store.Policy{ConsecutiveFailures: 9})
	r.report("web-1", run(failure, 3))
	got := r.command(store.Command{Action: store.Reset})
	equal(t, "generation", got.Snapshot.Generation, uint64(r.now))
	equal(t, "window", got.Snapshot.Window, store.Tally{})
	equal(t, "errors", len(got.Snapshot.Errors), 0)
	equal(t, "entry's window", got.Made.Window, store.Tally{Calls: 3, Failures: 3, Consecutive: 3})
	r.command(store.Command{Action: store.Trip})
	equal(t, "backoff", r.command(store.Command{Action: store.Reset}).Snapshot.Openings, 0)
}

func TestARetuneKeepsStateAndEndsWithTheFleetsPolicy(t *testing.T) {
	for _, end := range []string{"restored", "timed"} {
		t.Run(end, func(t *testing.T) {
			r := newRig(t, store.Policy{WindowCalls: 50})
			r.report("web-1", run(success, 3))
			got := r.command(store.Command{Action: store.Retune, Policy: store.Policy{WindowCalls: 10}, For: time.Minute}).Snapshot
			equal(t, "retuned", got.Retuned, true)
			equal(t, "policy", got.Policy.WindowCalls, 10)
			equal(t, "defaults filled in", got.Policy.OpenFor, time.Minute)
			equal(t, "note", got.PolicyNote.EndsIn, time.Minute)
			equal(t, "window", got.Window.Calls, 3)
			equal(t, "generation", got.Generation, 0)
			var ended store.Result
			if end == "timed" {
				r.now += minute
				equal(t, "a read still shows it", r.read().Retuned, true)
				ended = r.report("web-1")
				equal(t, "reason", ended.Made.Reason, store.ByTime)
				equal(t, "action", ended.Made.Action, 0)
			} else {
				r.now += second
				ended = r.command(store.Command{Action: store.Restore})
				equal(t, "reason", ended.Made.Reason, store.ByOperator)
				equal(t, "action", ended.Made.Action, store.Restore)
			}
			equal(t, "policy", ended.Snapshot.Policy.WindowCalls, 50)
			equal(t, "retuned", ended.Snapshot.Retuned, false)
			equal(t, "note", ended.Snapshot.PolicyNote, store.Note{})
			equal(t, "rev", ended.Snapshot.Rev, uint64(r.now))
			equal(t, "entry", ended.Made.Prev == ended.Made.Generation && ended.Made.From == ended.Made.To, true)
		})
	}
}

func TestLiftAndRestoreOfNothingLeaveNoTrace(t *testing.T) {
	for _, action := range []store.Action{store.Lift, store.Restore} {
		r := newRig(t, store.Policy{})
		r.report("web-1")
		before := r.read()
		result := r.command(store.Command{Action: action})
		equal(t, "snapshot", fmt.Sprint(result.Snapshot), fmt.Sprint(before))
		equal(t, "made", result.Made, nil)
		equal(t, "entries", len(r.history()), 0)
	}
}

func TestOneScriptEndsTheModeBeforeThePolicy(t *testing.T) {
	r := newRig(t, store.Policy{})
	r.report("web-1")
	r.command(store.Command{Action: store.Retune, For: time.Minute})
	r.command(store.Command{Action: store.ForceOpen, For: time.Minute})
	r.now += minute
	result := r.command(store.Command{Action: store.Lift}) // nothing stands any more
	history := r.history()
	equal(t, "mode's end", history[1].To, store.HalfOpen)
	equal(t, "its rev", history[1].Rev, uint64(r.now))
	equal(t, "policy's end", history[0].Rev, uint64(r.now)+1)
	equal(t, "made is the last", result.Made.Rev, uint64(r.now)+1)
	equal(t, "cause", result.Made.Cause, "oncall")
	equal(t, "written", len(r.m.Written()), 2)
}

func TestACommandsEndIsFoundByEveryScript(t *testing.T) {
	for _, c := range []struct {
		name   string
		script func(r *rig) *store.Transition
		cause  string
	}{
		{"a report", func(r *rig) *store.Transition { return r.report("web-1").Made }, "web-1"},
		{"a repeat", func(r *rig) *store.Transition { r.seq["web-1"] = 0; return r.report("web-1").Made }, "web-1"},
		{"a claim", func(r *rig) *store.Transition { return r.claim("web-2", "c", 1).Made }, "web-2"},
		{"a settlement", func(r *rig) *store.Transition {
			return r.settle("web-3", store.Lease{Name: "tier", ID: "1.1"}, success).Made
		}, "web-3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, store.Policy{})
			r.report("web-1")
			r.command(store.Command{Action: store.ForceOpen, For: time.Second})
			r.now += second
			made := c.script(r)
			if made == nil {
				t.Fatal("it made nothing")
			}
			equal(t, "cause", made.Cause, c.cause)
			equal(t, "reason", made.Reason, store.ByTime)
			equal(t, "to", made.To, store.HalfOpen)
		})
	}
}
