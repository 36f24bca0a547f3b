package storetest

import "github.com/commontrip/commontrip/store"

func rates(failure float64, windowCalls, minCalls int) store.Policy {
	return store.Policy{WindowCalls: windowCalls, FailureRate: failure, MinCalls: minCalls}.WithDefaults()
}

// wantTrip sends runs as replica a and wants them to trip by a reason.
func (f *fixture) wantTrip(by store.Reason, runs ...store.Run) {
	f.Helper()
	result := f.tell("a", runs...)
	if result.Made == nil {
		f.Fatalf("%+v tripped nothing; window %+v", runs, result.Snapshot.Window)
	}
	same(f, "reason", result.Made.Reason, by)
}

// wantCalm sends runs as replica a and wants them to trip nothing.
func (f *fixture) wantCalm(runs ...store.Run) {
	f.Helper()
	if result := f.tell("a", runs...); result.Made != nil {
		f.Errorf("%+v tripped: %+v", runs, result.Made)
	}
}

var judgingRules = []rule{
	{
		"a streak trips at its length",
		"A streak of ConsecutiveFailures trips, one failure less does not.",
		func(f *fixture) {
			f.wantCalm(failures(4))
			f.wantTrip(store.ByConsecutiveFailures, failures(1))
		},
	},
	{
		"every success breaks a streak",
		"Every success breaks a streak, slow or not; a slow failure is part of one.",
		func(f *fixture) {
			f.wantCalm(failures(4), successes(1), failures(4), slowSuccesses(1), failures(2), slowFailures(2))
			f.wantWindow(14, 12, 3, 4)
			f.wantTrip(store.ByConsecutiveFailures, slowFailures(1))
		},
	},
	{
		"a streak must have lasted",
		"The last failure of a streak arrived at least ConsecutiveFor after its first; exactly that is enough.",
		func(f *fixture) {
			f.policy.ConsecutiveFor = sec
			f.wantCalm(failures(5))
			f.after(sec - ms)
			f.wantCalm(failures(5))
			f.after(ms)
			f.wantTrip(store.ByConsecutiveFailures, failures(1))
		},
	},
	{
		"a streak lasts from its very first failure",
		"ConsecutiveFor runs from the very first failure of the streak, not from the first of the last ConsecutiveFailures.",
		func(f *fixture) {
			f.policy.ConsecutiveFailures, f.policy.ConsecutiveFor = 2, sec
			for range 4 {
				f.wantCalm(failures(1))
				f.after(250 * ms)
			}
			f.wantTrip(store.ByConsecutiveFailures, failures(1))
		},
	},
	{
		"a streak's time is that of its arrival",
		"ConsecutiveFor is counted by when outcomes arrived, in the store's time, not by their ages.",
		func(f *fixture) {
			f.policy.ConsecutiveFor = sec
			f.wantCalm(aged(2*sec, failures(1)), failures(9))
		},
	},
	{
		"a success starts a streak's time anew",
		"A broken streak's time is forgotten with it.",
		func(f *fixture) {
			f.policy.ConsecutiveFor = sec
			f.wantCalm(failures(1))
			f.after(sec)
			f.wantCalm(successes(1), failures(5))
			f.after(sec - ms)
			f.wantCalm(failures(1))
		},
	},
	{
		"a streak is independent of the window",
		"The streak goes by order of arrival, whatever a window of calls holds: one shorter than the streak does not hide it, nor does time.",
		func(f *fixture) {
			f.policy = store.Policy{WindowCalls: 2, ConsecutiveFailures: 5}
			f.wantCalm(failures(4))
			f.wantWindow(2, 2, 0, 4)
			f.after(day)
			f.wantTrip(store.ByConsecutiveFailures, failures(1))
		},
	},
	{
		"a rate trips exactly at its threshold",
		"Failures / calls >= FailureRate trips: exactly at the threshold too.",
		func(f *fixture) {
			f.policy = rates(0.5, 20, 20)
			f.wantCalm(successes(10), failures(9))
			f.wantTrip(store.ByFailureRate, failures(1))
		},
	},
	{
		"a rate below its threshold does not trip",
		"Rates are integers in 1/10000: 49.99 % of 50 % does not trip, and nothing is rounded up to it.",
		func(f *fixture) {
			f.policy = rates(0.5, 10_000, 10_000)
			f.wantCalm(successes(5001))
			f.wantCalm(failures(4000))
			f.wantCalm(failures(999))
			f.wantWindow(10_000, 4999, 0, 4999)
			f.wantTrip(store.ByFailureRate, failures(1))
		},
	},
	{
		"thresholds are no floating-point numbers",
		"57 of 100 is 57 %: a threshold that no double holds exactly is met exactly.",
		func(f *fixture) {
			for _, percent := range []int{7, 14, 28, 29, 55, 56, 57, 58} {
				f.wipe()
				f.policy = rates(float64(percent)/100, 100, 100)
				f.wantCalm(successes(100-percent), failures(percent-1))
				f.wantTrip(store.ByFailureRate, failures(1))
				f.after(ms)
			}
		},
	},
	{
		"rates wait for enough calls",
		"Rates are judged from MinCalls in the window on.",
		func(f *fixture) {
			f.policy = rates(0.5, 100, 20)
			f.wantCalm(failures(19))
			f.wantTrip(store.ByFailureRate, failures(1))
		},
	},
	{
		"ignored outcomes are no calls",
		"Ignored outcomes do not count toward MinCalls and thin out no rate.",
		func(f *fixture) {
			f.policy = rates(0.5, 100, 10)
			f.wantCalm(ignored(50), failures(9), ignored(50))
			f.wantTrip(store.ByFailureRate, failures(1))
		},
	},
	{
		"a success never trips",
		"An outcome neither failed nor slow never trips, even if it completes MinCalls; the next adverse one is judged.",
		func(f *fixture) {
			f.policy = rates(0.5, 100, 10)
			f.wantCalm(failures(9), successes(1))
			f.wantCalm(successes(5), ignored(5))
			f.wantWindow(15, 9, 0, 0)
			f.wantTrip(store.ByFailureRate, failures(1))
		},
	},
	{
		"a slow success is judged by every rule",
		"After each adverse outcome, a slow success among them whatever rules are set, all rules are judged.",
		func(f *fixture) {
			f.policy = rates(0.5, 100, 10)
			f.wantCalm(failures(9), successes(1))
			f.wantTrip(store.ByFailureRate, slowSuccesses(1))
		},
	},
	{
		"slow calls trip by their own rate",
		"Slow / calls >= SlowCallRate trips, slow successes and slow failures alike, exactly at the threshold.",
		func(f *fixture) {
			f.policy = store.Policy{SlowCallRate: 0.3, SlowCallAfter: sec, MinCalls: 10}
			f.wantCalm(successes(7), slowSuccesses(1), slowFailures(1))
			f.wantTrip(store.BySlowCallRate, slowSuccesses(1))
		},
	},
	{
		"failures are judged against slow calls too",
		"All rules are judged after each adverse outcome: a quick failure trips by a slow-call rate that a success had completed.",
		func(f *fixture) {
			f.policy = store.Policy{SlowCallRate: 0.3, SlowCallAfter: sec, MinCalls: 10}
			f.wantCalm(slowSuccesses(5), successes(5))
			f.wantTrip(store.BySlowCallRate, failures(1))
			f.wipe()
			f.policy.MinCalls = 5
			f.wantTrip(store.BySlowCallRate, slowSuccesses(2), successes(2), failures(1))
		},
	},
	{
		"the first rule that holds is the reason",
		"Rules are judged in the order streak, failure rate, slow-call rate; the first that holds is the reason.",
		func(f *fixture) {
			all := store.Policy{ConsecutiveFailures: 10, FailureRate: 1, SlowCallRate: 1, SlowCallAfter: sec, MinCalls: 10}
			f.policy = all
			f.wantTrip(store.ByConsecutiveFailures, slowFailures(10))
			f.do(store.Reset)
			all.ConsecutiveFailures = 0
			f.retune(all, 0)
			f.wantTrip(store.ByFailureRate, slowFailures(10))
			f.do(store.Reset)
			all.FailureRate = 0
			f.retune(all, 0)
			f.wantTrip(store.BySlowCallRate, slowFailures(10))
		},
	},
	{
		"a rule that is off never trips",
		"A rule whose field is 0 is off, once another rule is set.",
		func(f *fixture) {
			f.policy = store.Policy{SlowCallRate: 1, SlowCallAfter: sec}
			f.wantCalm(failures(1000))
		},
	},
	{
		"the zero policy does trip",
		"A policy without any rule takes the default: 5 failures in a row.",
		func(f *fixture) {
			f.policy = store.Policy{}
			f.wantCalm(failures(4))
			f.wantTrip(store.ByConsecutiveFailures, failures(1))
		},
	},
	{
		"observing changes no verdict",
		"Observe is a dry run: counts, transitions and probes as ever; only Effective says closed.",
		func(f *fixture) {
			f.policy.Observe = true
			s := f.trip().Snapshot
			same(f, "Effective", s.Effective(), store.Closed)
			f.after(minute)
			f.settle("a", f.lease("a"), store.Success)
			f.settle("a", f.lease("a"), store.Success)
			f.wantState(store.Closed)
		},
	},
	{
		"a streak over all replicas is one",
		"The fleet's outcomes are one stream, in order of arrival: replicas' failures add up, and anyone's success breaks the streak.",
		func(f *fixture) {
			for _, replica := range []string{"a", "b", "c", "d"} {
				f.tell(replica, failures(1))
			}
			f.tell("e", successes(1))
			f.wantWindow(5, 4, 0, 0)
			for _, replica := range []string{"a", "b", "c", "d", "e"} {
				f.tell(replica, failures(1))
			}
			f.wantState(store.Open)
		},
	},
	{
		"a share of calls is reached by that share",
		"A rate is rounded down to 1/10000: 2 of 3 calls reach a rate of 2.0/3, and fewer do not, for slow calls too.",
		func(f *fixture) {
			for _, share := range [][2]int{{2, 3}, {5, 6}, {7, 11}, {8, 9}, {29, 31}} {
				hits, calls := share[0], share[1]
				rate := float64(hits) / float64(calls)
				f.wipe()
				f.policy = store.Policy{WindowCalls: calls, MinCalls: calls, FailureRate: rate}
				f.wantCalm(successes(calls-hits), failures(hits-1))
				f.wantTrip(store.ByFailureRate, failures(1))
				f.wipe()
				f.policy = store.Policy{WindowCalls: calls, MinCalls: calls, SlowCallRate: rate, SlowCallAfter: sec}
				f.wantCalm(successes(calls-hits), slowSuccesses(hits-1))
				f.wantTrip(store.BySlowCallRate, slowSuccesses(1))
				f.after(ms)
			}
		},
	},
	{
		"a slow call that was given up counts as slow",
		"An outcome that is Ignored and slow is a slow call: it enters the window and is judged; it is not a failure, breaks no streak and has no label.",
		func(f *fixture) {
			givenUp := func(n int) store.Run { r := slowly(ignored(n)); r.Label = "canceled"; return r }
			f.policy = store.Policy{SlowCallRate: 0.5, SlowCallAfter: sec, FailureRate: 0.5, ConsecutiveFailures: 4, MinCalls: 10, WindowCalls: 10}
			f.wantCalm(failures(1), givenUp(2), ignored(5), failures(1), successes(2), failures(2), givenUp(1))
			f.wantWindow(9, 4, 3, 2)
			f.wantTrip(store.BySlowCallRate, givenUp(2))
			same(f, "window", f.newest().Window, store.Tally{Calls: 10, Failures: 3, Slow: 5, Consecutive: 2})
			same(f, "witnesses, labels", []int{len(f.newest().Witnesses), len(f.newest().Errors)}, []int{1, 0})
			same(f, "totals", f.read().Totals, store.Totals{Calls: 11, Failures: 4, Slow: 5, Ignored: 5})
			f.do(store.Reset)
			f.wantCalm(failures(3), givenUp(3))
			f.wantTrip(store.ByConsecutiveFailures, failures(1))
		},
	},
}
