package storetest

import "github.com/commontrip/commontrip/store"

// another is a policy that differs from every law's own.
var another = store.Policy{ConsecutiveFailures: 9, OpenFor: 9 * sec}.WithDefaults()

// announce sends, as a replica, a sign of life that announces p.
func (w *world) announce(replica string, p store.Policy) store.Result {
	w.Helper()
	r := w.report(replica)
	r.Announce, r.Policy = true, p
	return w.send(r)
}

// differ sends, as a replica, a sign of life that carries p without announcing it.
func (w *world) differ(replica string, p store.Policy) store.Result {
	w.Helper()
	r := w.report(replica)
	r.Policy = p
	return w.send(r)
}

var policyRules = []rule{
	{
		"the first policy becomes the fleet's and stays",
		"Where there is no policy yet the request's becomes the fleet's; another one that is not announced changes nothing and is shown as a conflict.",
		func(w *world) {
			w.touch()
			s := w.differ("b", another).Snapshot
			same(w, "policy", s.Policy, w.policy)
			truly(w, "the conflict is shown", s.PolicyConflict)
			truly(w, "in b's entry", w.member("b").Conflict)
			truly(w, "and not in a's", !w.member("a").Conflict)
		},
	},
	{
		"an announced policy becomes the fleet's",
		"Announce makes its policy the fleet's: the replica that starts last wins, as a deploy does. Rev grows, nothing is written to the history and the window stays.",
		func(w *world) {
			w.fail(3)
			result := w.announce("b", another)
			same(w, "policy", result.Snapshot.Policy, another)
			same(w, "Rev", result.Snapshot.Rev, w.clock.millis())
			truly(w, "nothing was made", result.Made == nil)
			same(w, "entries", len(w.history()), 0)
			w.wantWindow(3, 3, 0, 3)
			same(w, "policy after an old replica's report", w.touch().Snapshot.Policy, another)
		},
	},
	{
		"announcing what holds already changes nothing",
		"Only a changing Announce grows Rev; policies are compared with their defaults.",
		func(w *world) {
			w.touch()
			result := w.announce("b", store.Policy{ConsecutiveFailures: 5, OpenFor: minute})
			same(w, "Rev", result.Snapshot.Rev, uint64(0))
			truly(w, "no conflict", !result.Snapshot.PolicyConflict)
		},
	},
	{
		"a conflict is shown for 60 s after it was last seen",
		"PolicyConflict holds until 60 s after the last conflicting report, repeats included.",
		func(w *world) {
			w.touch()
			r := w.report("b")
			r.Policy = another
			w.send(r)
			w.after(40 * sec)
			w.send(r)
			w.after(minute - ms)
			truly(w, "it holds a millisecond before the end", w.read().PolicyConflict)
			w.after(ms)
			truly(w, "it is over after exactly 60 s", !w.read().PolicyConflict)
		},
	},
	{
		"a changing announcement ends a conflict",
		"A changing Announce clears the conflict; a roster entry's is that of its replica's last report.",
		func(w *world) {
			w.touch()
			w.differ("b", another)
			s := w.announce("b", another).Snapshot
			truly(w, "the conflict is over", !s.PolicyConflict)
			truly(w, "b has none", !w.member("b").Conflict)
			w.touch()
			truly(w, "now a conflicts", w.read().PolicyConflict && w.member("a").Conflict)
		},
	},
	{
		"a retuned policy rules over the fleet's",
		"Retuned by an operator before the fleet's: it holds for all, with state and window kept, until it is restored.",
		func(w *world) {
			w.fail(3)
			s := w.retune(another, 0).Snapshot
			same(w, "policy", s.Policy, another)
			truly(w, "it is retuned", s.Retuned)
			same(w, "the note's By", s.PolicyNote.By, oncall)
			w.wantWindow(3, 3, 0, 3)
			s = w.fail(2).Snapshot
			same(w, "state by the new rule", s.State, store.Closed)
			s = w.do(store.Restore).Snapshot
			same(w, "policy after Restore", s.Policy, w.policy)
			truly(w, "nothing is retuned", !s.Retuned && s.PolicyNote == store.Note{})
			w.wantWindow(5, 5, 0, 5)
		},
	},
	{
		"an announcement under a retuned policy waits",
		"A changing Announce becomes the fleet's policy and grows Rev under a Retune too, and rules when that ends.",
		func(w *world) {
			w.touch()
			rev := w.retune(store.FleetPolicy(), 0).Snapshot.Rev
			s := w.announce("b", another).Snapshot
			same(w, "policy", s.Policy, store.FleetPolicy())
			same(w, "Rev", s.Rev, rev+1)
			same(w, "policy after Restore", w.do(store.Restore).Snapshot.Policy, another)
		},
	},
	{
		"a conflict is one with the fleet's policy",
		"A replica conflicts where its policy is not the fleet's, whatever is retuned.",
		func(w *world) {
			w.touch()
			w.retune(another, 0)
			truly(w, "the fleet's own does not conflict", !w.touch().Snapshot.PolicyConflict)
			truly(w, "the retuned one does", w.differ("b", another).Snapshot.PolicyConflict)
		},
	},
	{
		"a shorter window keeps the newest calls",
		"Changed lengths keep the newest outcomes.",
		func(w *world) {
			w.policy = store.Policy{WindowCalls: 10, FailureRate: 1}
			w.tell("a", failures(4), successes(3), failures(2))
			w.retune(store.Policy{WindowCalls: 4, FailureRate: 1}, 0)
			w.wantWindow(4, 2, 0, 2)
			w.retune(store.Policy{WindowCalls: 8, FailureRate: 1}, 0)
			w.wantWindow(4, 2, 0, 2)
		},
	},
	{
		"a longer streak than the window stays",
		"A shorter window keeps the streak: it goes by order of arrival, whatever the window.",
		func(w *world) {
			w.policy.ConsecutiveFailures = 50
			w.fail(30)
			w.retune(store.Policy{WindowCalls: 4, ConsecutiveFailures: 50}, 0)
			w.wantWindow(4, 4, 0, 30)
		},
	},
	{
		"another kind of window starts empty",
		"Another kind of window, or another WindowTime, empties window and streak.",
		func(w *world) {
			w.fail(3)
			w.retune(store.Policy{WindowTime: minute, ConsecutiveFailures: 5}, 0)
			w.wantWindow(0, 0, 0, 0)
			w.fail(3)
			w.wantWindow(3, 3, 0, 3)
			w.retune(store.Policy{WindowTime: 2 * minute, ConsecutiveFailures: 5}, 0)
			w.wantWindow(0, 0, 0, 0)
			w.fail(3)
			w.retune(store.Policy{WindowTime: 2 * minute, ConsecutiveFailures: 6}, 0)
			w.wantWindow(3, 3, 0, 3)
		},
	},
	{
		"a claim brings a policy where there is none",
		"The first request's policy becomes the fleet's, a claim's too; a claim announces nothing and conflicts with nothing.",
		func(w *world) {
			w.claim("a", 1)
			c := w.request("b", 1)
			c.Policy = another
			s := w.ask(c).Snapshot
			same(w, "policy", s.Policy, w.policy)
			truly(w, "no conflict", !s.PolicyConflict)
		},
	},
	{
		"a policy is kept with its defaults",
		"A snapshot shows the policy in force, with defaults filled in and rounded to what is stored.",
		func(w *world) {
			w.policy = store.Policy{FailureRate: 0.33333, ConsecutiveFor: 1500}
			w.touch()
			same(w, "policy", w.read().Policy, w.policy.WithDefaults())
		},
	},
	{
		"every field of a policy is kept",
		"A policy comes back as it was announced, field by field.",
		func(w *world) {
			w.policy = store.Policy{
				WindowTime: 90 * sec, ConsecutiveFailures: 7, ConsecutiveFor: 1234 * ms, FailureRate: 0.1234, SlowCallRate: 0.9999,
				SlowCallAfter: 250 * ms, MinCalls: 33, Reporters: 16, OpenFor: 1500 * ms, OpenForMax: 24 * hour, Probes: 1000,
				ProbeSuccesses: 1_000_000, ProbeLease: 17 * ms, RampUp: 45 * sec, Observe: true,
			}
			w.touch()
			same(w, "policy", w.read().Policy, w.policy)
			w.announce("a", store.DefaultPolicy())
			same(w, "the next policy", w.read().Policy, store.DefaultPolicy())
			w.retune(w.policy, 0)
			same(w, "retuned", w.read().Policy, w.policy)
		},
	},
}
