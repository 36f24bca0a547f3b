package storetest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/commontrip/commontrip/store"
)

// wantUnknown wants a command to be for a breaker that nobody knows.
func (f *fixture) wantUnknown(c store.Command) {
	f.Helper()
	_, err := f.store.Command(f.ctx, c)
	truly(f, fmt.Sprintf("%v of %s is ErrUnknown (%v)", c.Action, c.Name, err), errors.Is(err, store.ErrUnknown) && !errors.Is(err, store.ErrInvalid))
}

var commandRules = []rule{
	{
		"a command makes no breaker",
		"A command for a name that Read does not show is ErrUnknown and stores nothing.",
		func(f *fixture) {
			for a := store.ForceOpen; a <= store.Restore; a++ {
				f.wantUnknown(store.Command{Name: tier, Action: a, By: oncall})
			}
			same(f, "breakers", len(f.readAll()), 0)
		},
	},
	{
		"force open stands above the state",
		"ForceOpen refuses all and makes no generation: the state stays below it. It is in the history with From = To, the new Rev, who and why.",
		func(f *fixture) {
			generation := f.trip().Snapshot.Generation
			f.after(sec)
			result := f.command(store.Command{Action: store.ForceOpen, Why: "INC-42"})
			s := result.Snapshot
			same(f, "mode, state, effective", []any{s.Mode, s.State, s.Effective()}, []any{store.ForcedOpen, store.Open, store.Open})
			same(f, "generation, rev", []uint64{s.Generation, s.Rev}, []uint64{generation, f.clock.millis()})
			same(f, "note", []any{s.ModeNote.By, s.ModeNote.Why, s.ModeNote.Timed}, []any{oncall, "INC-42", false})
			same(f, "RetryIn is the state's", s.RetryIn, minute-sec)
			same(f, "reason is the state's", s.Reason, store.ByConsecutiveFailures)
			want := store.Transition{
				Name: tier, From: store.Open, To: store.Open, Mode: store.ForcedOpen, Prev: generation, Generation: generation,
				Rev: s.Rev, Action: store.ForceOpen, Reason: store.ByOperator, Cause: oncall, Why: "INC-42",
			}
			f.wantEntry(result.Made, want)
		},
	},
	{
		"force closed admits all",
		"ForceClosed admits all, whatever the state.",
		func(f *fixture) {
			f.trip()
			s := f.do(store.ForceClosed).Snapshot
			same(f, "mode, state, effective", []any{s.Mode, s.State, s.Effective()}, []any{store.ForcedClosed, store.Open, store.Closed})
		},
	},
	{
		"a forced breaker only counts",
		"Under a forced mode outcomes go to the totals only, late ones to Late: no window, streak or label, and nothing trips.",
		func(f *fixture) {
			f.fail(3)
			for _, a := range []store.Action{store.ForceClosed, store.ForceOpen} {
				f.do(a)
				f.tell("a", labelled("timeout", 50), successes(1), aged(hour, failures(7)), ignored(2))
			}
			s := f.read()
			same(f, "state", s.State, store.Closed)
			same(f, "window", s.Window, store.Tally{Calls: 3, Failures: 3, Consecutive: 3})
			same(f, "labels", len(s.Errors), 0)
			same(f, "totals", s.Totals, store.Totals{Calls: 105, Failures: 103, Ignored: 4, Late: 14})
			same(f, "roster's counts", []uint64{f.member("a").Calls, f.member("a").Failures}, []uint64{105, 103})
		},
	},
	{
		"lifting force open lets only probes through",
		"When ForceOpen ends the breaker is half-open, in a new generation: no thundering herd. A reset before the force changes nothing of that.",
		func(f *fixture) {
			f.touch()
			f.do(store.Reset)
			f.do(store.ForceOpen)
			f.after(sec)
			result := f.do(store.Lift)
			s := result.Snapshot
			same(f, "mode, state", []any{s.Mode, s.State}, []any{store.Auto, store.HalfOpen})
			same(f, "generation, rev", []uint64{s.Generation, s.Rev}, []uint64{f.clock.millis(), f.clock.millis()})
			same(f, "note", s.ModeNote, store.Note{})
			f.wantEntry(result.Made, store.Transition{
				Name: tier, From: store.Closed, To: store.HalfOpen, Prev: s.Generation - 1000, Generation: s.Generation, Rev: s.Rev,
				Action: store.Lift, Reason: store.ByOperator, Cause: oncall,
			})
			f.lease("a")
		},
	},
	{
		"lifting force closed closes with an empty window",
		"When ForceClosed ends the breaker is closed, with an empty window, in a new generation, unless an open time still runs below.",
		func(f *fixture) {
			f.fail(3)
			f.do(store.ForceClosed)
			f.after(sec)
			s := f.do(store.Lift).Snapshot
			same(f, "mode, state", []any{s.Mode, s.State}, []any{store.Auto, store.Closed})
			same(f, "generation", s.Generation, f.clock.millis())
			same(f, "window", s.Window, store.Tally{})
			f.trip()
			f.do(store.ForceClosed)
			f.after(minute)
			same(f, "state lifted over an open time that is over", f.do(store.Lift).Snapshot.State, store.Closed)
		},
	},
	{
		"a force replaces a force",
		"A force replaces a force without ending it: the last one's end is what counts, and no generation is made.",
		func(f *fixture) {
			f.touch()
			f.force(store.ForceOpen, sec)
			f.force(store.ForceClosed, minute)
			f.after(sec)
			s := f.touch().Snapshot
			same(f, "mode, generation", []any{s.Mode, s.Generation}, []any{store.ForcedClosed, uint64(0)})
			same(f, "left", s.ModeNote.EndsIn, minute-sec)
			f.force(store.ForceClosed, 0)
			truly(f, "it stands until lifted", !f.read().ModeNote.Timed)
			same(f, "entries", len(f.history()), 3)
		},
	},
	{
		"trip opens once",
		"Trip is one ordinary trip: open for the policy's time, by the operator, one opening counted; Rev does not grow.",
		func(f *fixture) {
			f.fail(3)
			result := f.command(store.Command{Action: store.Trip, Why: "drill"})
			s := result.Snapshot
			same(f, "state, RetryIn, Openings, rev", []any{s.State, s.RetryIn, s.Openings, s.Rev}, []any{store.Open, minute, 1, uint64(0)})
			same(f, "Reason, Cause", []string{string(s.Reason), s.Cause}, []string{"operator", oncall})
			f.wantEntry(result.Made, store.Transition{
				Name: tier, From: store.Closed, To: store.Open, Generation: f.clock.millis(), Action: store.Trip, Reason: store.ByOperator,
				Cause: oncall, Why: "drill", Window: store.Tally{Calls: 3, Failures: 3, Consecutive: 3},
			})
		},
	},
	{
		"a trip's own time is not cut",
		"For of a Trip is the period instead of the policy's, not cut by OpenForMax; Openings move as ever.",
		func(f *fixture) {
			f.touch()
			s := f.force(store.Trip, 100*hour).Snapshot
			same(f, "RetryIn, Openings", []any{s.RetryIn, s.Openings}, []any{100 * hour, 1})
		},
	},
	{
		"trip while open starts the period anew",
		"Trip while open starts the period again with the step of backoff that it had: Openings stay, the generation is new.",
		func(f *fixture) {
			f.policy = doubling
			f.trip()
			first := f.round(store.Failure)
			f.after(sec)
			s := f.do(store.Trip).Snapshot
			same(f, "RetryIn, Openings", []any{s.RetryIn, s.Openings}, []any{2 * sec, 2})
			truly(f, "the generation is new", s.Generation > first.Generation)
			f.after(2 * sec)
			f.lease("a")
			s = f.do(store.Trip).Snapshot
			same(f, "RetryIn, Openings from half-open", []any{s.RetryIn, s.Openings}, []any{4 * sec, 3})
		},
	},
	{
		"reset closes and forgets",
		"Reset closes, empties window and backoff, and always makes a new generation.",
		func(f *fixture) {
			f.policy = doubling
			f.trip()
			f.round(store.Failure)
			s := f.do(store.Reset).Snapshot
			same(f, "state, Openings", []any{s.State, s.Openings}, []any{store.Closed, 0})
			f.policy = lenient
			f.retune(lenient, 0)
			f.fail(3)
			before := f.read()
			after := f.do(store.Reset).Snapshot
			truly(f, "a reset in closed makes a generation", after.Generation > before.Generation)
			same(f, "window", after.Window, store.Tally{})
		},
	},
	{
		"trip and reset leave mode and policy",
		"Trip and Reset move the state below a standing mode and leave mode and policy.",
		func(f *fixture) {
			f.touch()
			f.do(store.ForceClosed)
			f.retune(another, 0)
			s := f.do(store.Trip).Snapshot
			same(f, "mode, state, policy", []any{s.Mode, s.State, s.Policy}, []any{store.ForcedClosed, store.Open, another})
			s = f.do(store.Reset).Snapshot
			same(f, "mode, state, policy", []any{s.Mode, s.State, s.Policy}, []any{store.ForcedClosed, store.Closed, another})
		},
	},
	{
		"a retune is in the history",
		"Retune and Restore are in the history with From = To and the new Rev, and make no generation.",
		func(f *fixture) {
			generation := f.trip().Snapshot.Generation
			for _, a := range []store.Action{store.Retune, store.Restore} {
				result := f.do(a)
				f.wantEntry(result.Made, store.Transition{
					Name: tier, From: store.Open, To: store.Open, Prev: generation, Generation: generation, Rev: result.Snapshot.Rev,
					Action: a, Reason: store.ByOperator, Cause: oncall,
				})
			}
		},
	},
	{
		"a retune leaves a running period",
		"Retune keeps the state: an open time that runs is not shortened; the next one is by the new policy.",
		func(f *fixture) {
			f.trip()
			f.retune(doubling, 0)
			same(f, "RetryIn", f.read().RetryIn, minute)
			same(f, "RetryIn of the next", f.round(store.Failure).RetryIn, 2*sec)
		},
	},
	{
		"lift and restore with nothing standing do nothing",
		"Lift and Restore with nothing standing leave no trace.",
		func(f *fixture) {
			f.trip()
			for _, a := range []store.Action{store.Lift, store.Restore} {
				f.wantUnchanged(a.String(), func() {
					truly(f, "nothing is made", f.do(a).Made == nil)
				})
			}
		},
	},
	{
		"lift and restore are two things",
		"Lift ends a forced mode and leaves the policy, Restore ends a retuned policy and leaves the mode.",
		func(f *fixture) {
			f.touch()
			f.do(store.ForceClosed)
			f.retune(another, 0)
			s := f.do(store.Restore).Snapshot
			same(f, "mode, policy", []any{s.Mode, s.Policy}, []any{store.ForcedClosed, f.policy})
			f.retune(another, 0)
			s = f.do(store.Lift).Snapshot
			same(f, "mode, policy", []any{s.Mode, s.Policy}, []any{store.Auto, another})
		},
	},
	{
		"a bad command is refused",
		"By is required, For belongs to commands that stand and to Trip and is at most 30 days, a retuned policy is validated: a bad command changes nothing.",
		func(f *fixture) {
			f.touch()
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
				f.wantUnchanged(what, func() {
					_, err := f.store.Command(f.ctx, c)
					truly(f, fmt.Sprintf("%s is refused as invalid (%v)", what, err), errors.Is(err, store.ErrInvalid))
				})
			}
			f.command(store.Command{Action: store.ForceOpen, By: strings.Repeat("é", 100), Why: strings.Repeat("x", 200), For: store.MaxFor})
		},
	},
	{
		"who and why come back as they were said",
		"Notes keep what was said, character by character.",
		func(f *fixture) {
			f.touch()
			for _, said := range []string{"a b", `"x",|:;{}[]`, "100 %", "é世界", "-1", "0"} {
				s := f.command(store.Command{Action: store.ForceOpen, By: said, Why: said}).Snapshot
				same(f, "the note", []string{s.ModeNote.By, s.ModeNote.Why}, []string{said, said})
				same(f, "the entry", []string{f.newest().Cause, f.newest().Why}, []string{said, said})
			}
		},
	},
	{
		"effective goes mode, observe, state",
		"A standing mode rules over everything, a policy that observes over the state.",
		func(f *fixture) {
			f.policy.Observe = true
			f.trip()
			same(f, "observing", f.read().Effective(), store.Closed)
			same(f, "forced open", f.do(store.ForceOpen).Snapshot.Effective(), store.Open)
		},
	},
	{
		"what is open below a force stays open after it",
		"What is open below a forced mode with time left stays open for that time when the mode ends, by whomever, as a new generation.",
		func(f *fixture) {
			for _, mode := range []store.Action{store.ForceOpen, store.ForceClosed} {
				for _, open := range []func(){
					func() { f.do(mode); f.force(store.Trip, 10*minute) },
					func() { f.force(store.Trip, 10*minute); f.do(mode) },
				} {
					f.wipe()
					f.touch()
					open()
					f.after(4 * minute)
					before := f.read()
					result := f.do(store.Lift)
					s := result.Snapshot
					same(f, "mode, state, RetryIn, Openings", []any{s.Mode, s.State, s.RetryIn, s.Openings}, []any{store.Auto, store.Open, 6 * minute, 1})
					same(f, "Since", s.Since, f.clock.Now())
					f.wantEntry(result.Made, store.Transition{
						Name: tier, From: store.Open, To: store.Open, Prev: before.Generation, Generation: f.clock.millis(), Rev: s.Rev,
						Action: store.Lift, Reason: store.ByOperator, Cause: oncall,
					})
					f.wantRefused("a", 6*minute)
					f.after(6 * minute)
					f.lease("a")
					f.after(minute)
				}
			}
			f.wipe()
			f.touch()
			f.force(store.ForceOpen, minute)
			f.force(store.Trip, 10*minute)
			f.after(minute)
			s := f.touch().Snapshot
			same(f, "mode, state, RetryIn after its time", []any{s.Mode, s.State, s.RetryIn}, []any{store.Auto, store.Open, 9 * minute})
		},
	},
	{
		"a reset below a force is kept after it",
		"A Reset that comes after ForceOpen is kept when that ends: the breaker is closed then. A later force takes it back.",
		func(f *fixture) {
			f.trip()
			f.do(store.ForceOpen)
			f.do(store.Reset)
			same(f, "state", f.do(store.Lift).Snapshot.State, store.Closed)
			f.force(store.ForceOpen, minute)
			f.do(store.Reset)
			f.after(minute)
			same(f, "state after its time", f.touch().Snapshot.State, store.Closed)
			f.do(store.ForceOpen)
			f.do(store.Reset)
			f.do(store.ForceOpen)
			same(f, "state after a later force", f.do(store.Lift).Snapshot.State, store.HalfOpen)
			f.do(store.ForceOpen)
			f.do(store.Reset)
			f.do(store.Trip)
			f.after(minute)
			same(f, "state after a later trip", f.do(store.Lift).Snapshot.State, store.HalfOpen)
		},
	},
	{
		"a command brings what its commander knows",
		"A command's Known repairs before the command acts: a force that a failover lost, and that the commander knows, stands on below what the command does.",
		func(f *fixture) {
			f.touch()
			known := knownFrom(f.do(store.ForceOpen).Snapshot)
			f.wipe()
			f.after(ms)
			f.touch()
			_, err := f.store.Command(f.ctx, store.Command{Name: tier, Action: store.Restore, By: "ann", Known: store.Known{Rev: store.MaxNumber}})
			truly(f, "a Known from beyond tomorrow is refused", errors.Is(err, store.ErrInvalid))
			same(f, "Rev after it", f.read().Rev, uint64(0))
			s := f.command(store.Command{Action: store.Retune, Policy: another, By: "ann", Known: known}).Snapshot
			same(f, "Mode, its note", []any{s.Mode, s.ModeNote}, []any{store.ForcedOpen, known.ModeNote})
			same(f, "policy", s.Policy, another)
			truly(f, "Rev grew above both", s.Rev > known.Rev)
			s = f.command(store.Command{Action: store.Lift, Known: known}).Snapshot
			same(f, "Mode, state after a lift", []any{s.Mode, s.State}, []any{store.Auto, store.HalfOpen})
			s = f.command(store.Command{Action: store.Restore, Known: known}).Snapshot
			same(f, "Mode after a lower Known", s.Mode, store.Auto)

			trip := f.do(store.Trip).Snapshot
			f.wipe()
			f.after(ms)
			f.touch()
			result := f.command(store.Command{Action: store.ForceClosed, By: "ann", Known: knownFrom(trip)})
			same(f, "generation, state below the mode", []any{result.Snapshot.Generation, result.Snapshot.State}, []any{trip.Generation, store.Open})
			same(f, "who brought it", f.history()[1].Cause, "ann")
			same(f, "Made", result.Made.Action, store.ForceClosed)
		},
	},
}

// wantEntry compares what a script made, and the newest entry of the history, with want, but for the time of day.
func (f *fixture) wantEntry(made *store.Transition, want store.Transition) {
	f.Helper()
	if made == nil {
		f.Fatalf("nothing was made; want %+v", want)
	}
	newest := f.newest()
	same(f, "At", []int64{made.At.UnixMilli(), newest.At.UnixMilli()}, []int64{int64(f.clock.millis()), int64(f.clock.millis())})
	got := *made
	got.At, newest.At = time.Time{}, time.Time{}
	same(f, "Made", plain(got), plain(want))
	same(f, "the newest entry", plain(newest), plain(want))
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
