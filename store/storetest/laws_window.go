package storetest

import "github.com/commontrip/commontrip/store"

// tenBuckets is a window of 10 s in buckets of 1 s.
var tenBuckets = store.Policy{WindowTime: 10 * sec, ConsecutiveFailures: 1_000_000}.WithDefaults()

var windowRules = []rule{
	{
		"a window of time holds this bucket and nine before",
		"Bucket i holds [i w, (i+1) w), w a tenth of WindowTime; the window is the bucket of now and the nine before.",
		func(w *world) {
			w.policy = tenBuckets
			w.at(sec - ms)
			w.fail(1)
			w.at(sec)
			w.fail(2)
			w.at(10*sec - ms)
			w.wantWindow(3, 3, 0, 3)
			w.at(10 * sec)
			w.wantWindow(2, 2, 0, 3)
			w.at(11*sec - ms)
			w.wantWindow(2, 2, 0, 3)
			w.at(11 * sec)
			w.wantWindow(0, 0, 0, 3)
		},
	},
	{
		"an outcome falls into the bucket of when it finished",
		"A time window puts an outcome into the bucket of now less its age.",
		func(w *world) {
			w.policy = tenBuckets
			w.at(20 * sec)
			w.tell("a", aged(ms, failures(1)), aged(sec, failures(2)), aged(sec+ms, failures(4)), failures(8))
			w.at(28*sec - ms)
			w.wantWindow(15, 15, 0, 15)
			w.at(28 * sec)
			w.wantWindow(11, 11, 0, 15)
			w.at(29*sec - ms)
			w.wantWindow(11, 11, 0, 15)
			w.at(29 * sec)
			w.wantWindow(8, 8, 0, 15)
			w.at(30 * sec)
			w.wantWindow(0, 0, 0, 15)
		},
	},
	{
		"an outcome older than the window is judged, but by no rate",
		"An outcome older than the window but not than MaxAge moves streak, labels and totals, no bucket, and is judged.",
		func(w *world) {
			w.policy = store.Policy{WindowTime: sec, ConsecutiveFailures: 5}
			old := labelled("timeout", 4)
			old.Age = 2 * sec
			w.tell("a", old)
			s := w.read()
			same(w, "window", s.Window, store.Tally{Consecutive: 4})
			same(w, "labels", s.Errors, []store.ErrorCount{{Label: "timeout", Count: 4}})
			same(w, "totals", s.Totals, store.Totals{Calls: 4, Failures: 4})
			old.Count = 1
			same(w, "state", w.tell("a", old).Snapshot.State, store.Open)
		},
	},
	{
		"a window of time judges what is in it",
		"Rates over a window of time see the calls of its ten buckets and no older ones.",
		func(w *world) {
			w.policy = store.Policy{WindowTime: 10 * sec, FailureRate: 0.5, MinCalls: 10}
			w.succeed(100)
			w.at(10 * sec)
			same(w, "state after 9 failures", w.fail(9).Snapshot.State, store.Closed)
			same(w, "state after 10 failures", w.fail(1).Snapshot.State, store.Open)
		},
	},
	{
		"calls longer than the window still count",
		"An outcome belongs to when it finished, not to when its call began: long calls that fail trip all the same.",
		func(w *world) {
			w.policy = store.Policy{WindowTime: sec, ConsecutiveFailures: 5}
			for range 4 {
				w.fail(1)
				w.after(5 * sec)
			}
			same(w, "state", w.fail(1).Snapshot.State, store.Open)
		},
	},
	{
		"reading expires buckets",
		"Reads leave out buckets that have left the window: after an idle time a window shows nothing.",
		func(w *world) {
			w.policy = store.Policy{WindowTime: 10 * sec, FailureRate: 0.9, ConsecutiveFailures: 100}
			w.tell("a", failures(5), slowSuccesses(5))
			w.after(day)
			w.wantWindow(0, 0, 0, 0)
		},
	},
	{
		"a step forward leaves nothing in a window of time",
		"A clock that steps far forward empties a window of time and breaks nothing.",
		func(w *world) {
			w.policy = tenBuckets
			w.fail(5)
			w.after(1000 * day)
			w.succeed(3)
			w.wantWindow(3, 0, 0, 0)
		},
	},
	{
		"a bucket that ended does not come back",
		"A step back brings no ended bucket back into the window: machine time goes on.",
		func(w *world) {
			w.policy = tenBuckets
			w.fail(5)
			w.after(10 * sec)
			w.tell("a", successes(1))
			w.after(-10 * sec)
			w.wantWindow(1, 0, 0, 0)
		},
	},
}
