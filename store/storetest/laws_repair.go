package storetest

import (
	"errors"
	"time"

	"github.com/commontrip/commontrip/store"
)

var repairRules = []rule{
	{
		"a store that lost an open verdict takes it back",
		"A Known above the store's own number means that the store lost data: it adopts generation, state, reason, cause, Openings and what is left of the open time.",
		func(w *world) {
			lost := w.trip().Snapshot
			w.wipe()
			w.after(10 * sec)
			known := knownFrom(lost)
			known.RetryIn = 50 * sec
			s := w.recall("b", known).Snapshot
			same(w, "adopted", knownFrom(s), known)
			same(w, "Since", s.Since.UnixMilli(), w.clock.Now().UnixMilli())
			same(w, "Age", s.Age, time.Duration(0))
		},
	},
	{
		"a lower or equal Known moves nothing",
		"Only a Known above the store's own number repairs; where the numbers are equal the store's word wins.",
		func(w *world) {
			old := w.trip().Snapshot
			w.after(ms)
			now := w.do(store.Reset).Snapshot
			w.recall("b", knownFrom(old))
			w.wantState(store.Closed)
			lie := knownFrom(now)
			lie.State, lie.RetryIn, lie.Openings = store.Open, minute, 7
			w.recall("c", lie)
			w.wantState(store.Closed)
			same(w, "Generation", w.read().Generation, now.Generation)
			same(w, "Openings", w.read().Openings, 0)
		},
	},
	{
		"an adoption is history and no transition",
		"Adopting a generation is written to the history (From = To, by repair, the replica that brought it, the store's old number) and has no Made.",
		func(w *world) {
			lost := w.trip().Snapshot
			w.wipe()
			result := w.recall("b", knownFrom(lost))
			truly(w, "nobody made it", result.Made == nil)
			history := w.history()
			same(w, "entries", len(history), 1)
			e := history[0]
			same(w, "From, To", []store.State{e.From, e.To}, []store.State{store.Open, store.Open})
			same(w, "Prev, Generation", []uint64{e.Prev, e.Generation}, []uint64{0, lost.Generation})
			same(w, "Reason, Cause", []string{string(e.Reason), e.Cause}, []string{"repair", "b"})
			same(w, "the snapshot's Reason", result.Snapshot.Reason, store.ByConsecutiveFailures)
		},
	},
	{
		"an adopted open time is cut by the policy",
		"The remaining open time is taken as sent, at most OpenForMax.",
		func(w *world) {
			w.policy.OpenFor, w.policy.OpenForMax = sec, 5*sec
			s := w.recall("a", store.Known{Generation: w.clock.millis(), State: store.Open, RetryIn: hour}).Snapshot
			same(w, "RetryIn", s.RetryIn, 5*sec)
		},
	},
	{
		"an adopted open time that is over waits for a claim",
		"A Known that is open with nothing left is open with its time over: the next claim makes it half-open.",
		func(w *world) {
			w.recall("a", store.Known{Generation: w.clock.millis(), State: store.Open, Openings: 1})
			w.wantState(store.Open)
			same(w, "RetryIn", w.read().RetryIn, time.Duration(0))
			w.lease("a")
			w.wantState(store.HalfOpen)
		},
	},
	{
		"a known half-open becomes open for one lease",
		"A known half-open becomes open for ProbeLease, as a new generation, so that lost leases have ended.",
		func(w *world) {
			w.probe("a", 1)
			lost := w.read()
			w.wipe()
			w.after(ms)
			result := w.recall("b", knownFrom(lost))
			s := result.Snapshot
			same(w, "state", s.State, store.Open)
			same(w, "RetryIn", s.RetryIn, w.policy.ProbeLease)
			same(w, "Openings", s.Openings, lost.Openings)
			truly(w, "the generation is a new one", s.Generation > lost.Generation)
			if result.Made == nil {
				w.Fatal("the transition was made by nobody")
			}
			same(w, "From, To", []store.State{result.Made.From, result.Made.To}, []store.State{store.HalfOpen, store.Open})
			same(w, "Prev", result.Made.Prev, lost.Generation)
			same(w, "Reason", result.Made.Reason, store.ByRepair)
			same(w, "entries", len(w.history()), 2)
		},
	},
	{
		"adopting a generation starts it empty",
		"Not adopted: window, leases, probe tallies. Adopting a generation empties window, labels and leases, and keeps totals.",
		func(w *world) {
			w.probe("a", 2)
			w.tell("a", labelled("timeout", 2))
			totals := w.read().Totals
			s := w.recall("b", store.Known{Generation: w.read().Generation + 1}).Snapshot
			same(w, "state", s.State, store.Closed)
			same(w, "window", s.Window, store.Tally{})
			same(w, "labels", len(s.Errors), 0)
			same(w, "live leases", s.Probing, 0)
			same(w, "totals", s.Totals, totals)
		},
	},
	{
		"outcomes of an adopted generation are judged",
		"Repair comes before the outcomes: those of the generation just adopted are current.",
		func(w *world) {
			r := w.report("a", failures(5))
			r.Generation = w.clock.millis()
			r.Known = store.Known{Generation: w.clock.millis()}
			same(w, "state", w.send(r).Snapshot.State, store.Open)
		},
	},
	{
		"a standing force comes back with its note",
		"By Rev the store adopts mode and notes, timed ones with what is left of them.",
		func(w *world) {
			w.touch()
			lost := w.command(store.Command{Action: store.ForceOpen, For: minute, Why: "INC-42"}).Snapshot
			w.wipe()
			w.after(10 * sec)
			known := knownFrom(lost)
			known.ModeNote.EndsIn = 50 * sec
			s := w.recall("b", known).Snapshot
			same(w, "Mode", s.Mode, store.ForcedOpen)
			same(w, "Rev", s.Rev, lost.Rev)
			same(w, "the note", s.ModeNote, known.ModeNote)
			w.after(50 * sec)
			same(w, "Mode at its end", w.touch().Snapshot.Mode, store.Auto)
		},
	},
	{
		"a retuned policy comes back",
		"By Rev the store adopts a retuned policy and its note; the fleet's own policy is the report's.",
		func(w *world) {
			w.touch()
			tuned := store.FleetPolicy()
			lost := w.retune(tuned, 0).Snapshot
			w.wipe()
			s := w.recall("b", knownFrom(lost)).Snapshot
			same(w, "policy", s.Policy, tuned)
			truly(w, "it is retuned", s.Retuned)
			same(w, "the note", s.PolicyNote, lost.PolicyNote)
			same(w, "policy after Restore", w.do(store.Restore).Snapshot.Policy, w.policy)
		},
	},
	{
		"a lower Rev brings no command back",
		"Mode and retuned policy go by Rev alone: a force that was lifted stays lifted.",
		func(w *world) {
			w.touch()
			forced := w.do(store.ForceOpen).Snapshot
			w.after(ms)
			w.do(store.Lift)
			w.recall("b", knownFrom(forced))
			same(w, "Mode", w.read().Mode, store.Auto)
		},
	},
	{
		"each number is adopted on its own",
		"Generation and Rev are compared and adopted each on its own, Rev first.",
		func(w *world) {
			now := w.trip().Snapshot
			known := store.Known{Rev: w.clock.millis(), Mode: store.ForcedClosed, ModeNote: store.Note{By: oncall}}
			s := w.recall("b", known).Snapshot
			same(w, "Mode", s.Mode, store.ForcedClosed)
			same(w, "generation and state", []any{s.Generation, s.State}, []any{now.Generation, store.Open})
			known = store.Known{Generation: now.Generation + 1}
			s = w.recall("b", known).Snapshot
			same(w, "Mode after a higher generation", s.Mode, store.ForcedClosed)
			same(w, "state after a higher generation", s.State, store.Closed)
		},
	},
	{
		"adopting only a Rev empties nothing",
		"Adopting only a Rev writes no entry to the history and leaves the window.",
		func(w *world) {
			w.fail(3)
			result := w.recall("b", store.Known{Rev: 1})
			same(w, "Rev", result.Snapshot.Rev, uint64(1))
			w.wantWindow(3, 3, 0, 3)
			same(w, "entries", len(w.history()), 0)
		},
	},
	{
		"a force of which nothing is left ends at once",
		"Of a timed command nothing may be left: expiry, later in the same script, ends it.",
		func(w *world) {
			result := w.recall("b", store.Known{
				Rev: w.clock.millis(), Mode: store.ForcedOpen, ModeNote: store.Note{By: oncall, Timed: true},
			})
			same(w, "Mode", result.Snapshot.Mode, store.Auto)
			same(w, "state", result.Snapshot.State, store.HalfOpen)
			truly(w, "the report is told that it made it", result.Made != nil && result.Made.Reason == store.ByTime)
		},
	},
	{
		"an adopted end is cut to 30 days",
		"A Known's EndsIn is cut to 30 days and not refused.",
		func(w *world) {
			s := w.recall("b", store.Known{
				Rev: 1, Mode: store.ForcedOpen, ModeNote: store.Note{By: oncall, Timed: true, EndsIn: 1000 * day},
			}).Snapshot
			same(w, "EndsIn", s.ModeNote.EndsIn, store.MaxFor)
		},
	},
	{
		"a Known from beyond tomorrow is refused",
		"A Known that is above the store's and more than 24 h above now is refused, for that report alone, and spends no Seq.",
		func(w *world) {
			tomorrow := w.clock.millis() + uint64(day.Milliseconds())
			for _, known := range []store.Known{{Generation: tomorrow + 1}, {Rev: tomorrow + 1}} {
				bad := w.report("a", failures(1))
				bad.Known = known
				results := w.store.Sync(w.ctx, []store.Report{bad, w.report("b", failures(1))})
				truly(w, "it is refused as invalid", errors.Is(results[0].Err, store.ErrInvalid))
				truly(w, "its neighbour is not", results[1].Err == nil)
				w.seqs[[2]string{tier, "a"}]--
			}
			w.wantWindow(2, 2, 0, 2)
			s := w.recall("a", store.Known{Generation: tomorrow, Rev: tomorrow}).Snapshot
			same(w, "numbers exactly 24 h ahead", []uint64{s.Generation, s.Rev}, []uint64{tomorrow, tomorrow})
			s = w.recall("a", store.Known{Generation: tomorrow}).Snapshot
			same(w, "a Known that is not above", s.Generation, tomorrow)
		},
	},
	{
		"a bad Known changes nothing",
		"A Known is validated, where something stands in it; a bad one refuses its request, which changes nothing and spends no Seq.",
		func(w *world) {
			w.touch()
			for _, k := range []store.Known{
				{RetryIn: -1},
				{Openings: -1},
				{Openings: store.MaxOpening + 1},
				{State: 3},
				{Mode: 3},
				{Generation: store.MaxNumber + 1},
				{Rev: store.MaxNumber + 1},
				{Cause: "a\nb"},
				{Mode: store.ForcedOpen},
				{Mode: store.ForcedOpen, ModeNote: store.Note{By: oncall, Timed: true, EndsIn: -1}},
				{Retuned: true, PolicyNote: store.Note{By: oncall}, Policy: store.Policy{Probes: -1}},
			} {
				r := w.report("a", failures(1))
				r.Known = k
				w.wantUnchanged("a bad Known", func() {
					truly(w, "it is refused as invalid", errors.Is(w.sync(r).Err, store.ErrInvalid))
				})
				w.seqs[[2]string{tier, "a"}]--
			}
			harmless := store.Known{ModeNote: store.Note{EndsIn: -1}, PolicyNote: store.Note{By: "\n"}, Policy: store.Policy{Probes: -1}}
			w.recall("a", harmless)
		},
	},
	{
		"repair goes by the policy that then stands",
		"OpenForMax and ProbeLease of a repair are those of the retuned policy if one stands after adopting Rev, else the fleet's, else the request's.",
		func(w *world) {
			halfOpen := store.Known{Generation: w.clock.millis(), State: store.HalfOpen}
			w.policy.ProbeLease = 7 * sec
			same(w, "by the request's", w.recall("a", halfOpen).Snapshot.RetryIn, 7*sec)
			w.policy.ProbeLease = 9 * sec
			halfOpen.Generation += 10
			same(w, "by the fleet's", w.recall("a", halfOpen).Snapshot.RetryIn, 7*sec)
			halfOpen.Generation += 10
			halfOpen.Rev, halfOpen.Retuned, halfOpen.PolicyNote = 1, true, store.Note{By: oncall}
			halfOpen.Policy = store.Policy{ProbeLease: 11 * sec}
			same(w, "by the retuned", w.recall("a", halfOpen).Snapshot.RetryIn, 11*sec)
		},
	},
	{
		"a claim repairs too",
		"A claim runs repair, expiry and policy as a report does, and makes a machine where none is; it touches no roster and no conflict.",
		func(w *world) {
			c := w.request("a", 1)
			c.Known = store.Known{Generation: w.clock.millis(), State: store.Open, Openings: 2}
			w.after(ms)
			g := w.ask(c)
			same(w, "leases", len(g.Leases), 1)
			same(w, "state", g.Snapshot.State, store.HalfOpen)
			same(w, "Openings", g.Snapshot.Openings, 2)
			same(w, "entries", len(w.history()), 2)
			same(w, "roster", len(w.roster()), 0)
			same(w, "Replicas", g.Snapshot.Replicas, 0)
		},
	},
	{
		"adopting a generation ends its predecessor's leases",
		"Adopting a generation empties leases: the holder of one settles nothing.",
		func(w *world) {
			l := w.probe("a", 1)[0]
			w.recall("b", store.Known{Generation: w.read().Generation + 1, State: store.Open, RetryIn: minute})
			w.wantUnchanged("settling a lease of before", func() { w.settle("a", l, store.Success) })
		},
	},
	{
		"a replica that knows the least harms nobody",
		"A fresh replica's Known is zero and moves nothing.",
		func(w *world) {
			w.trip()
			w.do(store.ForceClosed)
			before := w.read()
			s := w.recall("new", store.Known{}).Snapshot
			same(w, "the verdict", knownFrom(s), knownFrom(before))
		},
	},
	{
		"an adopted note keeps its time of day",
		"An adopted note's At is stored with the clock's offset, so that it is shown as it was said, steps back or not.",
		func(w *world) {
			w.touch()
			w.after(-hour)
			note := store.Note{By: oncall, At: w.clock.Now().Add(-5 * sec)}
			s := w.recall("b", store.Known{Rev: 1, Mode: store.ForcedOpen, ModeNote: note}).Snapshot
			same(w, "At", s.ModeNote.At.UnixMilli(), note.At.UnixMilli())
			same(w, "At as read", w.read().ModeNote.At.UnixMilli(), note.At.UnixMilli())
		},
	},
	{
		"a lease's length is not cut by the open time",
		"A known half-open becomes open for ProbeLease, longer than OpenForMax though it be.",
		func(w *world) {
			w.policy.OpenFor, w.policy.OpenForMax = sec, sec
			s := w.recall("a", store.Known{Generation: w.clock.millis(), State: store.HalfOpen}).Snapshot
			same(w, "RetryIn", s.RetryIn, 30*sec)
		},
	},
	{
		"a number far ahead that the store gave is taken back",
		"A Known more than 24 h ahead is refused only where it is above the store's own number.",
		func(w *world) {
			tomorrow := w.clock.millis() + uint64(day.Milliseconds())
			w.recall("a", store.Known{Generation: tomorrow, Rev: tomorrow})
			w.do(store.Trip)
			s := w.do(store.ForceOpen).Snapshot
			same(w, "generation, rev", []uint64{s.Generation, s.Rev}, []uint64{tomorrow + 1, tomorrow + 1})
			same(w, "state", w.recall("b", knownFrom(s)).Snapshot.State, store.Open)
		},
	},
	{
		"reason and cause are adopted with the generation",
		"Reason and Cause come back as they were told, or empty; the entry in the history says who brought them.",
		func(w *world) {
			k := store.Known{Generation: 7, State: store.Open, RetryIn: sec, Reason: "a reason of tomorrow", Cause: "web-9#f"}
			s := w.recall("b", k).Snapshot
			same(w, "Reason, Cause", []string{string(s.Reason), s.Cause}, []string{"a reason of tomorrow", "web-9#f"})
			s = w.recall("b", store.Known{Generation: 8}).Snapshot
			same(w, "Reason, Cause", []string{string(s.Reason), s.Cause}, []string{"", ""})
			same(w, "the entry's", []string{string(w.newest().Reason), w.newest().Cause}, []string{"repair", "b"})
		},
	},
	{
		"a higher Rev that nothing stands at ends what stood",
		"By Rev the store adopts mode and policy as they are known: that nothing stands too, without an entry and without a generation.",
		func(w *world) {
			w.touch()
			w.do(store.ForceOpen)
			before := w.retune(another, 0).Snapshot
			s := w.recall("b", store.Known{Rev: before.Rev + 1}).Snapshot
			same(w, "mode, note", []any{s.Mode, s.ModeNote}, []any{store.Auto, store.Note{}})
			same(w, "policy, retuned, note", []any{s.Policy, s.Retuned, s.PolicyNote}, []any{w.policy, false, store.Note{}})
			same(w, "generation, state", []any{s.Generation, s.State}, []any{before.Generation, store.Closed})
			same(w, "entries", len(w.history()), 2)
			s = w.recall("b", store.Known{Rev: s.Rev + 1, Retuned: true, Policy: another, PolicyNote: store.Note{By: oncall}}).Snapshot
			same(w, "policy, mode", []any{s.Policy, s.Mode}, []any{another, store.Auto})
			s = w.recall("b", store.Known{Rev: s.Rev + 1, Mode: store.ForcedClosed, ModeNote: store.Note{By: oncall}}).Snapshot
			same(w, "policy, mode", []any{s.Policy, s.Mode}, []any{w.policy, store.ForcedClosed})
		},
	},
}
