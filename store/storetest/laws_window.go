package storetest

import "github.com/commontrip/commontrip/store"

// tenBuckets is a window of 10 s in buckets of 1 s.
var tenBuckets = store.Policy{WindowTime: 10 * sec, ConsecutiveFailures: 1_000_000}.WithDefaults()

var windowRules = []rule{
	{
		"a window of time holds this bucket and nine before",
		"Bucket i holds [i w, (i+1) w), w a tenth of WindowTime; the window is the bucket of now and the nine before.",
		func(f *fixture) {
			f.policy = tenBuckets
			f.at(sec - ms)
			f.fail(1)
			f.at(sec)
			f.fail(2)
			f.at(10*sec - ms)
			f.wantWindow(3, 3, 0, 3)
			f.at(10 * sec)
			f.wantWindow(2, 2, 0, 2)
			f.at(11*sec - ms)
			f.wantWindow(2, 2, 0, 2)
			f.at(11 * sec)
			f.wantWindow(0, 0, 0, 0)
		},
	},
	{
		"an outcome falls into the bucket of when it finished",
		"A time window puts an outcome into the bucket of now less its age.",
		func(f *fixture) {
			f.policy = tenBuckets
			f.at(20 * sec)
			f.tell("a", aged(ms, failures(1)), aged(sec, failures(2)), aged(sec+ms, failures(4)), failures(8))
			f.at(28*sec - ms)
			f.wantWindow(15, 15, 0, 15)
			f.at(28 * sec)
			f.wantWindow(11, 11, 0, 11)
			f.at(29*sec - ms)
			f.wantWindow(11, 11, 0, 11)
			f.at(29 * sec)
			f.wantWindow(8, 8, 0, 8)
			f.at(30 * sec)
			f.wantWindow(0, 0, 0, 0)
		},
	},
	{
		"an outcome older than the window enters neither window nor streak",
		"An outcome older than the window but not than MaxAge moves labels and totals, no bucket and no streak; a success ends the streak.",
		func(f *fixture) {
			f.policy = store.Policy{WindowTime: sec, ConsecutiveFailures: 5}
			old := labelled("timeout", 9)
			old.Age = 2 * sec
			f.tell("a", old)
			s := f.read()
			same(f, "state, window", []any{s.State, s.Window}, []any{store.Closed, store.Tally{}})
			same(f, "labels", s.Errors, []store.ErrorCount{{Label: "timeout", Count: 9}})
			same(f, "totals", s.Totals, store.Totals{Calls: 9, Failures: 9})
			f.wantCalm(failures(4), aged(2*sec, failures(1)), aged(2*sec, slowFailures(1)))
			f.wantWindow(4, 4, 0, 4)
			f.wantCalm(aged(2*sec, slowSuccesses(1)), failures(4))
			f.wantWindow(8, 8, 0, 4)
			f.wantTrip(store.ByConsecutiveFailures, failures(1))
		},
	},
	{
		"a window of time judges what is in it",
		"Rates over a window of time see the calls of its ten buckets and no older ones.",
		func(f *fixture) {
			f.policy = store.Policy{WindowTime: 10 * sec, FailureRate: 0.5, MinCalls: 10}
			f.succeed(100)
			f.at(10 * sec)
			same(f, "state after 9 failures", f.fail(9).Snapshot.State, store.Closed)
			same(f, "state after 10 failures", f.fail(1).Snapshot.State, store.Open)
		},
	},
	{
		"calls longer than the window still count",
		"An outcome belongs to when it finished, not to when its call began: long calls that fail trip all the same.",
		func(f *fixture) {
			f.policy = store.Policy{WindowTime: sec, FailureRate: 0.5, ConsecutiveFailures: 5, MinCalls: 5}
			f.after(30 * sec) // five calls last so long
			for range 4 {
				f.fail(1)
				f.after(100 * ms)
			}
			same(f, "state", f.fail(1).Snapshot.State, store.Open)
		},
	},
	{
		"reading expires buckets",
		"Reads leave out buckets that have left the window: after an idle time a window shows nothing.",
		func(f *fixture) {
			f.policy = store.Policy{WindowTime: 10 * sec, FailureRate: 0.9, ConsecutiveFailures: 100}
			f.tell("a", failures(5), slowSuccesses(5))
			f.after(day)
			f.wantWindow(0, 0, 0, 0)
		},
	},
	{
		"a step forward leaves nothing in a window of time",
		"A clock that steps far forward empties a window of time and breaks nothing.",
		func(f *fixture) {
			f.policy = tenBuckets
			f.fail(5)
			f.after(1000 * day)
			f.succeed(3)
			f.wantWindow(3, 0, 0, 0)
		},
	},
	{
		"a bucket that ended does not come back",
		"A step back brings no ended bucket back into the window: machine time goes on.",
		func(f *fixture) {
			f.policy = tenBuckets
			f.fail(5)
			f.after(10 * sec)
			f.tell("a", successes(1))
			f.after(-10 * sec)
			f.wantWindow(1, 0, 0, 0)
		},
	},
	{
		"a streak's failures age with a window of time",
		"With a window of time a streak is no longer than the failures in it: five failures on five days are not a streak.",
		func(f *fixture) {
			f.policy = store.Policy{WindowTime: minute, ConsecutiveFailures: 5}
			for range 20 {
				f.wantCalm(failures(1))
				f.wantWindow(1, 1, 0, 1)
				f.after(day)
			}
			f.wantWindow(0, 0, 0, 0)
			for range 20 { // never without a failure in the window, and never five
				f.wantCalm(failures(1))
				f.after(15 * sec)
			}
			f.wantWindow(3, 3, 0, 3)
			f.wantCalm(failures(1))
			f.wantTrip(store.ByConsecutiveFailures, failures(1))
			same(f, "streak", f.newest().Window.Consecutive, 5)
		},
	},
	{
		"a streak lasts from the first failure that counts",
		"ConsecutiveFor runs from the first failure after which the window of time was never without one.",
		func(f *fixture) {
			f.policy = store.Policy{WindowTime: 10 * sec, ConsecutiveFailures: 5, ConsecutiveFor: 20 * sec}
			f.wantCalm(failures(1))
			f.after(day)
			f.wantCalm(failures(9))
			for range 4 {
				f.after(5*sec - ms)
				f.wantCalm(failures(9))
			}
			f.after(4 * ms)
			f.wantTrip(store.ByConsecutiveFailures, failures(1))
		},
	},
	{
		"a streak's reporters age with a window of time",
		"With a window of time the quorum of a streak is that of its failures in the window.",
		func(f *fixture) {
			f.policy = store.Policy{WindowTime: 10 * sec, ConsecutiveFailures: 5, Reporters: 2}
			f.tell("b", failures(1))
			f.after(5 * sec)
			f.wantCalm(failures(3))
			f.after(5 * sec)
			f.wantCalm(failures(9))
			f.wantWindow(12, 12, 0, 12)
			made := f.tell("b", failures(1)).Made
			truly(f, "b's failure completes the quorum", made != nil && made.Reason == store.ByConsecutiveFailures)
			same(f, "witnesses", f.newest().Witnesses, []string{"a", "b"})
		},
	},
}
