package storetest

import "github.com/commontrip/commontrip/store"

func rates(failure float64, windowCalls, minCalls int) store.Policy {
	return store.Policy{WindowCalls: windowCalls, FailureRate: failure, MinCalls: minCalls}.WithDefaults()
}

// wantTrip sends runs as replica a and wants them to trip by a reason.
func (w *world) wantTrip(by store.Reason, runs ...store.Run) {
	w.Helper()
	result := w.tell("a", runs...)
	if result.Made == nil {
		w.Fatalf("%+v tripped nothing; window %+v", runs, result.Snapshot.Window)
	}
	same(w, "reason", result.Made.Reason, by)
}

// wantCalm sends runs as replica a and wants them to trip nothing.
func (w *world) wantCalm(runs ...store.Run) {
	w.Helper()
	if result := w.tell("a", runs...); result.Made != nil {
		w.Errorf("%+v tripped: %+v", runs, result.Made)
	}
}

var judgingRules = []rule{
	{
		"a streak trips at its length",
		"A streak of ConsecutiveFailures trips, one failure less does not.",
		func(w *world) {
			w.wantCalm(failures(4))
			w.wantTrip(store.ByConsecutiveFailures, failures(1))
		},
	},
	{
		"every success breaks a streak",
		"Every success breaks a streak, slow or not; a slow failure is part of one.",
		func(w *world) {
			w.wantCalm(failures(4), successes(1), failures(4), slowSuccesses(1), failures(2), slowFailures(2))
			w.wantWindow(14, 12, 3, 4)
			w.wantTrip(store.ByConsecutiveFailures, slowFailures(1))
		},
	},
	{
		"a streak must have lasted",
		"The last failure of a streak arrived at least ConsecutiveFor after its first; exactly that is enough.",
		func(w *world) {
			w.policy.ConsecutiveFor = sec
			w.wantCalm(failures(5))
			w.after(sec - ms)
			w.wantCalm(failures(5))
			w.after(ms)
			w.wantTrip(store.ByConsecutiveFailures, failures(1))
		},
	},
	{
		"a streak lasts from its very first failure",
		"ConsecutiveFor runs from the very first failure of the streak, not from the first of the last ConsecutiveFailures.",
		func(w *world) {
			w.policy.ConsecutiveFailures, w.policy.ConsecutiveFor = 2, sec
			for range 4 {
				w.wantCalm(failures(1))
				w.after(250 * ms)
			}
			w.wantTrip(store.ByConsecutiveFailures, failures(1))
		},
	},
	{
		"a streak's time is that of its arrival",
		"ConsecutiveFor is counted by when outcomes arrived, in the store's time, not by their ages.",
		func(w *world) {
			w.policy.ConsecutiveFor = sec
			w.wantCalm(aged(2*sec, failures(1)), failures(9))
		},
	},
	{
		"a success starts a streak's time anew",
		"A broken streak's time is forgotten with it.",
		func(w *world) {
			w.policy.ConsecutiveFor = sec
			w.wantCalm(failures(1))
			w.after(sec)
			w.wantCalm(successes(1), failures(5))
			w.after(sec - ms)
			w.wantCalm(failures(1))
		},
	},
	{
		"a streak is independent of the window",
		"The streak goes by order of arrival, whatever the window holds: a window shorter than the streak does not hide it.",
		func(w *world) {
			w.policy = store.Policy{WindowCalls: 2, ConsecutiveFailures: 5}
			w.wantCalm(failures(4))
			w.wantWindow(2, 2, 0, 4)
			w.wantTrip(store.ByConsecutiveFailures, failures(1))
		},
	},
	{
		"a rate trips exactly at its threshold",
		"Failures / calls >= FailureRate trips: exactly at the threshold too.",
		func(w *world) {
			w.policy = rates(0.5, 20, 20)
			w.wantCalm(successes(10), failures(9))
			w.wantTrip(store.ByFailureRate, failures(1))
		},
	},
	{
		"a rate below its threshold does not trip",
		"Rates are integers in 1/10000: 49.99 % of 50 % does not trip, and nothing is rounded up to it.",
		func(w *world) {
			w.policy = rates(0.5, 10_000, 10_000)
			w.wantCalm(successes(5001))
			w.wantCalm(failures(4000))
			w.wantCalm(failures(999))
			w.wantWindow(10_000, 4999, 0, 4999)
			w.wantTrip(store.ByFailureRate, failures(1))
		},
	},
	{
		"thresholds are no floating-point numbers",
		"57 of 100 is 57 %: a threshold that no double holds exactly is met exactly.",
		func(w *world) {
			for _, percent := range []int{7, 14, 28, 29, 55, 56, 57, 58} {
				w.wipe()
				w.policy = rates(float64(percent)/100, 100, 100)
				w.wantCalm(successes(100-percent), failures(percent-1))
				w.wantTrip(store.ByFailureRate, failures(1))
				w.after(ms)
			}
		},
	},
	{
		"rates wait for enough calls",
		"Rates are judged from MinCalls in the window on.",
		func(w *world) {
			w.policy = rates(0.5, 100, 20)
			w.wantCalm(failures(19))
			w.wantTrip(store.ByFailureRate, failures(1))
		},
	},
	{
		"ignored outcomes are no calls",
		"Ignored outcomes do not count toward MinCalls and thin out no rate.",
		func(w *world) {
			w.policy = rates(0.5, 100, 10)
			w.wantCalm(ignored(50), failures(9), ignored(50))
			w.wantTrip(store.ByFailureRate, failures(1))
		},
	},
	{
		"a success never trips",
		"An outcome neither failed nor slow never trips, even if it completes MinCalls; the next adverse one is judged.",
		func(w *world) {
			w.policy = rates(0.5, 100, 10)
			w.wantCalm(failures(9), successes(1))
			w.wantCalm(successes(5), ignored(5))
			w.wantWindow(15, 9, 0, 0)
			w.wantTrip(store.ByFailureRate, failures(1))
		},
	},
	{
		"a slow success is judged by every rule",
		"After each adverse outcome, a slow success among them whatever rules are set, all rules are judged.",
		func(w *world) {
			w.policy = rates(0.5, 100, 10)
			w.wantCalm(failures(9), successes(1))
			w.wantTrip(store.ByFailureRate, slowSuccesses(1))
		},
	},
	{
		"slow calls trip by their own rate",
		"Slow / calls >= SlowCallRate trips, slow successes and slow failures alike, exactly at the threshold.",
		func(w *world) {
			w.policy = store.Policy{SlowCallRate: 0.3, SlowCallAfter: sec, MinCalls: 10}
			w.wantCalm(successes(7), slowSuccesses(1), slowFailures(1))
			w.wantTrip(store.BySlowCallRate, slowSuccesses(1))
		},
	},
	{
		"failures are judged against slow calls too",
		"All rules are judged after each adverse outcome: a quick failure trips by a slow-call rate that a success had completed.",
		func(w *world) {
			w.policy = store.Policy{SlowCallRate: 0.3, SlowCallAfter: sec, MinCalls: 10}
			w.wantCalm(slowSuccesses(5), successes(5))
			w.wantTrip(store.BySlowCallRate, failures(1))
		},
	},
	{
		"the first rule that holds is the reason",
		"Rules are judged in the order streak, failure rate, slow-call rate; the first that holds is the reason.",
		func(w *world) {
			all := store.Policy{ConsecutiveFailures: 10, FailureRate: 1, SlowCallRate: 1, SlowCallAfter: sec, MinCalls: 10}
			w.policy = all
			w.wantTrip(store.ByConsecutiveFailures, slowFailures(10))
			w.do(store.Reset)
			all.ConsecutiveFailures = 0
			w.retune(all, 0)
			w.wantTrip(store.ByFailureRate, slowFailures(10))
			w.do(store.Reset)
			all.FailureRate = 0
			w.retune(all, 0)
			w.wantTrip(store.BySlowCallRate, slowFailures(10))
		},
	},
	{
		"a rule that is off never trips",
		"A rule whose field is 0 is off, once another rule is set.",
		func(w *world) {
			w.policy = store.Policy{SlowCallRate: 1, SlowCallAfter: sec}
			w.wantCalm(failures(1000))
		},
	},
	{
		"the zero policy does trip",
		"A policy without any rule takes the default: 5 failures in a row.",
		func(w *world) {
			w.policy = store.Policy{}
			w.wantCalm(failures(4))
			w.wantTrip(store.ByConsecutiveFailures, failures(1))
		},
	},
	{
		"observing changes no verdict",
		"Observe is a dry run: counts, transitions and probes as ever; only Effective says closed.",
		func(w *world) {
			w.policy.Observe = true
			s := w.trip().Snapshot
			same(w, "Effective", s.Effective(), store.Closed)
			w.after(minute)
			w.settle("a", w.lease("a"), store.Success)
			w.settle("a", w.lease("a"), store.Success)
			w.wantState(store.Closed)
		},
	},
	{
		"a streak over all replicas is one",
		"The fleet's outcomes are one stream, in order of arrival: replicas' failures add up, and anyone's success breaks the streak.",
		func(w *world) {
			for _, replica := range []string{"a", "b", "c", "d"} {
				w.tell(replica, failures(1))
			}
			w.tell("e", successes(1))
			w.wantWindow(5, 4, 0, 0)
			for _, replica := range []string{"a", "b", "c", "d", "e"} {
				w.tell(replica, failures(1))
			}
			w.wantState(store.Open)
		},
	},
}
