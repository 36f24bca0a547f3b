package storetest

import (
	"time"

	"github.com/commontrip/commontrip/store"
)

// wantHidden wants the tier to be shown by nothing.
func (w *world) wantHidden() {
	w.Helper()
	same(w, "snapshots", len(w.readAll(tier)), 0)
	same(w, "snapshots of all", len(w.readAll()), 0)
	same(w, "versions", len(w.versions(tier)), 0)
	same(w, "roster", len(w.roster()), 0)
	same(w, "history", len(w.history()), 0)
	w.wantUnknown(store.Command{Name: tier, Action: store.Reset, By: oncall})
}

var tombstoneRules = []rule{
	{
		"a removed breaker is shown by nothing",
		"Hidden names are not shown by Read, Versions, Roster and History, and are unknown to commands.",
		func(w *world) {
			w.trip()
			w.do(store.ForceOpen)
			w.remove()
			w.wantHidden()
		},
	},
	{
		"a sign of life does not bring a breaker back",
		"Only a report with outcomes makes a removed name visible again; one without, a claim or a settlement are answered and stored nowhere.",
		func(w *world) {
			l := w.probe("a", 1)[0]
			w.remove()
			w.touch()
			r := w.report("a")
			r.Announce, r.Rejected, r.OwnOpen = true, 5, true
			w.send(r)
			w.claim("a", 1)
			w.settle("a", l, store.Success)
			w.wantHidden()
		},
	},
	{
		"a removed breaker answers closed, with numbers of its own",
		"A tombstone has numbers max(previous + 1, now), is closed since the Remove, and answers with the request's policy.",
		func(w *world) {
			w.trip()
			rev := w.do(store.ForceOpen).Snapshot.Rev
			generation := w.read().Generation
			w.remove()
			removed := w.clock.Now()
			w.after(sec)
			want := store.Snapshot{
				Name: tier, Generation: generation + 1, Rev: rev + 1, Since: removed, Age: sec, Policy: another,
			}
			r := w.report("a")
			r.Policy = another
			same(w, "a report's answer", inMillis(w.send(r).Snapshot), inMillis(want))
			c := w.request("a", 1)
			c.Policy = another
			g := w.ask(c)
			same(w, "a claim's answer", inMillis(g.Snapshot), inMillis(want))
			same(w, "leases, RetryIn", []any{len(g.Leases), g.RetryIn}, []any{0, time.Duration(0)})
			want.Policy = store.Policy{}
			result := w.settle("a", store.Lease{Name: tier, ID: "x"}, store.Failure)
			same(w, "a settlement's answer", inMillis(result.Snapshot), inMillis(want))
		},
	},
	{
		"what was removed is not repaired back",
		"Nothing at or below a tombstone's numbers moves it: the replicas that still know the old verdict bring nothing back.",
		func(w *world) {
			w.trip()
			w.do(store.ForceOpen)
			old := knownFrom(w.read())
			w.remove()
			w.recall("b", old)
			w.wantHidden()
			s := w.tell("b", successes(1)).Snapshot
			same(w, "state, mode", []any{s.State, s.Mode}, []any{store.Closed, store.Auto})
		},
	},
	{
		"outcomes bring a breaker back as new",
		"A report with outcomes ends the tombstone: both numbers grow, and what then is there is as a new machine, with the report's policy.",
		func(w *world) {
			w.trip()
			w.do(store.ForceOpen)
			w.do(store.Lift)
			w.remove()
			stone := w.touch().Snapshot
			w.policy = another
			r := w.report("b", failures(3))
			result := w.send(r)
			truly(w, "no entry is made", result.Made == nil)
			s := w.read()
			now := w.clock.millis()
			same(w, "generation, rev", []uint64{s.Generation, s.Rev}, []uint64{max(stone.Generation+1, now), max(stone.Rev+1, now)})
			same(w, "policy", s.Policy, another)
			same(w, "totals: what was admitted before is late", s.Totals, store.Totals{Late: 3})
			same(w, "replicas", s.Replicas, 1)
			same(w, "history", len(w.history()), 0)
			same(w, "Openings", s.Openings, 0)
			w.fail(3)
			w.wantWindow(3, 3, 0, 3)
		},
	},
	{
		"a repeat does not bring a breaker back",
		"Only a report that is no repeat ends a tombstone.",
		func(w *world) {
			w.touch()
			w.remove()
			r := w.report("b", failures(3))
			r.Seq = 0
			w.send(r)
			w.wantHidden()
		},
	},
	{
		"late and ignored outcomes bring a breaker back too",
		"A report with outcomes ends a tombstone, late or ignored ones too.",
		func(w *world) {
			for _, r := range []store.Run{ignored(1), aged(hour, successes(1))} {
				w.touch()
				w.remove()
				w.tell("b", r)
				same(w, "breakers", len(w.readAll(tier)), 1)
			}
		},
	},
	{
		"a Known above a tombstone repairs it, hidden",
		"A Known above a tombstone, in either number, repairs it into a machine like any other, but hidden, until outcomes come; what a Known raised keeps its number then.",
		func(w *world) {
			w.touch()
			w.remove()
			stone := w.touch().Snapshot
			known := store.Known{Generation: stone.Generation + 10, State: store.Open, RetryIn: 10 * sec, Openings: 2, Reason: store.ByOperator}
			s := w.recall("b", known).Snapshot
			same(w, "state, generation", []any{s.State, s.Generation}, []any{store.Open, stone.Generation + 10})
			w.wantHidden()
			s = w.tell("b", ignored(1)).Snapshot
			same(w, "state, generation", []any{s.State, s.Generation}, []any{store.Open, stone.Generation + 10})
			same(w, "Openings", s.Openings, 2)
			same(w, "ignored", s.Totals.Ignored, uint64(1))
			truly(w, "the rev, that no Known raised, grew", s.Rev > stone.Rev)
			same(w, "breakers", len(w.readAll(tier)), 1)
		},
	},
	{
		"a removed name is forgotten after 24 hours",
		"A tombstone is forgotten 24 h after the Remove, or after the last accepted report, claim or settlement since.",
		func(w *world) {
			old := knownFrom(w.trip().Snapshot)
			old.RetryIn = 0
			w.remove()
			w.after(day - ms)
			same(w, "state just before", w.recall("b", old).Snapshot.State, store.Closed)
			w.after(day - ms)
			same(w, "state just before the end anew", w.recall("b", old).Snapshot.State, store.Closed)
			w.after(day)
			same(w, "state after 24 h of silence", w.recall("b", old).Snapshot.State, store.Open)
			same(w, "breakers", len(w.readAll(tier)), 1)
		},
	},
	{
		"removing what is not there is nothing",
		"Remove of an unknown, hidden or badly named breaker does nothing and is no error.",
		func(w *world) {
			w.remove()
			same(w, "generation", w.touch().Snapshot.Generation, uint64(0))
			w.remove()
			stone := w.touch().Snapshot
			w.after(sec)
			w.remove()
			same(w, "generation after a second Remove", w.touch().Snapshot.Generation, stone.Generation)
			for _, name := range badNames {
				if err := w.store.Remove(w.ctx, name); err != nil {
					w.Errorf("Remove of %q: %v", name, err)
				}
			}
		},
	},
	{
		"removing one breaker leaves the others",
		"Remove is of one name.",
		func(w *world) {
			w.trip()
			w.send(w.reportOn("other", "a", failures(5)))
			w.remove()
			all := w.readAll()
			same(w, "breakers", len(all), 1)
			same(w, "the other's state", all[0].State, store.Open)
		},
	},
	{
		"a removed name's numbers never come back",
		"Both numbers only grow, through a Remove and a step back too.",
		func(w *world) {
			before := w.trip().Snapshot.Generation
			w.after(-hour)
			w.remove()
			s := w.tell("a", successes(1)).Snapshot
			truly(w, "the generation grew", s.Generation > before+1)
			same(w, "Age", s.Age, time.Duration(0))
		},
	},
	{
		"a tombstone's time is moved by answers, not by refusals",
		"A report, claim or settlement on a tombstone is a script and moves its time; a command for a hidden name, or a Remove, stores nothing.",
		func(w *world) {
			w.touch()
			w.remove()
			w.after(10 * sec)
			w.wantUnknown(store.Command{Name: tier, Action: store.Trip, By: oncall})
			w.remove()
			w.after(-10 * sec)
			same(w, "Age", w.touch().Snapshot.Age, time.Duration(0))
			for i, script := range w.idleScripts()[:3] {
				w.after(10 * sec)
				script()
				w.after(-10 * sec)
				same(w, "Age after a script", w.touch().Snapshot.Age, time.Duration(i+1)*10*sec)
			}
		},
	},
	{
		"a tombstone counts no replicas",
		"A tombstone has no roster and no Seqs: what a replica sent about it, with its very numbers as Known too, is new to what comes after.",
		func(w *world) {
			w.touch()
			w.remove()
			r := w.report("b")
			r.Seq, r.Known = 50, knownFrom(w.touch().Snapshot)
			same(w, "Replicas", w.send(r).Snapshot.Replicas, 0)
			r = w.report("b", failures(2))
			r.Seq = 1
			w.send(r)
			same(w, "replicas", namesOf(w.roster(), func(r store.Replica) string { return r.Name }), []string{"b"})
			same(w, "late", w.read().Totals.Late, uint64(2))
		},
	},
}

// inMillis is s with its time of day in UTC and milliseconds and without empty lists.
func inMillis(s store.Snapshot) store.Snapshot {
	s.Since = time.UnixMilli(s.Since.UnixMilli()).UTC()
	if len(s.Errors) == 0 {
		s.Errors = nil
	}
	return s
}
