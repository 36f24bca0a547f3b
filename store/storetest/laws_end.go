package storetest

import (
	"time"

	"github.com/commontrip/commontrip/store"
)

var endRules = []rule{
	{
		"a timed force open ends in half-open",
		"A timed force ends at its time, by the next script: half-open, by time, caused by the replica whose script found it.",
		func(w *world) {
			w.fail(2)
			w.force(store.ForceOpen, 10*sec)
			w.after(10*sec - ms)
			same(w, "mode a millisecond before", w.touch().Snapshot.Mode, store.ForcedOpen)
			w.after(ms)
			result := w.tell("b")
			s := result.Snapshot
			same(w, "mode, state", []any{s.Mode, s.State}, []any{store.Auto, store.HalfOpen})
			w.wantEntry(result.Made, store.Transition{
				Name: tier, From: store.Closed, To: store.HalfOpen, Generation: w.clock.millis(), Rev: w.clock.millis(),
				Reason: store.ByTime, Cause: "b", Window: store.Tally{Calls: 2, Failures: 2, Consecutive: 2},
			})
		},
	},
	{
		"a timed force closed ends closed and empty",
		"When ForceClosed ends: closed, empty window, new generation.",
		func(w *world) {
			w.trip()
			w.force(store.ForceClosed, 10*sec)
			w.after(10 * sec)
			s := w.touch().Snapshot
			same(w, "mode, state", []any{s.Mode, s.State}, []any{store.Auto, store.Closed})
			same(w, "generation, rev", []uint64{s.Generation, s.Rev}, []uint64{w.clock.millis(), w.clock.millis()})
		},
	},
	{
		"a timed retune ends with the fleet's policy",
		"A timed Retune ends with the fleet's policy again: Rev grows, no generation is made, and the entry says by time.",
		func(w *world) {
			w.trip()
			before := w.retune(another, 10*sec).Snapshot
			w.after(10 * sec)
			result := w.tell("b")
			s := result.Snapshot
			same(w, "policy, retuned", []any{s.Policy, s.Retuned}, []any{w.policy, false})
			w.wantEntry(result.Made, store.Transition{
				Name: tier, From: store.Open, To: store.Open, Prev: before.Generation, Generation: before.Generation,
				Rev: w.clock.millis(), Reason: store.ByTime, Cause: "b",
			})
		},
	},
	{
		"a note says what is left",
		"A timed note says how much of it is left; Timed and 0 is one that is over, which the next script ends.",
		func(w *world) {
			w.touch()
			w.force(store.ForceOpen, 10*sec)
			w.retune(another, 5*sec)
			w.after(4 * sec)
			s := w.read()
			same(w, "left", []time.Duration{s.ModeNote.EndsIn, s.PolicyNote.EndsIn}, []time.Duration{6 * sec, sec})
			w.after(hour)
			s = w.read()
			same(w, "mode", s.Mode, store.ForcedOpen)
			truly(w, "it is timed and over", s.ModeNote.Timed && s.ModeNote.EndsIn == 0)
			truly(w, "the policy too", s.Retuned && s.PolicyNote.Timed && s.PolicyNote.EndsIn == 0)
		},
	},
	{
		"two ends in one script come in order",
		"Of two ends found by one script the mode's comes before the policy's: two entries, two revs; Made is the last.",
		func(w *world) {
			w.touch()
			w.retune(another, sec)
			w.force(store.ForceClosed, 2*sec)
			w.after(3 * sec)
			result := w.touch()
			history := w.history()
			now := w.clock.millis()
			same(w, "revs", []uint64{history[1].Rev, history[0].Rev}, []uint64{now, now + 1})
			same(w, "generations", []uint64{history[1].Generation, history[0].Generation}, []uint64{now, now})
			same(w, "Prevs", []uint64{history[1].Prev, history[0].Prev}, []uint64{0, now})
			same(w, "Made's rev", result.Made.Rev, now+1)
			same(w, "entries", len(history), 4)
		},
	},
	{
		"a command finds ends before it acts",
		"A command runs expiry first, and is told of its own entry; the end it found has the operator as its cause.",
		func(w *world) {
			w.touch()
			w.force(store.ForceOpen, sec)
			w.after(sec)
			result := w.do(store.ForceClosed)
			history := w.history()
			same(w, "entries", len(history), 3)
			same(w, "the end", []any{history[1].Reason, history[1].Cause, history[1].To, history[1].Action}, []any{store.ByTime, oncall, store.HalfOpen, store.Action(0)})
			same(w, "Made", result.Made.Action, store.ForceClosed)
			same(w, "mode", result.Snapshot.Mode, store.ForcedClosed)
		},
	},
	{
		"a lift that comes too late finds the end",
		"A Lift of a force whose time is over leaves expiry's trace and none of its own.",
		func(w *world) {
			w.touch()
			w.force(store.ForceOpen, sec)
			w.after(sec)
			result := w.do(store.Lift)
			same(w, "Made's reason, action", []any{result.Made.Reason, result.Made.Action}, []any{store.ByTime, store.Action(0)})
			same(w, "entries", len(w.history()), 2)
		},
	},
	{
		"a fraction of a millisecond is rounded up",
		"Durations of a request are rounded up to whole milliseconds: a force of 1 ns stands for one.",
		func(w *world) {
			w.touch()
			same(w, "left", w.force(store.ForceOpen, 1).Snapshot.ModeNote.EndsIn, ms)
		},
	},
	{
		"what stands without end stands",
		"A command without an end stands until it is lifted, however long nobody asks.",
		func(w *world) {
			w.touch()
			w.do(store.ForceOpen)
			w.retune(another, 0)
			w.after(400 * day)
			s := w.touch().Snapshot
			same(w, "mode", s.Mode, store.ForcedOpen)
			same(w, "policy", s.Policy, another)
			truly(w, "neither is timed", !s.ModeNote.Timed && !s.PolicyNote.Timed)
		},
	},
	{
		"an idle breaker stays open",
		"Time to live is a broom, never a clock: an open breaker that nobody calls for hours is open.",
		func(w *world) {
			w.trip()
			w.force(store.Trip, 20*hour)
			w.after(20*hour - ms)
			s := w.read()
			same(w, "state, RetryIn", []any{s.State, s.RetryIn}, []any{store.Open, ms})
			w.after(ms + 3*hour)
			w.wantState(store.Open)
			w.wantUnchangedGeneration(func() { w.touch() })
		},
	},
	{
		"outcomes of before a force's end are late",
		"The end of a force makes a new generation: what was admitted under the force is late.",
		func(w *world) {
			w.touch()
			w.force(store.ForceClosed, sec)
			w.after(sec)
			s := w.fail(5).Snapshot
			same(w, "state", s.State, store.Closed)
			same(w, "totals", s.Totals, store.Totals{Late: 5})
		},
	},
	{
		"a step back does not lengthen a force",
		"A timed command ends by machine time.",
		func(w *world) {
			w.touch()
			w.force(store.ForceOpen, 10*sec)
			w.after(-day)
			w.touch()
			w.after(10 * sec)
			same(w, "mode", w.touch().Snapshot.Mode, store.Auto)
		},
	},
}

func (w *world) wantUnchangedGeneration(do func()) {
	w.Helper()
	before := w.read().Generation
	do()
	same(w, "generation", w.read().Generation, before)
}
