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
		func(f *fixture) {
			f.policy = quorum(2)
			f.tell("b", successes(1))
			same(f, "Made by one replica", f.tell("a", failures(50)).Made, nil)
			made := f.tell("b", failures(1)).Made
			truly(f, "a second one trips", made != nil && made.Reason == store.ByConsecutiveFailures)
		},
	},
	{
		"a lone replica is quorum enough",
		"Never more reporters are asked for than replicas reported outcomes lately, this report included.",
		func(f *fixture) {
			f.policy = quorum(3)
			same(f, "state", f.fail(5).Snapshot.State, store.Open)
		},
	},
	{
		"only who reports outcomes counts as calling",
		"Replicas with a report of outcomes that was no repeat count; a sign of life, a repeat and a claim do not.",
		func(f *fixture) {
			f.policy = quorum(2)
			f.tell("b")
			repeat := f.report("c", successes(1))
			repeat.Seq = 0
			f.send(repeat)
			f.claim("d", 1)
			same(f, "state", f.fail(5).Snapshot.State, store.Open)
		},
	},
	{
		"ignored and late outcomes are outcomes",
		"A replica that reported late or ignored outcomes only is one of those that call.",
		func(f *fixture) {
			f.policy = quorum(2)
			f.tell("b", ignored(1))
			f.tell("c", aged(hour, successes(1)))
			same(f, "Made", f.fail(50).Made, nil)
			f.tell("b", failures(1))
			f.wantState(store.Open)
		},
	},
	{
		"lately is this slice of 30 s and the one before",
		"Replicas count for the quorum while their last report of outcomes lies in this slice of 30 s or the one before.",
		func(f *fixture) {
			f.policy = quorum(2)
			f.at(30*sec - ms)
			f.tell("b", successes(1))
			f.at(60*sec - ms)
			same(f, "Made at the end of the next slice", f.fail(5).Made, nil)
			f.at(60 * sec)
			same(f, "state a millisecond later", f.fail(1).Snapshot.State, store.Open)
		},
	},
	{
		"who calls in both slices counts once",
		"The replicas of two slices are a union: one that reports in both counts once.",
		func(f *fixture) {
			f.policy = quorum(2)
			f.tell("a", successes(1))
			f.at(31 * sec)
			f.tell("a", successes(1))
			f.at(45 * sec)
			same(f, "Replicas", f.read().Replicas, 1)
			same(f, "state", f.fail(5).Snapshot.State, store.Open)
		},
	},
	{
		"every reporting replica is counted",
		"Replicas counts who sent any report in this slice of 30 s or the one before.",
		func(f *fixture) {
			f.tell("a")
			f.tell("b", successes(1))
			f.at(30 * sec)
			f.tell("b")
			f.tell("c")
			same(f, "Replicas", f.read().Replicas, 3)
			f.at(60 * sec)
			same(f, "Replicas in the next slice", f.read().Replicas, 2)
			f.at(90 * sec)
			same(f, "Replicas after that", f.read().Replicas, 0)
		},
	},
	{
		"a streak's quorum is that of the streak",
		"For the streak the replicas of the streak count: failures before its last success do not.",
		func(f *fixture) {
			f.policy = quorum(2)
			f.tell("b", failures(3), successes(1))
			same(f, "Made", f.tell("a", failures(20)).Made, nil)
			f.tell("b", failures(1))
			f.wantState(store.Open)
		},
	},
	{
		"a rate's quorum is that of the window",
		"For a rate the replicas of the failures in the window count, in a window of calls and of time.",
		func(f *fixture) {
			f.policy = store.Policy{WindowCalls: 10, FailureRate: 0.5, Reporters: 2}
			f.tell("b", failures(1))
			same(f, "state by a's and b's failures", f.tell("a", successes(5), failures(4)).Snapshot.State, store.Open)
			f.do(store.Reset)
			f.tell("b", failures(1))
			same(f, "Made after b's failure left", f.tell("a", successes(9), failures(9)).Made, nil)
			same(f, "state when b fails again", f.tell("b", failures(1)).Snapshot.State, store.Open)
		},
	},
	{
		"a window of time drops reporters with their buckets",
		"For a rate over time a replica whose failures left the window is no witness.",
		func(f *fixture) {
			f.policy = store.Policy{WindowTime: 10 * sec, FailureRate: 0.5, MinCalls: 5, Reporters: 2}
			f.tell("b", failures(1))
			f.at(10*sec - ms)
			f.tell("a", failures(3))
			f.at(10 * sec)
			same(f, "Made", f.tell("a", failures(10)).Made, nil)
			f.tell("b", failures(1))
			f.wantState(store.Open)
		},
	},
	{
		"slow calls have a quorum of their own",
		"For the slow-call rate the replicas of the slow calls count, not those of quick failures.",
		func(f *fixture) {
			f.policy = store.Policy{SlowCallRate: 0.5, SlowCallAfter: sec, Reporters: 2}
			f.tell("b", failures(5))
			same(f, "Made", f.tell("a", slowSuccesses(20)).Made, nil)
			f.tell("b", slowSuccesses(1))
			f.wantState(store.Open)
		},
	},
	{
		"witnesses are those who counted",
		"Witnesses of a trip are the replicas whose outcomes the rule counted, sorted, at most 8.",
		func(f *fixture) {
			f.policy = store.Policy{ConsecutiveFailures: 11}
			f.tell("before", failures(1), successes(1))
			for i := range 10 {
				f.tell(fmt.Sprintf("r%d", 9-i), failures(1))
			}
			made := f.tell("r5", failures(1)).Made
			same(f, "witnesses", made.Witnesses, []string{"r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7"})
		},
	},
	{
		"sixteen reporters can be asked for",
		"Reporters goes up to 16: fifteen replicas do not trip, the sixteenth does.",
		func(f *fixture) {
			f.policy = quorum(16)
			f.tell("healthy", successes(1))
			for i := range 15 {
				same(f, "Made", f.tell(fmt.Sprintf("r%02d", i), failures(3)).Made, nil)
			}
			same(f, "state", f.tell("r15", failures(1)).Snapshot.State, store.Open)
		},
	},
	{
		"the newest sixteen are kept",
		"Kept are the 16 replicas whose newest adverse outcome is newest: a trip of a great fleet tells of those.",
		func(f *fixture) {
			f.policy = store.Policy{ConsecutiveFailures: 40}
			f.tell("a-first", failures(1))
			for i := range 16 {
				f.tell(fmt.Sprintf("r%02d", i), failures(1))
			}
			made := f.tell("r00", failures(23)).Made
			same(f, "witnesses", made.Witnesses, []string{"r00", "r01", "r02", "r03", "r04", "r05", "r06", "r07"})
		},
	},
	{
		"a reporter's place never moves back",
		"In a window of time a replica counts by its newest adverse bucket: an older outcome that it reports later takes nothing from it.",
		func(f *fixture) {
			f.policy = store.Policy{WindowTime: 10 * sec, FailureRate: 0.5, MinCalls: 6, Reporters: 2}
			f.at(20 * sec)
			f.tell("b", failures(1))
			f.tell("b", aged(3*sec, failures(1)))
			f.at(28 * sec)
			made := f.tell("a", failures(5)).Made
			truly(f, "b counts while its newest failure is in the window", made != nil)
			same(f, "witnesses", f.newest().Witnesses, []string{"a", "b"})
		},
	},
	{
		"the newest sixteen go by bucket in a window of time",
		"In a window of time the places of the 16 are their buckets: a late report of an old failure displaces nobody's newer one.",
		func(f *fixture) {
			f.policy = store.Policy{WindowTime: 10 * sec, FailureRate: 0.5, MinCalls: 18}
			f.at(20 * sec)
			for i := range 16 {
				f.tell(fmt.Sprintf("r%02d", i), failures(1))
			}
			f.tell("a-late", aged(3*sec, failures(1)))
			made := f.tell("r00", failures(1)).Made
			if made == nil {
				f.Fatal("18 failures of 18 calls made no trip")
			}
			same(f, "witnesses", made.Witnesses, []string{"r00", "r01", "r02", "r03", "r04", "r05", "r06", "r07"})
		},
	},
	{
		"who left the window is no witness",
		"Witnesses of a rate are replicas with an adverse outcome that is still in the window.",
		func(f *fixture) {
			f.policy = store.Policy{WindowCalls: 10, FailureRate: 0.5}
			f.tell("b", failures(1))
			f.tell("c", successes(5), failures(1))
			made := f.tell("a", successes(4), failures(4)).Made
			if made == nil {
				f.Fatal("5 failures of 10 calls made no trip")
			}
			same(f, "witnesses", made.Witnesses, []string{"a", "c"})
		},
	},
}
