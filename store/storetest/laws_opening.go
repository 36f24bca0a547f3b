package storetest

import (
	"time"

	"github.com/commontrip/commontrip/store"
)

// doubling opens for 1, 2, 4, 5, 5 ... seconds, after one failure.
var doubling = store.Policy{ConsecutiveFailures: 1, OpenFor: sec, OpenForMax: 5 * sec, ProbeSuccesses: 1}.WithDefaults()

// round lets the open time pass and settles one probe.
func (f *fixture) round(o store.Outcome) store.Snapshot {
	f.Helper()
	f.after(f.read().RetryIn)
	return f.settle("a", f.lease("a"), o).Snapshot
}

var openingRules = []rule{
	{
		"a trip tells what it saw",
		"A trip goes into the history with reason, cause, both generations, tallies and labels just before it, and who made it is told the same.",
		func(f *fixture) {
			f.tell("b", successes(3), slowSuccesses(2))
			f.tell("a", labelled("timeout", 3))
			made := f.tell("b", labelled("refused", 2)).Made
			if made == nil {
				f.Fatal("5 failures in a row made no transition")
			}
			want := store.Transition{
				Name: tier, From: store.Closed, To: store.Open, Generation: f.clock.millis(), At: made.At,
				Reason: store.ByConsecutiveFailures, Cause: "b", Window: store.Tally{Calls: 10, Failures: 5, Slow: 2, Consecutive: 5},
				Errors: []store.ErrorCount{{Label: "timeout", Count: 3}, {Label: "refused", Count: 2}}, Witnesses: []string{"a", "b"},
			}
			same(f, "Made", *made, want)
			same(f, "At", made.At.UnixMilli(), start.UnixMilli())
			history := f.history()
			history[0].At = made.At
			same(f, "history", history, []store.Transition{want})
		},
	},
	{
		"a trip leaves the breaker open for its time",
		"After a trip: open, for OpenFor, with one opening counted, and the trip's reason and cause in the snapshot.",
		func(f *fixture) {
			s := f.trip().Snapshot
			same(f, "state", s.State, store.Open)
			same(f, "RetryIn", s.RetryIn, minute)
			same(f, "Openings", s.Openings, 1)
			same(f, "Reason, Cause", []string{string(s.Reason), s.Cause}, []string{"consecutive-failures", "a"})
			same(f, "Age", s.Age, time.Duration(0))
		},
	},
	{
		"at most one caller is told that it made a transition",
		"At most one caller is told that it made the transition; all know from Cause.",
		func(f *fixture) {
			f.tell("a", failures(4))
			truly(f, "b made it", f.tell("b", failures(1)).Made != nil)
			truly(f, "a did not", f.tell("a", failures(1)).Made == nil)
			same(f, "Cause", f.read().Cause, "b")
			same(f, "entries", len(f.history()), 1)
		},
	},
	{
		"open stays open to all but a claim",
		"Open past its time stays open, with nothing left to wait, until a claim: neither time nor a report moves it.",
		func(f *fixture) {
			generation := f.trip().Snapshot.Generation
			f.after(day)
			s := f.touch().Snapshot
			same(f, "state", s.State, store.Open)
			same(f, "Generation", s.Generation, generation)
			same(f, "RetryIn", s.RetryIn, time.Duration(0))
		},
	},
	{
		"each round of failed probes doubles the open time",
		"Every opening lasts min(OpenFor * 2^Openings, OpenForMax), then Openings grows by one.",
		func(f *fixture) {
			f.policy = doubling
			same(f, "the trip's", f.trip().Snapshot.RetryIn, sec)
			for i, want := range []time.Duration{2 * sec, 4 * sec, 5 * sec, 5 * sec} {
				s := f.round(store.Failure)
				same(f, "RetryIn", s.RetryIn, want)
				same(f, "Openings", s.Openings, i+2)
			}
		},
	},
	{
		"without OpenForMax the open time stays",
		"OpenForMax is OpenFor if it is not set: nothing doubles.",
		func(f *fixture) {
			f.policy = store.Policy{OpenFor: sec}.WithDefaults()
			f.trip()
			same(f, "RetryIn", f.round(store.Failure).RetryIn, sec)
		},
	},
	{
		"the backoff is forgotten after a close that lasted",
		"The backoff is forgotten after a close that lasted OpenFor, exactly that included, not at the close itself.",
		func(f *fixture) {
			f.policy = doubling
			f.trip()
			same(f, "Openings at the close", f.round(store.Success).Openings, 1)
			f.after(sec - ms)
			same(f, "Openings a millisecond before", f.read().Openings, 1)
			same(f, "RetryIn of a trip then", f.fail(1).Snapshot.RetryIn, 2*sec)
			f.round(store.Success)
			f.after(sec)
			same(f, "Openings after a close of OpenFor", f.read().Openings, 0)
			same(f, "RetryIn of a trip then", f.fail(1).Snapshot.RetryIn, sec)
			same(f, "Openings after it", f.read().Openings, 1)
		},
	},
	{
		"the backoff's exponent is bounded",
		"Openings stop at 1 000 000, and no number of openings overflows the open time.",
		func(f *fixture) {
			for _, shortest := range []time.Duration{ms, day} {
				f.wipe()
				f.policy = store.Policy{ConsecutiveFailures: 1, OpenFor: shortest, OpenForMax: day}
				f.recall("a", store.Known{Generation: 1, State: store.Open, Openings: store.MaxOpening})
				s := f.round(store.Failure)
				same(f, "RetryIn", s.RetryIn, day)
				same(f, "Openings", s.Openings, store.MaxOpening)
			}
		},
	},
	{
		"generations make a chain",
		"Each entry's Prev is the generation before it, and From the state before it.",
		func(f *fixture) {
			f.policy = doubling
			f.trip()
			f.round(store.Failure)
			f.round(store.Success)
			history := f.history()
			same(f, "entries", len(history), 5)
			for i := range history[1:] {
				same(f, "Prev", history[i].Prev, history[i+1].Generation)
				same(f, "From", history[i].From, history[i+1].To)
			}
			same(f, "the newest is the snapshot's", history[0].Generation, f.read().Generation)
		},
	},
	{
		"the newest 50 transitions are kept",
		"History is newest first; 50 are kept, and a limit of 0 or less is 50.",
		func(f *fixture) {
			f.touch()
			for range 30 {
				f.do(store.Trip)
				f.do(store.Reset)
			}
			newest := f.read().Generation
			for limit, want := range map[int]int{-1: 50, 0: 50, 1: 1, 7: 7, 50: 50, 1000: 50} {
				history, err := f.store.History(f.ctx, tier, limit)
				if err != nil {
					f.Fatal(err)
				}
				same(f, "entries", len(history), want)
				for i, e := range history {
					same(f, "generation", e.Generation, newest-uint64(i))
				}
			}
		},
	},
	{
		"doubling reaches the longest open time",
		"The open time doubles with each opening until it is OpenForMax, however far that is from OpenFor.",
		func(f *fixture) {
			f.policy = store.Policy{ConsecutiveFailures: 1, OpenFor: ms, OpenForMax: day}
			want := ms
			same(f, "the trip's", f.trip().Snapshot.RetryIn, want)
			for want < day {
				want = min(2*want, day)
				same(f, "RetryIn", f.round(store.Failure).RetryIn, want)
			}
		},
	},
	{
		"what began an outage is kept",
		"The entry since which the breaker was not closed is kept behind the newest 50, whole, for as long as it is not closed.",
		func(f *fixture) {
			f.policy = doubling
			f.tell("b", store.Run{Outcome: store.Failure, Label: "503", Count: 1})
			began := f.newest()
			for i := range 40 {
				f.round(store.Failure)
				history := f.history()
				same(f, "entries", len(history), min(3+2*i, 51))
				same(f, "the oldest", history[len(history)-1], began)
			}
			for limit, want := range map[int]int{1: 1, 50: 50, 51: 51, 1000: 51} {
				history, err := f.store.History(f.ctx, tier, limit)
				if err != nil {
					f.Fatal(err)
				}
				same(f, "entries", len(history), want)
			}
			f.round(store.Success)
			same(f, "entries once it is closed", len(f.history()), 50)
			f.trip()
			f.force(store.ForceClosed, 0)
			f.force(store.ForceOpen, 0)
			forced := f.newest()
			for range 60 {
				f.do(store.Trip)
			}
			history := f.history()
			same(f, "entries below a force", len(history), 51)
			same(f, "the oldest", history[50], forced)
		},
	},
}
