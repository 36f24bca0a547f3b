package storetest

import (
	"github.com/commontrip/commontrip/store"
)

var repeatRules = []rule{
	{
		"a report sent again counts nothing",
		"A report whose Seq is at or below the last of its replica counts nothing: it may be resent after any error.",
		func(w *world) {
			r := w.report("a", failures(3), ignored(2))
			r.Rejected = 7
			first := w.send(r).Snapshot
			again := w.send(r).Snapshot
			same(w, "window after the resend", again.Window, first.Window)
			same(w, "totals after the resend", again.Totals, first.Totals)
			same(w, "the roster's counts", w.member("a").Calls, uint64(3))
		},
	},
	{
		"an older report counts nothing",
		"A Seq below the last is a repeat too, whether it was ever seen or not.",
		func(w *world) {
			older, newer := w.report("a", failures(2)), w.report("a", failures(1))
			w.send(newer)
			w.send(older)
			w.wantWindow(1, 1, 0, 1)
		},
	},
	{
		"a gap in the numbers is no repeat",
		"Any Seq above the last counts: a report that was given up leaves a gap.",
		func(w *world) {
			r := w.report("a", failures(1))
			r.Seq = 40
			w.send(r)
			w.wantWindow(1, 1, 0, 1)
		},
	},
	{
		"Seq 0 is a repeat from anyone",
		"Seq starts at 1: a report without one counts nothing, and is a sign of life.",
		func(w *world) {
			r := w.report("a", failures(5))
			r.Seq = 0
			result := w.send(r)
			same(w, "window", result.Snapshot.Window, store.Tally{})
			same(w, "the roster", w.roster(), []store.Replica{{Name: "a"}})
			r.Seq = 1
			same(w, "failures of Seq 1", w.send(r).Made.Window.Failures, 5)
		},
	},
	{
		"replicas and breakers number on their own",
		"Seq is a replica's and a breaker's: another one's number says nothing.",
		func(w *world) {
			w.fail(1)
			w.tell("b", failures(1))
			w.send(w.reportOn("other", "a", failures(1)))
			w.wantWindow(2, 2, 0, 2)
			same(w, "the other's failures", w.readAll("other")[0].Window.Failures, 1)
		},
	},
	{
		"a refused report spends no number",
		"A request that is refused changes nothing and spends no Seq.",
		func(w *world) {
			w.touch()
			bad := w.report("a", failures(1), run(9, 1))
			truly(w, "the bad report is refused", w.sync(bad).Err != nil)
			bad.Runs = bad.Runs[:1]
			w.send(bad)
			w.wantWindow(1, 1, 0, 1)
		},
	},
	{
		"a repeat is a sign of life",
		"A repeat updates when its replica was seen and what it says of itself, and nothing else.",
		func(w *world) {
			r := w.report("a", failures(1))
			w.send(r)
			w.after(10 * sec)
			r.OwnOpen, r.Policy.OpenFor = true, 5*sec
			w.send(r)
			same(w, "the roster", w.roster(), []store.Replica{{Name: "a", Calls: 1, Failures: 1, OwnOpen: true, Conflict: true}})
			truly(w, "the conflict is shown", w.read().PolicyConflict)
		},
	},
	{
		"a repeat makes no second announcement",
		"Announce is skipped with the rest of a repeat: a resent report does not bring an old policy back.",
		func(w *world) {
			old := w.report("a")
			old.Announce = true
			w.send(old)
			newer := w.report("b")
			newer.Announce, newer.Policy.OpenFor = true, 5*sec
			w.send(newer)
			w.send(old)
			same(w, "OpenFor", w.read().Policy.OpenFor, 5*sec)
		},
	},
	{
		"a silent replica is forgotten with its number",
		"A roster entry counts while its last report lies in this slice of 30 s or the one before; an older one is as if absent.",
		func(w *world) {
			w.at(30*sec - ms)
			r := w.report("a", failures(1))
			r.Seq = 9
			w.send(r)
			w.at(60*sec - ms)
			same(w, "replicas at the end of the next slice", len(w.roster()), 1)
			same(w, "Replicas", w.read().Replicas, 1)
			w.at(60 * sec)
			same(w, "replicas a millisecond later", len(w.roster()), 0)
			same(w, "Replicas a millisecond later", w.read().Replicas, 0)
			r.Seq = 1
			w.send(r)
			w.wantWindow(2, 2, 0, 2)
			same(w, "its counts start anew", w.member("a").Calls, uint64(1))
		},
	},
	{
		"a repeat still ends and repairs what it finds",
		"A repeat skips its outcomes; repair, expiry and the rest go on.",
		func(w *world) {
			r := w.report("a", failures(1))
			w.send(r)
			w.force(store.ForceClosed, sec)
			w.after(sec)
			result := w.send(r)
			truly(w, "the resend is told of the end", result.Made != nil && result.Made.Reason == store.ByTime)
			same(w, "Mode", result.Snapshot.Mode, store.Auto)
		},
	},
	{
		"a repeat does not make the transition again",
		"On a resend Made is only what that resend found ended or repaired; the snapshot tells the rest.",
		func(w *world) {
			r := w.report("a", failures(5))
			truly(w, "the first is told that it made the trip", w.send(r).Made != nil)
			again := w.send(r)
			truly(w, "the resend is not", again.Made == nil)
			same(w, "state", again.Snapshot.State, store.Open)
			same(w, "cause", again.Snapshot.Cause, "a")
		},
	},
	{
		"a new incarnation is another replica",
		"A replica's name holds a random incarnation, so that the first report of a restarted process is heard.",
		func(w *world) {
			w.tell("web-1#aa", failures(1))
			w.tell("web-1#aa", failures(1))
			w.tell("web-1#bb", failures(1))
			w.wantWindow(3, 3, 0, 3)
		},
	},
	{
		"the roster tells who was seen when",
		"The roster lists by name who reports, how long ago, and what they counted.",
		func(w *world) {
			w.tell("b", failures(2), successes(3), ignored(4))
			w.after(5 * sec)
			w.tell("a", aged(hour, failures(1)))
			w.after(sec)
			same(w, "roster", w.roster(), []store.Replica{
				{Name: "a", Seen: sec},
				{Name: "b", Seen: 6 * sec, Calls: 5, Failures: 2},
			})
			same(w, "Seen", w.member("b").Seen, 6*sec)
		},
	},
}
