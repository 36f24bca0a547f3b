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
		func(f *fixture) {
			lost := f.trip().Snapshot
			f.wipe()
			f.after(10 * sec)
			known := knownFrom(lost)
			known.RetryIn = 50 * sec
			s := f.recall("b", known).Snapshot
			same(f, "adopted", knownFrom(s), known)
			same(f, "Since", s.Since.UnixMilli(), f.clock.Now().UnixMilli())
			same(f, "Age", s.Age, time.Duration(0))
		},
	},
	{
		"a lower or equal Known moves nothing",
		"Only a Known above the store's own number repairs; if the numbers are equal the store's word wins.",
		func(f *fixture) {
			old := f.trip().Snapshot
			f.after(ms)
			now := f.do(store.Reset).Snapshot
			f.recall("b", knownFrom(old))
			f.wantState(store.Closed)
			lie := knownFrom(now)
			lie.State, lie.RetryIn, lie.Openings = store.Open, minute, 7
			f.recall("c", lie)
			f.wantState(store.Closed)
			same(f, "Generation", f.read().Generation, now.Generation)
			same(f, "Openings", f.read().Openings, 0)
		},
	},
	{
		"an adoption is history and no transition",
		"Adopting a generation is written to the history (From = To, by repair, the replica that brought it, the store's old number) and has no Made.",
		func(f *fixture) {
			lost := f.trip().Snapshot
			f.wipe()
			result := f.recall("b", knownFrom(lost))
			truly(f, "nobody made it", result.Made == nil)
			history := f.history()
			same(f, "entries", len(history), 1)
			e := history[0]
			same(f, "From, To", []store.State{e.From, e.To}, []store.State{store.Open, store.Open})
			same(f, "Prev, Generation", []uint64{e.Prev, e.Generation}, []uint64{0, lost.Generation})
			same(f, "Reason, Cause", []string{string(e.Reason), e.Cause}, []string{"repair", "b"})
			same(f, "the snapshot's Reason", result.Snapshot.Reason, store.ByConsecutiveFailures)
		},
	},
	{
		"an adopted open time is not cut by the policy",
		"The remaining open time is taken as sent, at most 30 days: a Trip's own time, and a lease's that a repair left open, may exceed OpenForMax.",
		func(f *fixture) {
			f.policy.OpenFor, f.policy.OpenForMax = sec, 5*sec
			s := f.recall("a", store.Known{Generation: f.clock.millis(), State: store.Open, RetryIn: hour}).Snapshot
			same(f, "RetryIn", s.RetryIn, hour)
			s = f.recall("a", store.Known{Generation: s.Generation + 1, State: store.Open, RetryIn: 1000 * day}).Snapshot
			same(f, "RetryIn of a time past every bound", s.RetryIn, store.MaxFor)

			f.touch()
			lost := f.command(store.Command{Action: store.Trip, For: 10 * minute}).Snapshot
			f.wipe()
			same(f, "RetryIn of a trip that was lost", f.recall("b", knownFrom(lost)).Snapshot.RetryIn, 10*minute)
		},
	},
	{
		"an adopted open time that is over waits for a claim",
		"A Known that is open with nothing left is open with its time over: the next claim makes it half-open.",
		func(f *fixture) {
			f.recall("a", store.Known{Generation: f.clock.millis(), State: store.Open, Openings: 1})
			f.wantState(store.Open)
			same(f, "RetryIn", f.read().RetryIn, time.Duration(0))
			f.lease("a")
			f.wantState(store.HalfOpen)
		},
	},
	{
		"a known half-open becomes open for one lease",
		"A known half-open becomes open for ProbeLease, as a new generation, so that lost leases have ended.",
		func(f *fixture) {
			f.probe("a", 1)
			lost := f.read()
			f.wipe()
			f.after(ms)
			result := f.recall("b", knownFrom(lost))
			s := result.Snapshot
			same(f, "state", s.State, store.Open)
			same(f, "RetryIn", s.RetryIn, f.policy.ProbeLease)
			same(f, "Openings", s.Openings, lost.Openings)
			truly(f, "the generation is a new one", s.Generation > lost.Generation)
			if result.Made == nil {
				f.Fatal("the transition was made by nobody")
			}
			same(f, "From, To", []store.State{result.Made.From, result.Made.To}, []store.State{store.HalfOpen, store.Open})
			same(f, "Prev", result.Made.Prev, lost.Generation)
			same(f, "Reason", result.Made.Reason, store.ByRepair)
			same(f, "entries", len(f.history()), 2)
		},
	},
	{
		"adopting a generation starts it empty",
		"Not adopted: window, leases, probe tallies. Adopting a generation empties window, labels and leases, and keeps totals.",
		func(f *fixture) {
			f.probe("a", 2)
			f.tell("a", labelled("timeout", 2))
			totals := f.read().Totals
			s := f.recall("b", store.Known{Generation: f.read().Generation + 1}).Snapshot
			same(f, "state", s.State, store.Closed)
			same(f, "window", s.Window, store.Tally{})
			same(f, "labels", len(s.Errors), 0)
			same(f, "live leases", s.Probing, 0)
			same(f, "totals", s.Totals, totals)
		},
	},
	{
		"outcomes of an adopted generation are judged",
		"Repair comes before the outcomes: those of the generation just adopted are current.",
		func(f *fixture) {
			r := f.report("a", failures(5))
			r.Generation = f.clock.millis()
			r.Known = store.Known{Generation: f.clock.millis()}
			same(f, "state", f.send(r).Snapshot.State, store.Open)
		},
	},
	{
		"a standing force comes back with its note",
		"By Rev the store adopts mode and notes, timed ones with what is left of them.",
		func(f *fixture) {
			f.touch()
			lost := f.command(store.Command{Action: store.ForceOpen, For: minute, Why: "INC-42"}).Snapshot
			f.wipe()
			f.after(10 * sec)
			known := knownFrom(lost)
			known.ModeNote.EndsIn = 50 * sec
			s := f.recall("b", known).Snapshot
			same(f, "Mode", s.Mode, store.ForcedOpen)
			same(f, "Rev", s.Rev, lost.Rev)
			same(f, "the note", s.ModeNote, known.ModeNote)
			f.after(50 * sec)
			same(f, "Mode at its end", f.touch().Snapshot.Mode, store.Auto)
		},
	},
	{
		"a retuned policy comes back",
		"By Rev the store adopts a retuned policy and its note; the fleet's own policy is the report's.",
		func(f *fixture) {
			f.touch()
			tuned := store.FleetPolicy()
			lost := f.retune(tuned, 0).Snapshot
			f.wipe()
			s := f.recall("b", knownFrom(lost)).Snapshot
			same(f, "policy", s.Policy, tuned)
			truly(f, "it is retuned", s.Retuned)
			same(f, "the note", s.PolicyNote, lost.PolicyNote)
			same(f, "policy after Restore", f.do(store.Restore).Snapshot.Policy, f.policy)
		},
	},
	{
		"a lower Rev brings no command back",
		"Mode and retuned policy go by Rev alone: a force that was lifted stays lifted.",
		func(f *fixture) {
			f.touch()
			forced := f.do(store.ForceOpen).Snapshot
			f.after(ms)
			f.do(store.Lift)
			f.recall("b", knownFrom(forced))
			same(f, "Mode", f.read().Mode, store.Auto)
		},
	},
	{
		"each number is adopted on its own",
		"Generation and Rev are compared and adopted each on its own, Rev first.",
		func(f *fixture) {
			now := f.trip().Snapshot
			known := store.Known{Rev: f.clock.millis(), Mode: store.ForcedClosed, ModeNote: store.Note{By: oncall}}
			s := f.recall("b", known).Snapshot
			same(f, "Mode", s.Mode, store.ForcedClosed)
			same(f, "generation and state", []any{s.Generation, s.State}, []any{now.Generation, store.Open})
			known = store.Known{Generation: now.Generation + 1}
			s = f.recall("b", known).Snapshot
			same(f, "Mode after a higher generation", s.Mode, store.ForcedClosed)
			same(f, "state after a higher generation", s.State, store.Closed)
		},
	},
	{
		"adopting only a Rev empties nothing",
		"Adopting only a Rev writes no entry to the history and leaves the window.",
		func(f *fixture) {
			f.fail(3)
			result := f.recall("b", store.Known{Rev: 1})
			same(f, "Rev", result.Snapshot.Rev, uint64(1))
			f.wantWindow(3, 3, 0, 3)
			same(f, "entries", len(f.history()), 0)
		},
	},
	{
		"a force of which nothing is left ends at once",
		"Of a timed command nothing may be left: expiry, later in the same script, ends it.",
		func(f *fixture) {
			result := f.recall("b", store.Known{
				Rev: f.clock.millis(), Mode: store.ForcedOpen, ModeNote: store.Note{By: oncall, Timed: true},
			})
			same(f, "Mode", result.Snapshot.Mode, store.Auto)
			same(f, "state", result.Snapshot.State, store.HalfOpen)
			truly(f, "the report is told that it made it", result.Made != nil && result.Made.Reason == store.ByTime)
		},
	},
	{
		"an adopted end is cut to 30 days",
		"A Known's EndsIn is cut to 30 days and not refused.",
		func(f *fixture) {
			s := f.recall("b", store.Known{
				Rev: 1, Mode: store.ForcedOpen, ModeNote: store.Note{By: oncall, Timed: true, EndsIn: 1000 * day},
			}).Snapshot
			same(f, "EndsIn", s.ModeNote.EndsIn, store.MaxFor)
		},
	},
	{
		"a Known from beyond tomorrow is refused",
		"A Known that is above the store's and more than 24 h above now is refused, for that report alone, and spends no Seq.",
		func(f *fixture) {
			tomorrow := f.clock.millis() + uint64(day.Milliseconds())
			for _, known := range []store.Known{{Generation: tomorrow + 1}, {Rev: tomorrow + 1}} {
				bad := f.report("a", failures(1))
				bad.Known = known
				results := f.store.Sync(f.ctx, []store.Report{bad, f.report("b", failures(1))})
				truly(f, "it is refused as ahead", errors.Is(results[0].Err, store.ErrAhead) && errors.Is(results[0].Err, store.ErrInvalid))
				truly(f, "its neighbour is not", results[1].Err == nil)
				f.seqs[[2]string{tier, "a"}]--
			}
			f.wantWindow(2, 2, 0, 2)
			s := f.recall("a", store.Known{Generation: tomorrow, Rev: tomorrow}).Snapshot
			same(f, "numbers exactly 24 h ahead", []uint64{s.Generation, s.Rev}, []uint64{tomorrow, tomorrow})
			s = f.recall("a", store.Known{Generation: tomorrow}).Snapshot
			same(f, "a Known that is not above", s.Generation, tomorrow)
		},
	},
	{
		"a bad Known changes nothing",
		"A Known is validated, if something stands in it; a bad one refuses its request, which changes nothing and spends no Seq.",
		func(f *fixture) {
			f.touch()
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
				r := f.report("a", failures(1))
				r.Known = k
				f.wantUnchanged("a bad Known", func() {
					truly(f, "it is refused as invalid", errors.Is(f.sync(r).Err, store.ErrInvalid))
				})
				f.seqs[[2]string{tier, "a"}]--
			}
			harmless := store.Known{ModeNote: store.Note{EndsIn: -1}, PolicyNote: store.Note{By: "\n"}, Policy: store.Policy{Probes: -1}}
			f.recall("a", harmless)
		},
	},
	{
		"repair goes by the policy that then stands",
		"OpenForMax and ProbeLease of a repair are those of the retuned policy if one stands after adopting Rev, else the fleet's, else the request's.",
		func(f *fixture) {
			halfOpen := store.Known{Generation: f.clock.millis(), State: store.HalfOpen}
			f.policy.ProbeLease = 7 * sec
			same(f, "by the request's", f.recall("a", halfOpen).Snapshot.RetryIn, 7*sec)
			f.policy.ProbeLease = 9 * sec
			halfOpen.Generation += 10
			same(f, "by the fleet's", f.recall("a", halfOpen).Snapshot.RetryIn, 7*sec)
			halfOpen.Generation += 10
			halfOpen.Rev, halfOpen.Retuned, halfOpen.PolicyNote = 1, true, store.Note{By: oncall}
			halfOpen.Policy = store.Policy{ProbeLease: 11 * sec}
			same(f, "by the retuned", f.recall("a", halfOpen).Snapshot.RetryIn, 11*sec)
		},
	},
	{
		"a claim repairs too",
		"A claim runs repair, expiry and policy as a report does, and makes a machine if there is none; it touches no roster and no conflict.",
		func(f *fixture) {
			c := f.request("a", 1)
			c.Known = store.Known{Generation: f.clock.millis(), State: store.Open, Openings: 2}
			f.after(ms)
			g := f.ask(c)
			same(f, "leases", len(g.Leases), 1)
			same(f, "state", g.Snapshot.State, store.HalfOpen)
			same(f, "Openings", g.Snapshot.Openings, 2)
			same(f, "entries", len(f.history()), 2)
			same(f, "roster", len(f.roster()), 0)
			same(f, "Replicas", g.Snapshot.Replicas, 0)
		},
	},
	{
		"adopting a generation ends its predecessor's leases",
		"Adopting a generation empties leases: the holder of one settles nothing.",
		func(f *fixture) {
			l := f.probe("a", 1)[0]
			f.recall("b", store.Known{Generation: f.read().Generation + 1, State: store.Open, RetryIn: minute})
			f.wantUnchanged("settling a lease of before", func() { f.settle("a", l, store.Success) })
		},
	},
	{
		"a replica that knows the least harms nobody",
		"A fresh replica's Known is zero and moves nothing.",
		func(f *fixture) {
			f.trip()
			f.do(store.ForceClosed)
			before := f.read()
			s := f.recall("new", store.Known{}).Snapshot
			same(f, "the verdict", knownFrom(s), knownFrom(before))
		},
	},
	{
		"an adopted note keeps its time of day",
		"An adopted note's At is stored with the clock's offset, so that it is shown as it was said, steps back or not.",
		func(f *fixture) {
			f.touch()
			f.after(-hour)
			note := store.Note{By: oncall, At: f.clock.Now().Add(-5 * sec)}
			s := f.recall("b", store.Known{Rev: 1, Mode: store.ForcedOpen, ModeNote: note}).Snapshot
			same(f, "At", s.ModeNote.At.UnixMilli(), note.At.UnixMilli())
			same(f, "At as read", f.read().ModeNote.At.UnixMilli(), note.At.UnixMilli())
		},
	},
	{
		"a lease's length is not cut by the open time",
		"A known half-open becomes open for ProbeLease, longer than OpenForMax though it be.",
		func(f *fixture) {
			f.policy.OpenFor, f.policy.OpenForMax = sec, sec
			s := f.recall("a", store.Known{Generation: f.clock.millis(), State: store.HalfOpen}).Snapshot
			same(f, "RetryIn", s.RetryIn, 30*sec)
		},
	},
	{
		"a number far ahead that the store gave is taken back",
		"A Known more than 24 h ahead is refused only if it is above the store's own number.",
		func(f *fixture) {
			tomorrow := f.clock.millis() + uint64(day.Milliseconds())
			f.recall("a", store.Known{Generation: tomorrow, Rev: tomorrow})
			f.do(store.Trip)
			s := f.do(store.ForceOpen).Snapshot
			same(f, "generation, rev", []uint64{s.Generation, s.Rev}, []uint64{tomorrow + 1, tomorrow + 1})
			same(f, "state", f.recall("b", knownFrom(s)).Snapshot.State, store.Open)
		},
	},
	{
		"reason and cause are adopted with the generation",
		"Reason and Cause come back as they were told, or empty; the entry in the history says who brought them.",
		func(f *fixture) {
			k := store.Known{Generation: 7, State: store.Open, RetryIn: sec, Reason: "a reason of tomorrow", Cause: "web-9#f"}
			s := f.recall("b", k).Snapshot
			same(f, "Reason, Cause", []string{string(s.Reason), s.Cause}, []string{"a reason of tomorrow", "web-9#f"})
			s = f.recall("b", store.Known{Generation: 8}).Snapshot
			same(f, "Reason, Cause", []string{string(s.Reason), s.Cause}, []string{"", ""})
			same(f, "the entry's", []string{string(f.newest().Reason), f.newest().Cause}, []string{"repair", "b"})
		},
	},
	{
		"a higher Rev that nothing stands at ends what stood",
		"By Rev the store adopts mode and policy as they are known: that nothing stands too, without an entry and without a generation.",
		func(f *fixture) {
			f.touch()
			f.do(store.ForceOpen)
			before := f.retune(another, 0).Snapshot
			s := f.recall("b", store.Known{Rev: before.Rev + 1}).Snapshot
			same(f, "mode, note", []any{s.Mode, s.ModeNote}, []any{store.Auto, store.Note{}})
			same(f, "policy, retuned, note", []any{s.Policy, s.Retuned, s.PolicyNote}, []any{f.policy, false, store.Note{}})
			same(f, "generation, state", []any{s.Generation, s.State}, []any{before.Generation, store.Closed})
			same(f, "entries", len(f.history()), 2)
			s = f.recall("b", store.Known{Rev: s.Rev + 1, Retuned: true, Policy: another, PolicyNote: store.Note{By: oncall}}).Snapshot
			same(f, "policy, mode", []any{s.Policy, s.Mode}, []any{another, store.Auto})
			s = f.recall("b", store.Known{Rev: s.Rev + 1, Mode: store.ForcedClosed, ModeNote: store.Note{By: oncall}}).Snapshot
			same(f, "policy, mode", []any{s.Policy, s.Mode}, []any{f.policy, store.ForcedClosed})
		},
	},
	{
		"what protects lost leases outlives a second loss",
		"A known half-open becomes open for ProbeLease. If that is lost too, what is left of it comes back whole, so that no lease is granted while a lost one lives.",
		func(f *fixture) {
			f.policy.OpenFor, f.policy.OpenForMax, f.policy.ProbeLease = sec, sec, 30*sec
			f.probe("a", f.policy.Probes)
			halfOpen := f.read()
			f.wipe()
			f.after(ms)
			first := f.recall("b", knownFrom(halfOpen)).Snapshot
			f.wipe()
			f.after(10 * sec)
			known := knownFrom(first)
			known.RetryIn -= 10 * sec
			same(f, "RetryIn after the second loss", f.recall("c", known).Snapshot.RetryIn, 20*sec)
			f.after(20*sec - ms)
			same(f, "leases while a lost one may live", len(f.claim("c", 1).Leases), 0)
			f.after(ms)
			same(f, "leases afterwards", len(f.claim("c", 1).Leases), 1)
		},
	},
}
