package storetest

import (
	"time"

	"github.com/commontrip/commontrip/store"
)

var endRules = []rule{
	{
		"a timed force open ends in half-open",
		"A timed force ends at its time, by the next script: half-open, by time, caused by the replica whose script found it.",
		func(f *fixture) {
			f.fail(2)
			f.force(store.ForceOpen, 10*sec)
			f.after(10*sec - ms)
			same(f, "mode a millisecond before", f.touch().Snapshot.Mode, store.ForcedOpen)
			f.after(ms)
			result := f.tell("b")
			s := result.Snapshot
			same(f, "mode, state", []any{s.Mode, s.State}, []any{store.Auto, store.HalfOpen})
			f.wantEntry(result.Made, store.Transition{
				Name: tier, From: store.Closed, To: store.HalfOpen, Generation: f.clock.millis(), Rev: f.clock.millis(),
				Reason: store.ByTime, Cause: "b", Window: store.Tally{Calls: 2, Failures: 2, Consecutive: 2},
			})
		},
	},
	{
		"a timed force closed ends closed and empty",
		"When ForceClosed ends: closed, empty window, new generation.",
		func(f *fixture) {
			f.fail(2)
			f.force(store.ForceClosed, 10*sec)
			f.after(10 * sec)
			s := f.touch().Snapshot
			same(f, "mode, state, window", []any{s.Mode, s.State, s.Window}, []any{store.Auto, store.Closed, store.Tally{}})
			same(f, "generation, rev", []uint64{s.Generation, s.Rev}, []uint64{f.clock.millis(), f.clock.millis()})
		},
	},
	{
		"a timed retune ends with the fleet's policy",
		"A timed Retune ends with the fleet's policy again: Rev grows, no generation is made, and the entry says by time.",
		func(f *fixture) {
			f.trip()
			before := f.retune(another, 10*sec).Snapshot
			f.after(10 * sec)
			result := f.tell("b")
			s := result.Snapshot
			same(f, "policy, retuned", []any{s.Policy, s.Retuned}, []any{f.policy, false})
			f.wantEntry(result.Made, store.Transition{
				Name: tier, From: store.Open, To: store.Open, Prev: before.Generation, Generation: before.Generation,
				Rev: f.clock.millis(), Reason: store.ByTime, Cause: "b",
			})
		},
	},
	{
		"a note says what is left",
		"A timed note says how much of it is left; Timed and 0 is one that is over, which the next script ends.",
		func(f *fixture) {
			f.touch()
			f.force(store.ForceOpen, 10*sec)
			f.retune(another, 5*sec)
			f.after(4 * sec)
			s := f.read()
			same(f, "left", []time.Duration{s.ModeNote.EndsIn, s.PolicyNote.EndsIn}, []time.Duration{6 * sec, sec})
			f.after(hour)
			s = f.read()
			same(f, "mode", s.Mode, store.ForcedOpen)
			truly(f, "it is timed and over", s.ModeNote.Timed && s.ModeNote.EndsIn == 0)
			truly(f, "the policy too", s.Retuned && s.PolicyNote.Timed && s.PolicyNote.EndsIn == 0)
		},
	},
	{
		"two ends in one script come in order",
		"Of two ends found by one script the mode's comes before the policy's: two entries, two revs; Made is the last.",
		func(f *fixture) {
			f.touch()
			f.retune(another, sec)
			f.force(store.ForceClosed, 2*sec)
			f.after(3 * sec)
			result := f.touch()
			history := f.history()
			now := f.clock.millis()
			same(f, "revs", []uint64{history[1].Rev, history[0].Rev}, []uint64{now, now + 1})
			same(f, "generations", []uint64{history[1].Generation, history[0].Generation}, []uint64{now, now})
			same(f, "Prevs", []uint64{history[1].Prev, history[0].Prev}, []uint64{0, now})
			same(f, "Made's rev", result.Made.Rev, now+1)
			same(f, "entries", len(history), 4)
		},
	},
	{
		"a command finds ends before it acts",
		"A command runs expiry first, and is told of its own entry; the end it found has the operator as its cause.",
		func(f *fixture) {
			f.touch()
			f.force(store.ForceOpen, sec)
			f.after(sec)
			result := f.do(store.ForceClosed)
			history := f.history()
			same(f, "entries", len(history), 3)
			same(f, "the end", []any{history[1].Reason, history[1].Cause, history[1].To, history[1].Action}, []any{store.ByTime, oncall, store.HalfOpen, store.Action(0)})
			same(f, "Made", result.Made.Action, store.ForceClosed)
			same(f, "mode", result.Snapshot.Mode, store.ForcedClosed)
		},
	},
	{
		"a lift that comes too late finds the end",
		"A Lift of a force whose time is over leaves expiry's trace and none of its own.",
		func(f *fixture) {
			f.touch()
			f.force(store.ForceOpen, sec)
			f.after(sec)
			result := f.do(store.Lift)
			same(f, "Made's reason, action", []any{result.Made.Reason, result.Made.Action}, []any{store.ByTime, store.Action(0)})
			same(f, "entries", len(f.history()), 2)
		},
	},
	{
		"a fraction of a millisecond is rounded up",
		"Durations of a request are rounded up to whole milliseconds: a force of 1 ns stands for one.",
		func(f *fixture) {
			f.touch()
			same(f, "left", f.force(store.ForceOpen, 1).Snapshot.ModeNote.EndsIn, ms)
		},
	},
	{
		"what stands without end stands",
		"A command without an end stands until it is lifted, however long nobody asks.",
		func(f *fixture) {
			f.touch()
			f.do(store.ForceOpen)
			f.retune(another, 0)
			f.after(400 * day)
			s := f.touch().Snapshot
			same(f, "mode", s.Mode, store.ForcedOpen)
			same(f, "policy", s.Policy, another)
			truly(f, "neither is timed", !s.ModeNote.Timed && !s.PolicyNote.Timed)
		},
	},
	{
		"an idle breaker stays open",
		"Time to live is a broom, never a clock: an open breaker that nobody calls for hours is open.",
		func(f *fixture) {
			f.trip()
			f.force(store.Trip, 20*hour)
			f.after(20*hour - ms)
			s := f.read()
			same(f, "state, RetryIn", []any{s.State, s.RetryIn}, []any{store.Open, ms})
			f.after(ms + 3*hour)
			f.wantState(store.Open)
			f.wantUnchangedGeneration(func() { f.touch() })
		},
	},
	{
		"outcomes of before a force's end are late",
		"The end of a force makes a new generation: what was admitted under the force is late.",
		func(f *fixture) {
			f.touch()
			f.force(store.ForceClosed, sec)
			f.after(sec)
			s := f.fail(5).Snapshot
			same(f, "state", s.State, store.Closed)
			same(f, "totals", s.Totals, store.Totals{Late: 5})
		},
	},
	{
		"a step back does not lengthen a force",
		"A timed command ends by machine time.",
		func(f *fixture) {
			f.touch()
			f.force(store.ForceOpen, 10*sec)
			f.after(-day)
			f.touch()
			f.after(10 * sec)
			same(f, "mode", f.touch().Snapshot.Mode, store.Auto)
		},
	},
}

func (f *fixture) wantUnchangedGeneration(do func()) {
	f.Helper()
	before := f.read().Generation
	do()
	same(f, "generation", f.read().Generation, before)
}
