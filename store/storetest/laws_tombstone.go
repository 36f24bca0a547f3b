package storetest

import (
	"fmt"
	"time"

	"github.com/commontrip/commontrip/store"
)

// wantHidden wants the tier to be shown by nothing.
func (f *fixture) wantHidden() {
	f.Helper()
	same(f, "snapshots", len(f.readAll(tier)), 0)
	same(f, "snapshots of all", len(f.readAll()), 0)
	same(f, "versions", len(f.versions(tier)), 0)
	same(f, "roster", len(f.roster()), 0)
	same(f, "history", len(f.history()), 0)
	f.wantUnknown(store.Command{Name: tier, Action: store.Reset, By: oncall})
}

var tombstoneRules = []rule{
	{
		"a removed breaker is shown by nothing",
		"Hidden names are not shown by Read, Versions, Roster and History, and are unknown to commands.",
		func(f *fixture) {
			f.trip()
			f.do(store.ForceOpen)
			f.remove()
			f.wantHidden()
		},
	},
	{
		"a sign of life does not bring a breaker back",
		"Only a report with outcomes makes a removed name visible again; one without, a claim or a settlement are answered and stored nowhere.",
		func(f *fixture) {
			l := f.probe("a", 1)[0]
			f.remove()
			f.touch()
			r := f.report("a")
			r.Announce, r.Rejected, r.OwnOpen = true, 5, true
			f.send(r)
			f.claim("a", 1)
			f.settle("a", l, store.Success)
			f.wantHidden()
		},
	},
	{
		"a removed breaker answers closed, with numbers of its own",
		"A tombstone has numbers max(previous + 1, now), is closed since the Remove, and answers with the request's policy.",
		func(f *fixture) {
			f.trip()
			rev := f.do(store.ForceOpen).Snapshot.Rev
			generation := f.read().Generation
			f.remove()
			removed := f.clock.Now()
			f.after(sec)
			want := store.Snapshot{
				Name: tier, Generation: generation + 1, Rev: rev + 1, Since: removed, Age: sec, Policy: another,
			}
			r := f.report("a")
			r.Policy = another
			same(f, "a report's answer", inMillis(f.send(r).Snapshot), inMillis(want))
			c := f.request("a", 1)
			c.Policy = another
			g := f.ask(c)
			same(f, "a claim's answer", inMillis(g.Snapshot), inMillis(want))
			same(f, "leases, RetryIn", []any{len(g.Leases), g.RetryIn}, []any{0, time.Duration(0)})
			want.Policy = store.Policy{}
			result := f.settle("a", store.Lease{Name: tier, ID: "x"}, store.Failure)
			same(f, "a settlement's answer", inMillis(result.Snapshot), inMillis(want))
		},
	},
	{
		"what was removed is not repaired back",
		"Nothing at or below a tombstone's numbers moves it: the replicas that still know the old verdict bring nothing back.",
		func(f *fixture) {
			f.trip()
			f.do(store.ForceOpen)
			old := knownFrom(f.read())
			f.remove()
			f.recall("b", old)
			f.wantHidden()
			s := f.tell("b", successes(1)).Snapshot
			same(f, "state, mode", []any{s.State, s.Mode}, []any{store.Closed, store.Auto})
		},
	},
	{
		"outcomes bring a breaker back as new",
		"A report with outcomes ends the tombstone: both numbers grow, and what then is there is as a new machine, with the report's policy.",
		func(f *fixture) {
			f.trip()
			f.do(store.ForceOpen)
			f.do(store.Lift)
			f.remove()
			stone := f.touch().Snapshot
			f.policy = another
			r := f.report("b", failures(3))
			result := f.send(r)
			truly(f, "no entry is made", result.Made == nil)
			s := f.read()
			now := f.clock.millis()
			same(f, "generation, rev", []uint64{s.Generation, s.Rev}, []uint64{max(stone.Generation+1, now), max(stone.Rev+1, now)})
			same(f, "policy", s.Policy, another)
			same(f, "totals: what was admitted before is late", s.Totals, store.Totals{Late: 3})
			same(f, "replicas", s.Replicas, 1)
			same(f, "history", len(f.history()), 0)
			same(f, "Openings", s.Openings, 0)
			f.fail(3)
			f.wantWindow(3, 3, 0, 3)
		},
	},
	{
		"a repeat does not bring a breaker back",
		"Only a report that is no repeat ends a tombstone.",
		func(f *fixture) {
			f.touch()
			f.remove()
			r := f.report("b", failures(3))
			r.Seq = 0
			f.send(r)
			f.wantHidden()
		},
	},
	{
		"late and ignored outcomes bring a breaker back too",
		"A report with outcomes ends a tombstone, late or ignored ones too.",
		func(f *fixture) {
			for _, r := range []store.Run{ignored(1), aged(hour, successes(1))} {
				f.touch()
				f.remove()
				f.tell("b", r)
				same(f, "breakers", len(f.readAll(tier)), 1)
			}
		},
	},
	{
		"a Known above a tombstone repairs it, hidden",
		"A Known above a tombstone, in either number, repairs it into a machine like any other, but hidden, until outcomes come; what a Known raised keeps its number then.",
		func(f *fixture) {
			f.touch()
			f.remove()
			stone := f.touch().Snapshot
			known := store.Known{Generation: stone.Generation + 10, State: store.Open, RetryIn: 10 * sec, Openings: 2, Reason: store.ByOperator}
			s := f.recall("b", known).Snapshot
			same(f, "state, generation", []any{s.State, s.Generation}, []any{store.Open, stone.Generation + 10})
			f.wantHidden()
			s = f.tell("b", ignored(1)).Snapshot
			same(f, "state, generation", []any{s.State, s.Generation}, []any{store.Open, stone.Generation + 10})
			same(f, "Openings", s.Openings, 2)
			same(f, "ignored", s.Totals.Ignored, uint64(1))
			truly(f, "the rev, that no Known raised, grew", s.Rev > stone.Rev)
			same(f, "breakers", len(f.readAll(tier)), 1)
		},
	},
	{
		"a removed name is forgotten after 24 hours",
		"A tombstone is forgotten 24 h after the Remove, or after the last accepted report, claim or settlement since.",
		func(f *fixture) {
			old := knownFrom(f.trip().Snapshot)
			old.RetryIn = 0
			f.remove()
			f.after(day - ms)
			same(f, "state just before", f.recall("b", old).Snapshot.State, store.Closed)
			f.after(day - ms)
			same(f, "state just before the end again", f.recall("b", old).Snapshot.State, store.Closed)
			f.after(day)
			same(f, "state after 24 h of silence", f.recall("b", old).Snapshot.State, store.Open)
			same(f, "breakers", len(f.readAll(tier)), 1)
		},
	},
	{
		"removing what is not there is nothing",
		"Remove of an unknown, hidden or badly named breaker does nothing and is no error.",
		func(f *fixture) {
			f.remove()
			same(f, "generation", f.touch().Snapshot.Generation, uint64(0))
			f.remove()
			stone := f.touch().Snapshot
			f.after(sec)
			f.remove()
			same(f, "generation after a second Remove", f.touch().Snapshot.Generation, stone.Generation)
			for _, name := range badNames {
				if err := f.store.Remove(f.ctx, name); err != nil {
					f.Errorf("Remove of %q: %v", name, err)
				}
			}
		},
	},
	{
		"removing one breaker leaves the others",
		"Remove is of one name.",
		func(f *fixture) {
			f.trip()
			f.send(f.reportOn("other", "a", failures(5)))
			f.remove()
			all := f.readAll()
			same(f, "breakers", len(all), 1)
			same(f, "the other's state", all[0].State, store.Open)
		},
	},
	{
		"a removed name's numbers never come back",
		"Both numbers only grow, through a Remove and a step back too.",
		func(f *fixture) {
			before := f.trip().Snapshot.Generation
			f.after(-hour)
			f.remove()
			s := f.tell("a", successes(1)).Snapshot
			truly(f, "the generation grew", s.Generation > before+1)
			same(f, "Age", s.Age, time.Duration(0))
		},
	},
	{
		"a tombstone's time is moved by answers, not by refusals",
		"A report, claim or settlement on a tombstone is a script and moves its time; a command for a hidden name, or a Remove, stores nothing.",
		func(f *fixture) {
			f.touch()
			f.remove()
			f.after(10 * sec)
			f.wantUnknown(store.Command{Name: tier, Action: store.Trip, By: oncall})
			f.remove()
			f.after(-10 * sec)
			same(f, "Age", f.touch().Snapshot.Age, time.Duration(0))
			for i, script := range f.idleScripts()[:3] {
				f.after(10 * sec)
				script()
				f.after(-10 * sec)
				same(f, "Age after a script", f.touch().Snapshot.Age, time.Duration(i+1)*10*sec)
			}
		},
	},
	{
		"a tombstone counts no replicas",
		"A tombstone has no roster and no Seqs: what a replica sent about it, with its very numbers as Known too, is new to what comes after.",
		func(f *fixture) {
			f.touch()
			f.remove()
			r := f.report("b")
			r.Seq, r.Known = 50, knownFrom(f.touch().Snapshot)
			same(f, "Replicas", f.send(r).Snapshot.Replicas, 0)
			r = f.report("b", failures(2))
			r.Seq = 1
			f.send(r)
			same(f, "replicas", namesOf(f.roster(), func(r store.Replica) string { return r.Name }), []string{"b"})
			same(f, "late", f.read().Totals.Late, uint64(2))
		},
	},
	{
		"what was removed takes no room for ever",
		"A store forgets a tombstone for good once its time is over, by itself, while other requests come.",
		func(f *fixture) {
			if f.h.Names == nil {
				return
			}
			const removed = 40
			for i := range removed {
				name := fmt.Sprintf("gone-%d", i)
				f.send(f.reportOn(name, "a", successes(1)))
				if err := f.store.Remove(f.ctx, name); err != nil {
					f.Fatal(err)
				}
			}
			truly(f, "tombstones take room at first", f.h.Names(f.TB) >= removed)
			f.until(fmt.Sprintf("a store of one breaker to let go of %d tombstones", removed), func() bool {
				f.after(day)
				f.succeed(1)
				f.remove()
				f.succeed(1)
				return f.h.Names(f.TB) <= 2
			})
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
