package storetest

import (
	"errors"
	"time"

	"github.com/commontrip/commontrip/store"
)

var repeatRules = []rule{
	{
		"a report sent again counts nothing",
		"A report whose Seq is at or below the last of its replica counts nothing: it may be resent after any error.",
		func(f *fixture) {
			r := f.report("a", failures(3), ignored(2))
			r.Rejected = 7
			first := f.send(r).Snapshot
			again := f.send(r).Snapshot
			same(f, "window after the resend", again.Window, first.Window)
			same(f, "totals after the resend", again.Totals, first.Totals)
			same(f, "the roster's counts", f.member("a").Calls, uint64(3))
		},
	},
	{
		"an older report counts nothing",
		"A Seq below the last is a repeat too, whether it was ever seen or not.",
		func(f *fixture) {
			older, newer := f.report("a", failures(2)), f.report("a", failures(1))
			f.send(newer)
			f.send(older)
			f.wantWindow(1, 1, 0, 1)
		},
	},
	{
		"a gap in the numbers is no repeat",
		"Any Seq above the last counts: a report that was given up leaves a gap.",
		func(f *fixture) {
			r := f.report("a", failures(1))
			r.Seq = 40
			f.send(r)
			f.wantWindow(1, 1, 0, 1)
		},
	},
	{
		"Seq 0 is a repeat from anyone",
		"Seq starts at 1: a report without one counts nothing, and is a sign of life.",
		func(f *fixture) {
			r := f.report("a", failures(5))
			r.Seq = 0
			result := f.send(r)
			same(f, "window", result.Snapshot.Window, store.Tally{})
			same(f, "the roster", f.roster(), []store.Replica{{Name: "a"}})
			r.Seq = 1
			same(f, "failures of Seq 1", f.send(r).Made.Window.Failures, 5)
		},
	},
	{
		"replicas and breakers number on their own",
		"Seq is a replica's and a breaker's: another one's number says nothing.",
		func(f *fixture) {
			f.fail(1)
			f.tell("b", failures(1))
			f.send(f.reportOn("other", "a", failures(1)))
			f.wantWindow(2, 2, 0, 2)
			same(f, "the other's failures", f.readAll("other")[0].Window.Failures, 1)
		},
	},
	{
		"a refused report spends no number",
		"A request that is refused changes nothing and spends no Seq.",
		func(f *fixture) {
			f.touch()
			bad := f.report("a", failures(1), run(9, 1))
			truly(f, "the bad report is refused", f.sync(bad).Err != nil)
			bad.Runs = bad.Runs[:1]
			f.send(bad)
			f.wantWindow(1, 1, 0, 1)
		},
	},
	{
		"a repeat is a sign of life",
		"A repeat updates when its replica was seen and what it says of itself, and nothing else.",
		func(f *fixture) {
			r := f.report("a", failures(1))
			f.send(r)
			f.after(10 * sec)
			r.OwnOpen, r.Policy.OpenFor = true, 5*sec
			f.send(r)
			same(f, "the roster", f.roster(), []store.Replica{{
				Name: "a", Calls: 1, Failures: 1, OwnOpen: true, Conflict: true, Policy: r.Policy.WithDefaults(), Agreed: f.policy.WithDefaults(),
			}})
			truly(f, "the conflict is shown", f.read().PolicyConflict)
		},
	},
	{
		"a repeat makes no second announcement",
		"Announce is skipped with the rest of a repeat: a resent report does not bring an old policy back.",
		func(f *fixture) {
			old := f.report("a")
			old.Announce = true
			f.send(old)
			newer := f.report("b")
			newer.Announce, newer.Policy.OpenFor = true, 5*sec
			f.send(newer)
			f.send(old)
			same(f, "OpenFor", f.read().Policy.OpenFor, 5*sec)
		},
	},
	{
		"a silent replica is forgotten with its number",
		"A roster entry counts while its last report lies in this slice of 30 s or the one before; an older one is as if absent.",
		func(f *fixture) {
			f.at(30*sec - ms)
			r := f.report("a", failures(1))
			r.Seq = 9
			f.send(r)
			f.at(60*sec - ms)
			same(f, "replicas at the end of the next slice", len(f.roster()), 1)
			same(f, "Replicas", f.read().Replicas, 1)
			f.at(60 * sec)
			same(f, "replicas a millisecond later", len(f.roster()), 0)
			same(f, "Replicas a millisecond later", f.read().Replicas, 0)
			r.Seq = 1
			f.send(r)
			f.wantWindow(2, 2, 0, 2)
			same(f, "its counts start again", f.member("a").Calls, uint64(1))
		},
	},
	{
		"a repeat still ends and repairs what it finds",
		"A repeat skips its outcomes; repair, expiry and the rest go on.",
		func(f *fixture) {
			r := f.report("a", failures(1))
			f.send(r)
			f.force(store.ForceClosed, sec)
			f.after(sec)
			result := f.send(r)
			truly(f, "the resend is told of the end", result.Made != nil && result.Made.Reason == store.ByTime)
			same(f, "Mode", result.Snapshot.Mode, store.Auto)
		},
	},
	{
		"a repeat does not make the transition again",
		"On a resend Made is only what that resend found ended or repaired; the snapshot tells the rest.",
		func(f *fixture) {
			r := f.report("a", failures(5))
			truly(f, "the first is told that it made the trip", f.send(r).Made != nil)
			again := f.send(r)
			truly(f, "the resend is not", again.Made == nil)
			same(f, "state", again.Snapshot.State, store.Open)
			same(f, "cause", again.Snapshot.Cause, "a")
		},
	},
	{
		"a new incarnation is another replica",
		"A replica's name holds a random incarnation, so that the first report of a restarted process is heard.",
		func(f *fixture) {
			f.tell("web-1#aa", failures(1))
			f.tell("web-1#aa", failures(1))
			f.tell("web-1#bb", failures(1))
			f.wantWindow(3, 3, 0, 3)
		},
	},
	{
		"the roster tells who was seen when",
		"The roster lists by name who reports, how long ago, and what they counted.",
		func(f *fixture) {
			f.tell("b", failures(2), successes(3), ignored(4))
			f.after(5 * sec)
			f.tell("a", aged(hour, failures(1)))
			f.after(sec)
			same(f, "roster", f.roster(), []store.Replica{
				{Name: "a", Seen: sec},
				{Name: "b", Seen: 6 * sec, Calls: 5, Failures: 2},
			})
			same(f, "Seen", f.member("b").Seen, 6*sec)
		},
	},
	{
		"a report that comes too late is refused",
		"A report that was under way for longer than MaxAge, or than 10 s, by the store's clock against its SentAt, is ErrLate, changes nothing and spends no Seq; sent again it counts.",
		func(f *fixture) {
			f.touch()
			for _, c := range []struct{ maxAge, late, most time.Duration }{
				{maxAge, maxAge + ms, maxAge}, {hour, 10*sec + ms, 10 * sec}, {hour, day, 10 * sec}, {ms, 2 * ms, ms},
			} {
				r := f.report("a", failures(1))
				r.MaxAge, r.Announce, r.Rejected, r.SentAt = c.maxAge, true, 7, f.clock.Now().Add(-c.late)
				r.Policy = another
				r.Known = store.Known{Generation: f.clock.millis(), State: store.Open}
				f.wantUnchanged("a report that is late by "+c.late.String(), func() {
					err := f.sync(r).Err
					truly(f, "it is ErrLate", errors.Is(err, store.ErrLate))
					truly(f, "that is an ErrInvalid", errors.Is(err, store.ErrInvalid))
				})
				r = f.report("a", failures(1))
				r.Seq--
				f.seqs[[2]string{tier, "a"}]--
				calls := f.read().Totals.Calls
				r.MaxAge, r.SentAt = c.maxAge, f.clock.Now().Add(-c.most)
				f.send(r)
				same(f, "calls after one that is in time", f.read().Totals.Calls, calls+1)
				f.do(store.Reset)
			}
			r := f.report("a")
			r.SentAt = f.clock.Now().Add(hour)
			f.send(r) // the store's clock has stepped back since
		},
	},
	{
		"a number is remembered for as long as its report is sent again",
		"A report that is sent again within MaxResend and 10 s more counts nothing, wherever in a slice of 30 s it was first.",
		func(f *fixture) {
			for _, first := range []time.Duration{0, ms, 15 * sec, 29_999 * ms} {
				f.at(hour + first)
				r := f.report("a", failures(1))
				f.send(r)
				calls := f.read().Totals.Calls
				f.after(store.MaxResend + 10*sec)
				f.send(r)
				same(f, "calls", f.read().Totals.Calls, calls)
				f.do(store.Reset)
			}
		},
	},
}
