package storetest

import (
	"time"

	"github.com/commontrip/commontrip/store"
)

// doubling opens for 1, 2, 4, 5, 5 ... seconds, after one failure.
var doubling = store.Policy{ConsecutiveFailures: 1, OpenFor: sec, OpenForMax: 5 * sec, ProbeSuccesses: 1}.WithDefaults()

// round lets the open time pass and settles one probe.
func (w *world) round(o store.Outcome) store.Snapshot {
	w.Helper()
	w.after(w.read().RetryIn)
	return w.settle("a", w.lease("a"), o).Snapshot
}

var openingRules = []rule{
	{
		"a trip tells what it saw",
		"A trip goes into the history with reason, cause, both generations, tallies and labels just before it, and who made it is told the same.",
		func(w *world) {
			w.tell("b", successes(3), slowSuccesses(2))
			w.tell("a", labelled("timeout", 3))
			made := w.tell("b", labelled("refused", 2)).Made
			if made == nil {
				w.Fatal("5 failures in a row made no transition")
			}
			want := store.Transition{
				Name: tier, From: store.Closed, To: store.Open, Generation: w.clock.millis(), At: made.At,
				Reason: store.ByConsecutiveFailures, Cause: "b", Window: store.Tally{Calls: 10, Failures: 5, Slow: 2, Consecutive: 5},
				Errors: []store.ErrorCount{{Label: "timeout", Count: 3}, {Label: "refused", Count: 2}}, Witnesses: []string{"a", "b"},
			}
			same(w, "Made", *made, want)
			same(w, "At", made.At.UnixMilli(), start.UnixMilli())
			history := w.history()
			history[0].At = made.At
			same(w, "history", history, []store.Transition{want})
		},
	},
	{
		"a trip leaves the breaker open for its time",
		"After a trip: open, for OpenFor, with one opening counted, and the trip's reason and cause in the snapshot.",
		func(w *world) {
			s := w.trip().Snapshot
			same(w, "state", s.State, store.Open)
			same(w, "RetryIn", s.RetryIn, minute)
			same(w, "Openings", s.Openings, 1)
			same(w, "Reason, Cause", []string{string(s.Reason), s.Cause}, []string{"consecutive-failures", "a"})
			same(w, "Age", s.Age, time.Duration(0))
		},
	},
	{
		"at most one caller is told that it made a transition",
		"At most one caller is told that it made the transition; all know from Cause.",
		func(w *world) {
			w.tell("a", failures(4))
			truly(w, "b made it", w.tell("b", failures(1)).Made != nil)
			truly(w, "a did not", w.tell("a", failures(1)).Made == nil)
			same(w, "Cause", w.read().Cause, "b")
			same(w, "entries", len(w.history()), 1)
		},
	},
	{
		"open stays open to all but a claim",
		"Open past its time stays open, with nothing left to wait, until a claim: neither time nor a report moves it.",
		func(w *world) {
			generation := w.trip().Snapshot.Generation
			w.after(day)
			s := w.touch().Snapshot
			same(w, "state", s.State, store.Open)
			same(w, "Generation", s.Generation, generation)
			same(w, "RetryIn", s.RetryIn, time.Duration(0))
		},
	},
	{
		"each round of failed probes doubles the open time",
		"Every opening lasts min(OpenFor * 2^Openings, OpenForMax), then Openings grows by one.",
		func(w *world) {
			w.policy = doubling
			same(w, "the trip's", w.trip().Snapshot.RetryIn, sec)
			for i, want := range []time.Duration{2 * sec, 4 * sec, 5 * sec, 5 * sec} {
				s := w.round(store.Failure)
				same(w, "RetryIn", s.RetryIn, want)
				same(w, "Openings", s.Openings, i+2)
			}
		},
	},
	{
		"without OpenForMax the open time stays",
		"OpenForMax is OpenFor where it is not set: nothing doubles.",
		func(w *world) {
			w.policy = store.Policy{OpenFor: sec}.WithDefaults()
			w.trip()
			same(w, "RetryIn", w.round(store.Failure).RetryIn, sec)
		},
	},
	{
		"the backoff is forgotten after a close that lasted",
		"The backoff is forgotten after a close that lasted OpenFor, exactly that included, not at the close itself.",
		func(w *world) {
			w.policy = doubling
			w.trip()
			same(w, "Openings at the close", w.round(store.Success).Openings, 1)
			w.after(sec - ms)
			same(w, "Openings a millisecond before", w.read().Openings, 1)
			same(w, "RetryIn of a trip then", w.fail(1).Snapshot.RetryIn, 2*sec)
			w.round(store.Success)
			w.after(sec)
			same(w, "Openings after a close of OpenFor", w.read().Openings, 0)
			same(w, "RetryIn of a trip then", w.fail(1).Snapshot.RetryIn, sec)
			same(w, "Openings after it", w.read().Openings, 1)
		},
	},
	{
		"the backoff's exponent is bounded",
		"The exponent stops at 20 and Openings at 1 000 000: no number of openings overflows the open time.",
		func(w *world) {
			w.policy = store.Policy{ConsecutiveFailures: 1, OpenFor: ms, OpenForMax: day}
			w.recall("a", store.Known{Generation: 1, State: store.Open, Openings: store.MaxOpening})
			s := w.round(store.Failure)
			same(w, "RetryIn", s.RetryIn, ms<<20)
			same(w, "Openings", s.Openings, store.MaxOpening)
		},
	},
	{
		"generations make a chain",
		"Each entry's Prev is the generation before it, and From the state before it.",
		func(w *world) {
			w.policy = doubling
			w.trip()
			w.round(store.Failure)
			w.round(store.Success)
			history := w.history()
			same(w, "entries", len(history), 5)
			for i := range history[1:] {
				same(w, "Prev", history[i].Prev, history[i+1].Generation)
				same(w, "From", history[i].From, history[i+1].To)
			}
			same(w, "the newest is the snapshot's", history[0].Generation, w.read().Generation)
		},
	},
	{
		"the newest 50 transitions are kept",
		"History is newest first; 50 are kept, and a limit of 0 or less is 50.",
		func(w *world) {
			w.touch()
			for range 30 {
				w.do(store.Trip)
				w.do(store.Reset)
			}
			newest := w.read().Generation
			for limit, want := range map[int]int{-1: 50, 0: 50, 1: 1, 7: 7, 50: 50, 1000: 50} {
				history, err := w.store.History(w.ctx, tier, limit)
				if err != nil {
					w.Fatal(err)
				}
				same(w, "entries", len(history), want)
				for i, e := range history {
					same(w, "generation", e.Generation, newest-uint64(i))
				}
			}
		},
	},
}
