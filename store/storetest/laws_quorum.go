package storetest

import (
	"fmt"

	"github.com/commontrip/commontrip/store"
)

// quorum is a policy of 5 failures in a row from so many replicas.
func quorum(reporters int) store.Policy {
	return store.Policy{ConsecutiveFailures: 5, Reporters: reporters}.WithDefaults()
}

var quorumRules = []rule{
	{
		"one sick replica does not trip the fleet",
		"The adverse outcomes that the rule counts must come from at least Reporters replicas.",
		func(w *world) {
			w.policy = quorum(2)
			w.tell("b", successes(1))
			same(w, "Made by one replica", w.tell("a", failures(50)).Made, nil)
			made := w.tell("b", failures(1)).Made
			truly(w, "a second one trips", made != nil && made.Reason == store.ByConsecutiveFailures)
		},
	},
	{
		"a lone replica is quorum enough",
		"Never more reporters are asked for than replicas reported outcomes lately, this report included.",
		func(w *world) {
			w.policy = quorum(3)
			same(w, "state", w.fail(5).Snapshot.State, store.Open)
		},
	},
	{
		"only who reports outcomes counts as calling",
		"Replicas with a report of outcomes that was no repeat count; a sign of life, a repeat and a claim do not.",
		func(w *world) {
			w.policy = quorum(2)
			w.tell("b")
			repeat := w.report("c", successes(1))
			repeat.Seq = 0
			w.send(repeat)
			w.claim("d", 1)
			same(w, "state", w.fail(5).Snapshot.State, store.Open)
		},
	},
	{
		"ignored and late outcomes are outcomes",
		"A replica that reported late or ignored outcomes only is one of those that call.",
		func(w *world) {
			w.policy = quorum(2)
			w.tell("b", ignored(1))
			w.tell("c", aged(hour, successes(1)))
			same(w, "Made", w.fail(50).Made, nil)
			w.tell("b", failures(1))
			w.wantState(store.Open)
		},
	},
	{
		"lately is this slice of 30 s and the one before",
		"Replicas count for the quorum while their last report of outcomes lies in this slice of 30 s or the one before.",
		func(w *world) {
			w.policy = quorum(2)
			w.at(30*sec - ms)
			w.tell("b", successes(1))
			w.at(60*sec - ms)
			same(w, "Made at the end of the next slice", w.fail(5).Made, nil)
			w.at(60 * sec)
			same(w, "state a millisecond later", w.fail(1).Snapshot.State, store.Open)
		},
	},
	{
		"who calls in both slices counts once",
		"The replicas of two slices are a union: one that reports in both counts once.",
		func(w *world) {
			w.policy = quorum(2)
			w.tell("a", successes(1))
			w.at(31 * sec)
			w.tell("a", successes(1))
			w.at(45 * sec)
			same(w, "Replicas", w.read().Replicas, 1)
			same(w, "state", w.fail(5).Snapshot.State, store.Open)
		},
	},
	{
		"every reporting replica is counted",
		"Replicas counts who sent any report in this slice of 30 s or the one before.",
		func(w *world) {
			w.tell("a")
			w.tell("b", successes(1))
			w.at(30 * sec)
			w.tell("b")
			w.tell("c")
			same(w, "Replicas", w.read().Replicas, 3)
			w.at(60 * sec)
			same(w, "Replicas in the next slice", w.read().Replicas, 2)
			w.at(90 * sec)
			same(w, "Replicas after that", w.read().Replicas, 0)
		},
	},
	{
		"a streak's quorum is that of the streak",
		"For the streak the replicas of the streak count: failures before its last success do not.",
		func(w *world) {
			w.policy = quorum(2)
			w.tell("b", failures(3), successes(1))
			same(w, "Made", w.tell("a", failures(20)).Made, nil)
			w.tell("b", failures(1))
			w.wantState(store.Open)
		},
	},
	{
		"a rate's quorum is that of the window",
		"For a rate the replicas of the failures in the window count, in a window of calls and of time.",
		func(w *world) {
			w.policy = store.Policy{WindowCalls: 10, FailureRate: 0.5, Reporters: 2}
			w.tell("b", failures(1))
			same(w, "state by a's and b's failures", w.tell("a", successes(5), failures(4)).Snapshot.State, store.Open)
			w.do(store.Reset)
			w.tell("b", failures(1))
			same(w, "Made after b's failure left", w.tell("a", successes(9), failures(9)).Made, nil)
			same(w, "state when b fails again", w.tell("b", failures(1)).Snapshot.State, store.Open)
		},
	},
	{
		"a window of time drops reporters with their buckets",
		"For a rate over time a replica whose failures left the window is no witness.",
		func(w *world) {
			w.policy = store.Policy{WindowTime: 10 * sec, FailureRate: 0.5, MinCalls: 5, Reporters: 2}
			w.tell("b", failures(1))
			w.at(10*sec - ms)
			w.tell("a", failures(3))
			w.at(10 * sec)
			same(w, "Made", w.tell("a", failures(10)).Made, nil)
			w.tell("b", failures(1))
			w.wantState(store.Open)
		},
	},
	{
		"slow calls have a quorum of their own",
		"For the slow-call rate the replicas of the slow calls count, not those of quick failures.",
		func(w *world) {
			w.policy = store.Policy{SlowCallRate: 0.5, SlowCallAfter: sec, Reporters: 2}
			w.tell("b", failures(5))
			same(w, "Made", w.tell("a", slowSuccesses(20)).Made, nil)
			w.tell("b", slowSuccesses(1))
			w.wantState(store.Open)
		},
	},
	{
		"witnesses are those who counted",
		"Witnesses of a trip are the replicas whose outcomes the rule counted, sorted, at most 8.",
		func(w *world) {
			w.policy = store.Policy{ConsecutiveFailures: 11}
			w.tell("before", failures(1), successes(1))
			for i := range 10 {
				w.tell(fmt.Sprintf("r%d", 9-i), failures(1))
			}
			made := w.tell("r5", failures(1)).Made
			same(w, "witnesses", made.Witnesses, []string{"r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7"})
		},
	},
	{
		"sixteen reporters can be asked for",
		"Reporters goes up to 16: fifteen replicas do not trip, the sixteenth does.",
		func(w *world) {
			w.policy = quorum(16)
			w.tell("healthy", successes(1))
			for i := range 15 {
				same(w, "Made", w.tell(fmt.Sprintf("r%02d", i), failures(3)).Made, nil)
			}
			same(w, "state", w.tell("r15", failures(1)).Snapshot.State, store.Open)
		},
	},
	{
		"the newest sixteen are kept",
		"Kept are the 16 replicas whose newest adverse outcome is newest: a trip of a great fleet tells of those.",
		func(w *world) {
			w.policy = store.Policy{ConsecutiveFailures: 40}
			w.tell("a-first", failures(1))
			for i := range 16 {
				w.tell(fmt.Sprintf("r%02d", i), failures(1))
			}
			made := w.tell("r00", failures(23)).Made
			same(w, "witnesses", made.Witnesses, []string{"r00", "r01", "r02", "r03", "r04", "r05", "r06", "r07"})
		},
	},
	{
		"a reporter's place never moves back",
		"In a window of time a replica counts by its newest adverse bucket: an older outcome that it reports later takes nothing from it.",
		func(w *world) {
			w.policy = store.Policy{WindowTime: 10 * sec, FailureRate: 0.5, MinCalls: 6, Reporters: 2}
			w.at(20 * sec)
			w.tell("b", failures(1))
			w.tell("b", aged(3*sec, failures(1)))
			w.at(28 * sec)
			made := w.tell("a", failures(5)).Made
			truly(w, "b counts while its newest failure is in the window", made != nil)
			same(w, "witnesses", w.newest().Witnesses, []string{"a", "b"})
		},
	},
	{
		"the newest sixteen go by bucket in a window of time",
		"In a window of time the places of the 16 are their buckets: a late report of an old failure displaces nobody's newer one.",
		func(w *world) {
			w.policy = store.Policy{WindowTime: 10 * sec, FailureRate: 0.5, MinCalls: 18}
			w.at(20 * sec)
			for i := range 16 {
				w.tell(fmt.Sprintf("r%02d", i), failures(1))
			}
			w.tell("a-late", aged(3*sec, failures(1)))
			made := w.tell("r00", failures(1)).Made
			if made == nil {
				w.Fatal("18 failures of 18 calls made no trip")
			}
			same(w, "witnesses", made.Witnesses, []string{"r00", "r01", "r02", "r03", "r04", "r05", "r06", "r07"})
		},
	},
	{
		"who left the window is no witness",
		"Witnesses of a rate are replicas with an adverse outcome that is still in the window.",
		func(w *world) {
			w.policy = store.Policy{WindowCalls: 10, FailureRate: 0.5}
			w.tell("b", failures(1))
			w.tell("c", successes(5), failures(1))
			made := w.tell("a", successes(4), failures(4)).Made
			if made == nil {
				w.Fatal("5 failures of 10 calls made no trip")
			}
			same(w, "witnesses", made.Witnesses, []string{"a", "c"})
		},
	},
}
