package storetest

import "github.com/commontrip/commontrip/store"

// another is a policy that differs from every law's own.
var another = store.Policy{ConsecutiveFailures: 9, OpenFor: 9 * sec}.WithDefaults()

// announce sends, as a replica, a sign of life that announces p.
func (f *fixture) announce(replica string, p store.Policy) store.Result {
	f.Helper()
	r := f.report(replica)
	r.Announce, r.Policy = true, p
	return f.send(r)
}

// differ sends, as a replica, a sign of life that carries p without announcing it.
func (f *fixture) differ(replica string, p store.Policy) store.Result {
	f.Helper()
	r := f.report(replica)
	r.Policy = p
	return f.send(r)
}

var policyRules = []rule{
	{
		"the first policy becomes the fleet's and stays",
		"If there is no policy yet the request's becomes the fleet's; another one that is not announced changes nothing and is shown as a conflict.",
		func(f *fixture) {
			f.touch()
			s := f.differ("b", another).Snapshot
			same(f, "policy", s.Policy, f.policy)
			truly(f, "the conflict is shown", s.PolicyConflict)
			truly(f, "in b's entry", f.member("b").Conflict)
			truly(f, "and not in a's", !f.member("a").Conflict)
		},
	},
	{
		"an announced policy becomes the fleet's",
		"Announce makes its policy the fleet's: the replica that starts last wins, as a deploy does. Rev grows, nothing is written to the history and the window stays.",
		func(f *fixture) {
			f.fail(3)
			result := f.announce("b", another)
			same(f, "policy", result.Snapshot.Policy, another)
			same(f, "Rev", result.Snapshot.Rev, f.clock.millis())
			truly(f, "nothing was made", result.Made == nil)
			same(f, "entries", len(f.history()), 0)
			f.wantWindow(3, 3, 0, 3)
			same(f, "policy after an old replica's report", f.touch().Snapshot.Policy, another)
		},
	},
	{
		"announcing what holds already changes nothing",
		"Only a changing Announce grows Rev; policies are compared with their defaults.",
		func(f *fixture) {
			f.touch()
			result := f.announce("b", store.Policy{ConsecutiveFailures: 5, OpenFor: minute})
			same(f, "Rev", result.Snapshot.Rev, uint64(0))
			truly(f, "no conflict", !result.Snapshot.PolicyConflict)
		},
	},
	{
		"a conflict is shown for 60 s after it was last seen",
		"PolicyConflict holds until 60 s after the last conflicting report, repeats included.",
		func(f *fixture) {
			f.touch()
			r := f.report("b")
			r.Policy = another
			f.send(r)
			f.after(40 * sec)
			f.send(r)
			f.after(minute - ms)
			truly(f, "it holds a millisecond before the end", f.read().PolicyConflict)
			f.after(ms)
			truly(f, "it is over after exactly 60 s", !f.read().PolicyConflict)
		},
	},
	{
		"a changing announcement ends a conflict",
		"A changing Announce clears the conflict; a roster entry's is that of its replica's last report.",
		func(f *fixture) {
			f.touch()
			f.differ("b", another)
			s := f.announce("b", another).Snapshot
			truly(f, "the conflict is over", !s.PolicyConflict)
			truly(f, "b has none", !f.member("b").Conflict)
			f.touch()
			truly(f, "now a conflicts", f.read().PolicyConflict && f.member("a").Conflict)
		},
	},
	{
		"a retuned policy rules over the fleet's",
		"Retuned by an operator before the fleet's: it holds for all, with state and window kept, until it is restored.",
		func(f *fixture) {
			f.fail(3)
			s := f.retune(another, 0).Snapshot
			same(f, "policy", s.Policy, another)
			truly(f, "it is retuned", s.Retuned)
			same(f, "the note's By", s.PolicyNote.By, oncall)
			f.wantWindow(3, 3, 0, 3)
			s = f.fail(2).Snapshot
			same(f, "state by the new rule", s.State, store.Closed)
			s = f.do(store.Restore).Snapshot
			same(f, "policy after Restore", s.Policy, f.policy)
			truly(f, "nothing is retuned", !s.Retuned && s.PolicyNote == store.Note{})
			f.wantWindow(5, 5, 0, 5)
		},
	},
	{
		"an announcement under a retuned policy waits",
		"A changing Announce becomes the fleet's policy and grows Rev under a Retune too, and rules when that ends.",
		func(f *fixture) {
			f.touch()
			rev := f.retune(store.FleetPolicy(), 0).Snapshot.Rev
			s := f.announce("b", another).Snapshot
			same(f, "policy", s.Policy, store.FleetPolicy())
			same(f, "Rev", s.Rev, rev+1)
			same(f, "policy after Restore", f.do(store.Restore).Snapshot.Policy, another)
		},
	},
	{
		"a conflict is one with the fleet's policy",
		"A replica conflicts if its policy is not the fleet's, whatever is retuned.",
		func(f *fixture) {
			f.touch()
			f.retune(another, 0)
			truly(f, "the fleet's own does not conflict", !f.touch().Snapshot.PolicyConflict)
			truly(f, "the retuned one does", f.differ("b", another).Snapshot.PolicyConflict)
		},
	},
	{
		"a shorter window keeps the newest calls",
		"Changed lengths keep the newest outcomes.",
		func(f *fixture) {
			f.policy = store.Policy{WindowCalls: 10, FailureRate: 1}
			f.tell("a", failures(4), successes(3), failures(2))
			f.retune(store.Policy{WindowCalls: 4, FailureRate: 1}, 0)
			f.wantWindow(4, 2, 0, 2)
			f.retune(store.Policy{WindowCalls: 8, FailureRate: 1}, 0)
			f.wantWindow(4, 2, 0, 2)
		},
	},
	{
		"a longer streak than the window stays",
		"A shorter window keeps the streak: it goes by order of arrival, whatever the window.",
		func(f *fixture) {
			f.policy.ConsecutiveFailures = 50
			f.fail(30)
			f.retune(store.Policy{WindowCalls: 4, ConsecutiveFailures: 50}, 0)
			f.wantWindow(4, 4, 0, 30)
		},
	},
	{
		"another kind of window starts empty",
		"Another kind of window, or another WindowTime, empties window and streak.",
		func(f *fixture) {
			f.fail(3)
			f.retune(store.Policy{WindowTime: minute, ConsecutiveFailures: 5}, 0)
			f.wantWindow(0, 0, 0, 0)
			f.fail(3)
			f.wantWindow(3, 3, 0, 3)
			f.retune(store.Policy{WindowTime: 2 * minute, ConsecutiveFailures: 5}, 0)
			f.wantWindow(0, 0, 0, 0)
			f.fail(3)
			f.retune(store.Policy{WindowTime: 2 * minute, ConsecutiveFailures: 6}, 0)
			f.wantWindow(3, 3, 0, 3)
		},
	},
	{
		"a claim brings a policy where there is none",
		"The first request's policy becomes the fleet's, a claim's too; a claim announces nothing and conflicts with nothing.",
		func(f *fixture) {
			f.claim("a", 1)
			c := f.request("b", 1)
			c.Policy = another
			s := f.ask(c).Snapshot
			same(f, "policy", s.Policy, f.policy)
			truly(f, "no conflict", !s.PolicyConflict)
		},
	},
	{
		"a policy is kept with its defaults",
		"A snapshot shows the policy in force, with defaults filled in and rounded to what is stored.",
		func(f *fixture) {
			f.policy = store.Policy{FailureRate: 0.33333, ConsecutiveFor: 1500}
			f.touch()
			same(f, "policy", f.read().Policy, f.policy.WithDefaults())
		},
	},
	{
		"every field of a policy is kept",
		"A policy comes back as it was announced, field by field.",
		func(f *fixture) {
			f.policy = store.Policy{
				WindowTime: 90 * sec, ConsecutiveFailures: 7, ConsecutiveFor: 1234 * ms, FailureRate: 0.1234, SlowCallRate: 0.9999,
				SlowCallAfter: 250 * ms, MinCalls: 33, Reporters: 16, OpenFor: 1500 * ms, OpenForMax: 24 * hour, Probes: 1000,
				ProbeSuccesses: 1_000_000, ProbeLease: 17 * ms, RampUp: 45 * sec, Observe: true,
			}
			f.touch()
			same(f, "policy", f.read().Policy, f.policy)
			f.announce("a", store.DefaultPolicy())
			same(f, "the next policy", f.read().Policy, store.DefaultPolicy())
			f.retune(f.policy, 0)
			same(f, "retuned", f.read().Policy, f.policy)
		},
	},
	{
		"a roster tells the policy that differs",
		"An entry whose policy is not the fleet's tells both, field by field, whatever is retuned; any other entry tells none.",
		func(f *fixture) {
			f.touch()
			told := func(replica string, policy, agreed store.Policy) {
				f.Helper()
				m := f.member(replica)
				same(f, replica+"'s policy", m.Policy, policy)
				same(f, "the one agreed beside it", m.Agreed, agreed)
				same(f, "conflict", m.Conflict, policy != agreed)
			}
			other := store.Policy{
				WindowTime: 90 * sec, ConsecutiveFailures: 7, ConsecutiveFor: 1234 * ms, FailureRate: 0.1234, SlowCallRate: 0.9999,
				SlowCallAfter: 250 * ms, MinCalls: 33, Reporters: 16, OpenFor: 1500 * ms, OpenForMax: 24 * hour, Probes: 1000,
				ProbeSuccesses: 1_000_000, ProbeLease: 17 * ms, RampUp: 45 * sec, Observe: true,
			}
			f.differ("b", other)
			told("a", store.Policy{}, store.Policy{})
			told("b", other, f.policy)
			f.differ("b", another)
			told("b", another, f.policy)
			f.retune(other, 0)
			told("b", another, f.policy)
			f.touch()
			told("a", store.Policy{}, store.Policy{})
			f.announce("b", another)
			told("b", store.Policy{}, store.Policy{})
			f.touch()
			told("a", f.policy, another)
		},
	},
}
