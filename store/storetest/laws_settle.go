package storetest

import (
	"errors"
	"time"

	"github.com/commontrip/commontrip/store"
)

var settleRules = []rule{
	{
		"probe successes close",
		"Success counts toward ProbeSuccesses, at which the breaker closes, by probe successes.",
		func(f *fixture) {
			leases := f.probe("a", 2)
			first := f.settle("a", leases[0], store.Success)
			truly(f, "the first moves nothing", first.Made == nil)
			same(f, "probe successes", first.Snapshot.ProbeSuccesses, 1)
			made := f.settle("a", leases[1], store.Success).Made
			if made == nil {
				f.Fatal("the second success closed nothing")
			}
			same(f, "From, To", []store.State{made.From, made.To}, []store.State{store.HalfOpen, store.Closed})
			same(f, "Reason, Cause", []string{string(made.Reason), made.Cause}, []string{"probe-successes", "a"})
			s := f.read()
			same(f, "state", s.State, store.Closed)
			same(f, "window", s.Window, store.Tally{})
			same(f, "probe successes, live leases", []int{s.ProbeSuccesses, s.Probing}, []int{0, 0})
			same(f, "RetryIn", s.RetryIn, time.Duration(0))
		},
	},
	{
		"more successes than probes may be asked for",
		"ProbeSuccesses may exceed Probes: places are used again.",
		func(f *fixture) {
			f.policy.Probes, f.policy.ProbeSuccesses = 1, 4
			f.trip()
			f.after(minute)
			for range 4 {
				f.wantNotState(store.Closed)
				f.settle("a", f.lease("a"), store.Success)
			}
			f.wantState(store.Closed)
		},
	},
	{
		"a failed probe reopens",
		"Failure reopens, by probe failure, as a new generation, with the failed replica as witness.",
		func(f *fixture) {
			l := f.probe("a", 1)[0]
			f.after(sec)
			made := f.settleAs(store.Settlement{Lease: l, Replica: "a", Outcome: store.Failure, Label: "timeout"}).Made
			if made == nil {
				f.Fatal("the failed probe reopened nothing")
			}
			same(f, "From, To", []store.State{made.From, made.To}, []store.State{store.HalfOpen, store.Open})
			same(f, "Reason, Cause", []string{string(made.Reason), made.Cause}, []string{"probe-failure", "a"})
			same(f, "labels", made.Errors, []store.ErrorCount{{Label: "timeout", Count: 1}})
			same(f, "witnesses", made.Witnesses, []string{"a"})
			same(f, "generation", f.read().Generation, f.clock.millis())
			same(f, "RetryIn", f.read().RetryIn, minute)
		},
	},
	{
		"an ignored probe gives its place back",
		"Ignored frees the place and decides nothing.",
		func(f *fixture) {
			f.policy.Probes = 1
			l := f.probe("a", 1)[0]
			result := f.settle("a", l, store.Ignored)
			truly(f, "nothing was made", result.Made == nil)
			s := result.Snapshot
			same(f, "state, live leases, successes", []any{s.State, s.Probing, s.ProbeSuccesses}, []any{store.HalfOpen, 0, 0})
			same(f, "ignored", s.Totals.Ignored, uint64(1))
			f.lease("b")
		},
	},
	{
		"settling twice changes nothing",
		"A probe settled twice counts once, whatever the second says.",
		func(f *fixture) {
			l := f.probe("a", 1)[0]
			f.settle("a", l, store.Success)
			for _, o := range []store.Outcome{store.Success, store.Failure, store.Ignored} {
				f.wantUnchanged("settling twice", func() { f.settle("a", l, o) })
			}
		},
	},
	{
		"settling too late changes nothing",
		"A lease that has ended is nobody's, at exactly its end: settling it then moves nothing and no totals.",
		func(f *fixture) {
			l := f.probe("a", 1)[0]
			f.after(30 * sec)
			f.wantUnchanged("settling too late", func() { f.settle("a", l, store.Failure) })
		},
	},
	{
		"a lease can be settled until its last millisecond",
		"A lease lives while now is before its end, and is settled until then.",
		func(f *fixture) {
			l := f.probe("a", 1)[0]
			f.after(30*sec - ms)
			f.settle("a", l, store.Failure)
			f.wantState(store.Open)
		},
	},
	{
		"only its holder settles a lease",
		"Only the replica that claimed can settle: by another nothing changes and the lease stays.",
		func(f *fixture) {
			l := f.probe("a", 1)[0]
			f.wantUnchanged("settling another's lease", func() { f.settle("b", l, store.Failure) })
			f.settle("a", l, store.Failure)
			f.wantState(store.Open)
		},
	},
	{
		"an unknown lease is settled without effect",
		"A lease that nobody holds, a bad ID and an empty one among them, changes nothing and is no error.",
		func(f *fixture) {
			l := f.probe("a", 1)[0]
			for _, id := range []string{"", "no-such-lease", "a\nb", l.ID + "x"} {
				forged := l
				forged.ID = id
				f.wantUnchanged("settling an unknown lease", func() { f.settle("a", forged, store.Failure) })
			}
		},
	},
	{
		"settling on an absent breaker gives a zero snapshot",
		"Settle makes no machine: on an absent name it answers with a zero Snapshot that has its Name.",
		func(f *fixture) {
			result := f.settle("a", store.Lease{Name: tier, ID: "x", Generation: 5}, store.Failure)
			same(f, "snapshot", result.Snapshot, store.Snapshot{Name: tier})
			same(f, "breakers", len(f.readAll()), 0)
		},
	},
	{
		"a probe of an older round settles nothing",
		"Settling a lease of an older generation frees its place and is counted as late, no more: neither state nor successes move.",
		func(f *fixture) {
			f.policy.OpenFor = sec
			leases := f.probe("a", 2)
			f.settle("a", leases[0], store.Failure)
			f.after(f.read().RetryIn)
			f.lease("b")
			before := f.read()
			f.settle("a", leases[1], store.Success)
			after := f.read()
			same(f, "live leases, late", []int{after.Probing, int(after.Totals.Late)}, []int{before.Probing - 1, int(before.Totals.Late) + 1})
			after.Probing, after.Totals.Late = before.Probing, before.Totals.Late
			same(f, "everything else", after, before)
			f.wantUnchanged("settling it again", func() { f.settle("a", leases[1], store.Success) })
		},
	},
	{
		"a settlement for another generation settles nothing",
		"If lease or Settlement is of another generation the lease goes, and its outcome is late.",
		func(f *fixture) {
			l := f.probe("a", 1)[0]
			l.Generation++
			before := f.read()
			f.settle("a", l, store.Failure)
			after := f.read()
			same(f, "state", after.State, store.HalfOpen)
			same(f, "live leases", after.Probing, 0)
			before.Totals.Late++
			same(f, "totals", after.Totals, before.Totals)
		},
	},
	{
		"a probe of before a command settles nothing",
		"Trip and Reset always make a new generation: probes that run on cannot move it.",
		func(f *fixture) {
			leases := f.probe("a", 2)
			f.do(store.Reset)
			f.settle("a", leases[0], store.Failure)
			f.wantState(store.Closed)
			f.do(store.Trip)
			f.settle("a", leases[1], store.Success)
			f.wantState(store.Open)
			same(f, "totals", f.read().Totals.Calls, uint64(5))
		},
	},
	{
		"a slow probe that succeeds is a success",
		"If no rule judges slow calls, a probe's slowness moves nothing; it is counted.",
		func(f *fixture) {
			f.policy.SlowCallAfter = sec
			leases := f.probe("a", 2)
			for _, l := range leases {
				f.settleAs(store.Settlement{Lease: l, Replica: "a", Outcome: store.Success, Slow: true})
			}
			f.wantState(store.Closed)
			same(f, "slow", f.read().Totals.Slow, uint64(2))
		},
	},
	{
		"settled probes count in the totals",
		"Settled probes count in Calls, ignored ones in Ignored; a replica's own counts are of its reports only.",
		func(f *fixture) {
			f.policy.ProbeSuccesses = 10
			leases := f.probe("a", 3)
			f.settle("a", leases[0], store.Success)
			f.settle("a", leases[1], store.Ignored)
			f.settleAs(store.Settlement{Lease: leases[2], Replica: "a", Outcome: store.Failure, Slow: true})
			same(f, "totals", f.read().Totals, store.Totals{Calls: 7, Failures: 6, Slow: 1, Ignored: 1})
			f.touch()
			same(f, "the replica's own calls since", f.member("a").Calls, uint64(0))
		},
	},
	{
		"settling ends what has ended",
		"Settle runs expiry like every script.",
		func(f *fixture) {
			l := f.probe("a", 1)[0]
			f.force(store.ForceClosed, sec)
			f.after(sec)
			result := f.settle("a", l, store.Success)
			truly(f, "it is told of the end", result.Made != nil && result.Made.Reason == store.ByTime)
			same(f, "Mode", result.Snapshot.Mode, store.Auto)
			same(f, "probe successes", result.Snapshot.ProbeSuccesses, 0)
		},
	},
	{
		"a probe under a force only counts",
		"Under a forced mode a lease of this generation goes and the totals count it; the state does not move.",
		func(f *fixture) {
			leases := f.probe("a", 3)
			f.do(store.ForceOpen)
			f.settle("a", leases[0], store.Failure)
			f.settle("a", leases[1], store.Success)
			s := f.settle("a", leases[2], store.Success).Snapshot
			same(f, "state, live leases, successes", []any{s.State, s.Probing, s.ProbeSuccesses}, []any{store.HalfOpen, 0, 0})
			same(f, "totals", s.Totals, store.Totals{Calls: 8, Failures: 6})
			same(f, "labels", len(s.Errors), 0)
		},
	},
	{
		"a bad settlement is refused",
		"A settlement's names, generation, outcome and label are checked at the door.",
		func(f *fixture) {
			l := f.probe("a", 1)[0]
			for what, change := range map[string]func(s *store.Settlement){
				"no outcome":         func(s *store.Settlement) { s.Outcome = 0 },
				"no replica":         func(s *store.Settlement) { s.Replica = "" },
				"no name":            func(s *store.Settlement) { s.Lease.Name = "" },
				"a great generation": func(s *store.Settlement) { s.Lease.Generation = store.MaxNumber + 1 },
				"a bad label":        func(s *store.Settlement) { s.Label = "a\x00b" },
			} {
				s := store.Settlement{Lease: l, Replica: "a", Outcome: store.Failure}
				change(&s)
				f.wantUnchanged(what, func() {
					_, err := f.store.Settle(f.ctx, s)
					truly(f, what+" is refused as invalid", errors.Is(err, store.ErrInvalid))
				})
			}
		},
	},
	{
		"one replica's failed probe does not reopen a fleet",
		"If Reporters > 1 a failed probe reopens only once failed probes come from that many replicas; until then the place is free and that replica gets no lease for ProbeLease.",
		func(f *fixture) {
			f.policy = quorum(2)
			f.tell("b", failures(1))
			l := f.probe("a", 1)[0]
			s := f.settle("a", l, store.Failure).Snapshot
			same(f, "state, live leases", []any{s.State, s.Probing}, []any{store.HalfOpen, 0})
			f.wantRefused("a", 30*sec)
			f.after(30*sec - ms)
			f.wantRefused("a", ms)
			made := f.settle("b", f.lease("b"), store.Failure).Made
			truly(f, "the second replica's reopens", made != nil && made.Reason == store.ByProbeFailure)
			same(f, "witnesses", f.newest().Witnesses, []string{"a", "b"})
		},
	},
	{
		"a replica that fails again after its ban reopens",
		"One replica's failure reopens too if it fails again with a lease granted after its first ban.",
		func(f *fixture) {
			f.policy = quorum(2)
			f.tell("b", failures(1))
			leases := f.probe("a", 2)
			f.settle("a", leases[0], store.Failure)
			f.after(sec)
			f.settle("a", leases[1], store.Failure)
			f.wantState(store.HalfOpen)
			f.wantRefused("a", 30*sec)
			f.after(30 * sec)
			made := f.settle("a", f.lease("a"), store.Failure).Made
			truly(f, "it reopens", made != nil && made.To == store.Open)
			same(f, "witnesses", f.newest().Witnesses, []string{"a"})
		},
	},
	{
		"a ban ends with its half-open",
		"Bans and the tally of failed probes end with their half-open.",
		func(f *fixture) {
			f.policy = quorum(2)
			f.policy.OpenFor = sec
			f.tell("b", failures(1))
			f.settle("a", f.probe("a", 1)[0], store.Failure)
			f.do(store.Trip)
			f.after(f.read().RetryIn)
			f.settle("a", f.lease("a"), store.Failure)
			f.wantState(store.HalfOpen)
			f.settle("b", f.lease("b"), store.Failure)
			f.wantState(store.Open)
		},
	},
	{
		"a banned replica's resent claim is answered",
		"A claim's live leases are looked at before bans.",
		func(f *fixture) {
			f.policy = quorum(2)
			f.tell("b", failures(1))
			f.trip()
			f.after(minute)
			c := f.request("a", 2)
			leases := f.ask(c).Leases
			f.settle("a", leases[0], store.Failure)
			same(f, "leases", idsOf(f.ask(c).Leases), idsOf(leases[1:]))
		},
	},
	{
		"a probe that ends after its half-open is late",
		"Each probe that is settled before its lease ends is in exactly one total, once: after its half-open, whatever ended that, it is late. An Ignored one is then in none: its lease may have been given back, without a call.",
		func(f *fixture) {
			f.policy.Probes, f.policy.ProbeSuccesses, f.policy.OpenFor = 4, 1, sec
			for _, end := range []func(first store.Lease){
				func(first store.Lease) { f.settle("a", first, store.Success) },
				func(first store.Lease) { f.settle("a", first, store.Failure) },
				func(store.Lease) { f.do(store.Trip) },
				func(store.Lease) { f.do(store.Reset) },
				func(store.Lease) { f.do(store.ForceOpen); f.after(ms); f.do(store.Lift) },
			} {
				f.wipe()
				leases := f.probe("a", 4)
				before := f.read().Totals
				end(leases[0])
				for i, o := range []store.Outcome{store.Success, store.Failure, store.Ignored} {
					f.settle("a", leases[i+1], o)
					f.settle("a", leases[i+1], o)
				}
				after := f.read().Totals
				same(f, "late", after.Late, before.Late+2)
				same(f, "ignored", after.Ignored, before.Ignored)
				f.after(minute)
			}
		},
	},
	{
		"a slow probe fails if slow calls are judged",
		"If a slow-call rule stands, a slow probe is a failed one, whether it succeeded or not; a success has no label.",
		func(f *fixture) {
			slowly := func(replica string, o store.Outcome) *store.Transition {
				return f.settleAs(store.Settlement{Lease: f.lease(replica), Replica: replica, Outcome: o, Slow: true, Label: "slow"}).Made
			}
			f.policy = store.Policy{WindowCalls: 10, SlowCallRate: 0.5, SlowCallAfter: sec, MinCalls: 5, OpenFor: sec, ProbeSuccesses: 1}
			f.wantTrip(store.BySlowCallRate, slowSuccesses(5))
			f.after(sec)
			made := slowly("b", store.Success)
			if made == nil {
				f.Fatal("the slow probe reopened nothing")
			}
			same(f, "To, Reason, Cause", []any{made.To, made.Reason, made.Cause}, []any{store.Open, store.ByProbeFailure, "b"})
			same(f, "witnesses, labels", []int{len(made.Witnesses), len(made.Errors)}, []int{1, 0})
			same(f, "totals", f.read().Totals, store.Totals{Calls: 6, Slow: 6})
			f.after(sec)
			slowly("b", store.Failure)
			f.wantState(store.Open)
			same(f, "labels", f.newest().Errors, []store.ErrorCount{{Label: "slow", Count: 1}})
			f.after(sec)
			f.settle("b", f.lease("b"), store.Success)
			f.wantState(store.Closed)
		},
	},
	{
		"a slow probe is its replica's failed one",
		"A slow probe counts toward the quorum of failed probes, and bans its replica, as a failed one does.",
		func(f *fixture) {
			f.policy = quorum(2)
			f.policy.SlowCallRate, f.policy.SlowCallAfter = 0.5, sec
			f.tell("b", failures(1))
			s := f.settleAs(store.Settlement{Lease: f.probe("a", 1)[0], Replica: "a", Outcome: store.Success, Slow: true}).Snapshot
			same(f, "state, successes", []any{s.State, s.ProbeSuccesses}, []any{store.HalfOpen, 0})
			f.wantRefused("a", 30*sec)
			f.settle("b", f.lease("b"), store.Failure)
			f.wantState(store.Open)
			same(f, "witnesses", f.newest().Witnesses, []string{"a", "b"})
		},
	},
	{
		"a slow probe that was given up is a slow one",
		"A probe that is Ignored and slow is a slow call: a failed probe if slow calls are judged, else it gives its place back.",
		func(f *fixture) {
			for rate, want := range map[float64]store.State{0: store.HalfOpen, 0.5: store.Open} {
				f.wipe()
				f.policy = store.Policy{ConsecutiveFailures: 5, SlowCallRate: rate, SlowCallAfter: sec}
				l := f.probe("a", 1)[0]
				s := f.settleAs(store.Settlement{Lease: l, Replica: "a", Outcome: store.Ignored, Slow: true, Label: "x"}).Snapshot
				same(f, "state, live leases, successes", []any{s.State, s.Probing, s.ProbeSuccesses}, []any{want, 0, 0})
				same(f, "totals", s.Totals, store.Totals{Calls: 6, Failures: 5, Slow: 1})
				same(f, "labels", len(f.newest().Errors), 0)
				f.after(minute)
			}
		},
	},
}

func (f *fixture) wantNotState(not store.State) {
	f.Helper()
	truly(f, "the state is not "+not.String(), f.read().State != not)
}
