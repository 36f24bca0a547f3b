package storetest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/commontrip/commontrip/store"
)

// wantUnknown wants a command to be for a breaker that nobody knows.
func (w *world) wantUnknown(c store.Command) {
	w.Helper()
	_, err := w.store.Command(w.ctx, c)
	truly(w, fmt.Sprintf("%v of %s is ErrUnknown (%v)", c.Action, c.Name, err), errors.Is(err, store.ErrUnknown) && !errors.Is(err, store.ErrInvalid))
}

var commandRules = []rule{
	{
		"a command makes no breaker",
		"A command for a name that Read does not show is ErrUnknown and stores nothing.",
		func(w *world) {
			for a := store.ForceOpen; a <= store.Restore; a++ {
				w.wantUnknown(store.Command{Name: tier, Action: a, By: oncall})
			}
			same(w, "breakers", len(w.readAll()), 0)
		},
	},
	{
		"force open stands above the state",
		"ForceOpen refuses all and makes no generation: the state stays below it. It is in the history with From = To, the new Rev, who and why.",
		func(w *world) {
			generation := w.trip().Snapshot.Generation
			w.after(sec)
			result := w.command(store.Command{Action: store.ForceOpen, Why: "INC-42"})
			s := result.Snapshot
			same(w, "mode, state, effective", []any{s.Mode, s.State, s.Effective()}, []any{store.ForcedOpen, store.Open, store.Open})
			same(w, "generation, rev", []uint64{s.Generation, s.Rev}, []uint64{generation, w.clock.millis()})
			same(w, "note", []any{s.ModeNote.By, s.ModeNote.Why, s.ModeNote.Timed}, []any{oncall, "INC-42", false})
			same(w, "RetryIn is the state's", s.RetryIn, minute-sec)
			same(w, "reason is the state's", s.Reason, store.ByConsecutiveFailures)
			want := store.Transition{
				Name: tier, From: store.Open, To: store.Open, Mode: store.ForcedOpen, Prev: generation, Generation: generation,
				Rev: s.Rev, Action: store.ForceOpen, Reason: store.ByOperator, Cause: oncall, Why: "INC-42",
			}
			w.wantEntry(result.Made, want)
		},
	},
	{
		"force closed admits all",
		"ForceClosed admits all, whatever the state.",
		func(w *world) {
			w.trip()
			s := w.do(store.ForceClosed).Snapshot
			same(w, "mode, state, effective", []any{s.Mode, s.State, s.Effective()}, []any{store.ForcedClosed, store.Open, store.Closed})
		},
	},
	{
		"a forced breaker only counts",
		"Under a forced mode outcomes go to the totals only, late ones to Late: no window, streak or label, and nothing trips.",
		func(w *world) {
			w.fail(3)
			for _, a := range []store.Action{store.ForceClosed, store.ForceOpen} {
				w.do(a)
				w.tell("a", labelled("timeout", 50), successes(1), aged(hour, failures(7)), ignored(2))
			}
			s := w.read()
			same(w, "state", s.State, store.Closed)
			same(w, "window", s.Window, store.Tally{Calls: 3, Failures: 3, Consecutive: 3})
			same(w, "labels", len(s.Errors), 0)
			same(w, "totals", s.Totals, store.Totals{Calls: 105, Failures: 103, Ignored: 4, Late: 14})
			same(w, "roster's counts", []uint64{w.member("a").Calls, w.member("a").Failures}, []uint64{105, 103})
		},
	},
	{
		"lifting force open lets only probes through",
		"When ForceOpen ends the breaker is half-open, in a new generation: no herd.",
		func(w *world) {
			w.touch()
			w.do(store.ForceOpen)
			w.after(sec)
			result := w.do(store.Lift)
			s := result.Snapshot
			same(w, "mode, state", []any{s.Mode, s.State}, []any{store.Auto, store.HalfOpen})
			same(w, "generation, rev", []uint64{s.Generation, s.Rev}, []uint64{w.clock.millis(), w.clock.millis()})
			same(w, "note", s.ModeNote, store.Note{})
			w.wantEntry(result.Made, store.Transition{
				Name: tier, From: store.Closed, To: store.HalfOpen, Generation: s.Generation, Rev: s.Rev, Action: store.Lift,
				Reason: store.ByOperator, Cause: oncall,
			})
			w.lease("a")
		},
	},
	{
		"lifting force closed closes with an empty window",
		"When ForceClosed ends the breaker is closed, with an empty window, in a new generation even where it was closed below.",
		func(w *world) {
			w.fail(3)
			w.do(store.ForceClosed)
			w.after(sec)
			s := w.do(store.Lift).Snapshot
			same(w, "mode, state", []any{s.Mode, s.State}, []any{store.Auto, store.Closed})
			same(w, "generation", s.Generation, w.clock.millis())
			same(w, "window", s.Window, store.Tally{})
			w.trip()
			w.do(store.ForceClosed)
			same(w, "state lifted over an open one", w.do(store.Lift).Snapshot.State, store.Closed)
		},
	},
	{
		"a force replaces a force",
		"A force replaces a force without ending it: the last one's end is what counts, and no generation is made.",
		func(w *world) {
			w.touch()
			w.force(store.ForceOpen, sec)
			w.force(store.ForceClosed, minute)
			w.after(sec)
			s := w.touch().Snapshot
			same(w, "mode, generation", []any{s.Mode, s.Generation}, []any{store.ForcedClosed, uint64(0)})
			same(w, "left", s.ModeNote.EndsIn, minute-sec)
			w.force(store.ForceClosed, 0)
			truly(w, "it stands until lifted", !w.read().ModeNote.Timed)
			same(w, "entries", len(w.history()), 3)
		},
	},
	{
		"trip opens once",
		"Trip is one ordinary trip: open for the policy's time, by the operator, one opening counted; Rev does not grow.",
		func(w *world) {
			w.fail(3)
			result := w.command(store.Command{Action: store.Trip, Why: "drill"})
			s := result.Snapshot
			same(w, "state, RetryIn, Openings, rev", []any{s.State, s.RetryIn, s.Openings, s.Rev}, []any{store.Open, minute, 1, uint64(0)})
			same(w, "Reason, Cause", []string{string(s.Reason), s.Cause}, []string{"operator", oncall})
			w.wantEntry(result.Made, store.Transition{
				Name: tier, From: store.Closed, To: store.Open, Generation: w.clock.millis(), Action: store.Trip, Reason: store.ByOperator,
				Cause: oncall, Why: "drill", Window: store.Tally{Calls: 3, Failures: 3, Consecutive: 3},
			})
		},
	},
	{
		"a trip's own time is not cut",
		"For of a Trip is the period instead of the policy's, not cut by OpenForMax; Openings move as ever.",
		func(w *world) {
			w.touch()
			s := w.force(store.Trip, 100*hour).Snapshot
			same(w, "RetryIn, Openings", []any{s.RetryIn, s.Openings}, []any{100 * hour, 1})
		},
	},
	{
		"trip while open starts the period anew",
		"Trip while open starts the period anew with the step of backoff that it had: Openings stay, the generation is new.",
		func(w *world) {
			w.policy = doubling
			w.trip()
			first := w.round(store.Failure)
			w.after(sec)
			s := w.do(store.Trip).Snapshot
			same(w, "RetryIn, Openings", []any{s.RetryIn, s.Openings}, []any{2 * sec, 2})
			truly(w, "the generation is new", s.Generation > first.Generation)
			w.after(2 * sec)
			w.lease("a")
			s = w.do(store.Trip).Snapshot
			same(w, "RetryIn, Openings from half-open", []any{s.RetryIn, s.Openings}, []any{4 * sec, 3})
		},
	},
	{
		"reset closes and forgets",
		"Reset closes, empties window and backoff, and always makes a new generation.",
		func(w *world) {
			w.policy = doubling
			w.trip()
			w.round(store.Failure)
			s := w.do(store.Reset).Snapshot
			same(w, "state, Openings", []any{s.State, s.Openings}, []any{store.Closed, 0})
			w.policy = lenient
			w.retune(lenient, 0)
			w.fail(3)
			before := w.read()
			after := w.do(store.Reset).Snapshot
			truly(w, "a reset in closed makes a generation", after.Generation > before.Generation)
			same(w, "window", after.Window, store.Tally{})
		},
	},
	{
		"trip and reset leave mode and policy",
		"Trip and Reset move the state below a standing mode and leave mode and policy.",
		func(w *world) {
			w.touch()
			w.do(store.ForceClosed)
			w.retune(another, 0)
			s := w.do(store.Trip).Snapshot
			same(w, "mode, state, policy", []any{s.Mode, s.State, s.Policy}, []any{store.ForcedClosed, store.Open, another})
			s = w.do(store.Reset).Snapshot
			same(w, "mode, state, policy", []any{s.Mode, s.State, s.Policy}, []any{store.ForcedClosed, store.Closed, another})
		},
	},
	{
		"a retune is in the history",
		"Retune and Restore are in the history with From = To and the new Rev, and make no generation.",
		func(w *world) {
			generation := w.trip().Snapshot.Generation
			for _, a := range []store.Action{store.Retune, store.Restore} {
				result := w.do(a)
				w.wantEntry(result.Made, store.Transition{
					Name: tier, From: store.Open, To: store.Open, Prev: generation, Generation: generation, Rev: result.Snapshot.Rev,
					Action: a, Reason: store.ByOperator, Cause: oncall,
				})
			}
		},
	},
	{
		"a retune leaves a running period",
		"Retune keeps the state: an open time that runs is not shortened; the next one is by the new policy.",
		func(w *world) {
			w.trip()
			w.retune(doubling, 0)
			same(w, "RetryIn", w.read().RetryIn, minute)
			same(w, "RetryIn of the next", w.round(store.Failure).RetryIn, 2*sec)
		},
	},
	{
		"lift and restore with nothing standing do nothing",
		"Lift and Restore with nothing standing leave no trace.",
		func(w *world) {
			w.trip()
			for _, a := range []store.Action{store.Lift, store.Restore} {
				w.wantUnchanged(a.String(), func() {
					truly(w, "nothing is made", w.do(a).Made == nil)
				})
			}
		},
	},
	{
		"lift and restore are two things",
		"Lift ends a forced mode and leaves the policy, Restore ends a retuned policy and leaves the mode.",
		func(w *world) {
			w.touch()
			w.do(store.ForceClosed)
			w.retune(another, 0)
			s := w.do(store.Restore).Snapshot
			same(w, "mode, policy", []any{s.Mode, s.Policy}, []any{store.ForcedClosed, w.policy})
			w.retune(another, 0)
			s = w.do(store.Lift).Snapshot
			same(w, "mode, policy", []any{s.Mode, s.Policy}, []any{store.Auto, another})
		},
	},
	{
		"a bad command is refused",
		"By is required, For belongs to commands that stand and to Trip and is at most 30 days, a retuned policy is validated: a bad command changes nothing.",
		func(w *world) {
			w.touch()
			for what, c := range map[string]store.Command{
				"no action":            {By: oncall},
				"an unknown action":    {Action: 8, By: oncall},
				"nobody":               {Action: store.Trip},
				"a By of two lines":    {Action: store.Trip, By: "a\nb"},
				"a long By":            {Action: store.Trip, By: strings.Repeat("x", 201)},
				"a long Why":           {Action: store.Trip, By: oncall, Why: strings.Repeat("x", 201)},
				"a Why of two lines":   {Action: store.Trip, By: oncall, Why: "a\nb"},
				"a timed Lift":         {Action: store.Lift, By: oncall, For: sec},
				"a timed Reset":        {Action: store.Reset, By: oncall, For: sec},
				"a timed Restore":      {Action: store.Restore, By: oncall, For: sec},
				"a For below 0":        {Action: store.ForceOpen, By: oncall, For: -1},
				"more than 30 days":    {Action: store.ForceOpen, By: oncall, For: store.MaxFor + 1},
				"a bad policy":         {Action: store.Retune, By: oncall, Policy: store.Policy{FailureRate: 2}},
				"two kinds of windows": {Action: store.Retune, By: oncall, Policy: store.Policy{WindowCalls: 5, WindowTime: minute}},
			} {
				c.Name = tier
				w.wantUnchanged(what, func() {
					_, err := w.store.Command(w.ctx, c)
					truly(w, fmt.Sprintf("%s is refused as invalid (%v)", what, err), errors.Is(err, store.ErrInvalid))
				})
			}
			w.command(store.Command{Action: store.ForceOpen, By: strings.Repeat("é", 100), Why: strings.Repeat("x", 200), For: store.MaxFor})
		},
	},
	{
		"who and why come back as they were said",
		"Notes keep what was said, character by character.",
		func(w *world) {
			w.touch()
			for _, said := range []string{"a b", `"x",|:;{}[]`, "100 %", "é世界", "-1", "0"} {
				s := w.command(store.Command{Action: store.ForceOpen, By: said, Why: said}).Snapshot
				same(w, "the note", []string{s.ModeNote.By, s.ModeNote.Why}, []string{said, said})
				same(w, "the entry", []string{w.newest().Cause, w.newest().Why}, []string{said, said})
			}
		},
	},
	{
		"effective goes mode, observe, state",
		"A standing mode rules over everything, a policy that observes over the state.",
		func(w *world) {
			w.policy.Observe = true
			w.trip()
			same(w, "observing", w.read().Effective(), store.Closed)
			same(w, "forced open", w.do(store.ForceOpen).Snapshot.Effective(), store.Open)
		},
	},
}

// wantEntry compares what a script made, and the newest entry of the history, with want, but for the time of day.
func (w *world) wantEntry(made *store.Transition, want store.Transition) {
	w.Helper()
	if made == nil {
		w.Fatalf("nothing was made; want %+v", want)
	}
	newest := w.newest()
	same(w, "At", []int64{made.At.UnixMilli(), newest.At.UnixMilli()}, []int64{int64(w.clock.millis()), int64(w.clock.millis())})
	got := *made
	got.At, newest.At = time.Time{}, time.Time{}
	same(w, "Made", plain(got), plain(want))
	same(w, "the newest entry", plain(newest), plain(want))
}

// plain makes empty lists nil.
func plain(t store.Transition) store.Transition {
	if len(t.Errors) == 0 {
		t.Errors = nil
	}
	if len(t.Witnesses) == 0 {
		t.Witnesses = nil
	}
	return t
}
