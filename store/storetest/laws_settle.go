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
		func(w *world) {
			leases := w.probe("a", 2)
			first := w.settle("a", leases[0], store.Success)
			truly(w, "the first moves nothing", first.Made == nil)
			same(w, "probe successes", first.Snapshot.ProbeSuccesses, 1)
			made := w.settle("a", leases[1], store.Success).Made
			if made == nil {
				w.Fatal("the second success closed nothing")
			}
			same(w, "From, To", []store.State{made.From, made.To}, []store.State{store.HalfOpen, store.Closed})
			same(w, "Reason, Cause", []string{string(made.Reason), made.Cause}, []string{"probe-successes", "a"})
			s := w.read()
			same(w, "state", s.State, store.Closed)
			same(w, "window", s.Window, store.Tally{})
			same(w, "probe successes, live leases", []int{s.ProbeSuccesses, s.Probing}, []int{0, 0})
			same(w, "RetryIn", s.RetryIn, time.Duration(0))
		},
	},
	{
		"more successes than probes may be asked for",
		"ProbeSuccesses may exceed Probes: places are used again.",
		func(w *world) {
			w.policy.Probes, w.policy.ProbeSuccesses = 1, 4
			w.trip()
			w.after(minute)
			for range 4 {
				w.wantNotState(store.Closed)
				w.settle("a", w.lease("a"), store.Success)
			}
			w.wantState(store.Closed)
		},
	},
	{
		"a failed probe reopens",
		"Failure reopens, by probe failure, as a new generation, with the failed replica as witness.",
		func(w *world) {
			l := w.probe("a", 1)[0]
			w.after(sec)
			made := w.settleAs(store.Settlement{Lease: l, Replica: "a", Outcome: store.Failure, Label: "timeout"}).Made
			if made == nil {
				w.Fatal("the failed probe reopened nothing")
			}
			same(w, "From, To", []store.State{made.From, made.To}, []store.State{store.HalfOpen, store.Open})
			same(w, "Reason, Cause", []string{string(made.Reason), made.Cause}, []string{"probe-failure", "a"})
			same(w, "labels", made.Errors, []store.ErrorCount{{Label: "timeout", Count: 1}})
			same(w, "witnesses", made.Witnesses, []string{"a"})
			same(w, "generation", w.read().Generation, w.clock.millis())
			same(w, "RetryIn", w.read().RetryIn, minute)
		},
	},
	{
		"an ignored probe gives its place back",
		"Ignored frees the place and decides nothing.",
		func(w *world) {
			w.policy.Probes = 1
			l := w.probe("a", 1)[0]
			result := w.settle("a", l, store.Ignored)
			truly(w, "nothing was made", result.Made == nil)
			s := result.Snapshot
			same(w, "state, live leases, successes", []any{s.State, s.Probing, s.ProbeSuccesses}, []any{store.HalfOpen, 0, 0})
			same(w, "ignored", s.Totals.Ignored, uint64(1))
			w.lease("b")
		},
	},
	{
		"settling twice changes nothing",
		"A probe settled twice counts once, whatever the second says.",
		func(w *world) {
			l := w.probe("a", 1)[0]
			w.settle("a", l, store.Success)
			for _, o := range []store.Outcome{store.Success, store.Failure, store.Ignored} {
				w.wantUnchanged("settling twice", func() { w.settle("a", l, o) })
			}
		},
	},
	{
		"settling too late changes nothing",
		"A lease that has ended is nobody's, at exactly its end: settling it then moves nothing and no totals.",
		func(w *world) {
			l := w.probe("a", 1)[0]
			w.after(30 * sec)
			w.wantUnchanged("settling too late", func() { w.settle("a", l, store.Failure) })
		},
	},
	{
		"a lease can be settled until its last millisecond",
		"A lease lives while now is before its end, and is settled until then.",
		func(w *world) {
			l := w.probe("a", 1)[0]
			w.after(30*sec - ms)
			w.settle("a", l, store.Failure)
			w.wantState(store.Open)
		},
	},
	{
		"only its holder settles a lease",
		"Only the replica that claimed can settle: by another nothing changes and the lease stays.",
		func(w *world) {
			l := w.probe("a", 1)[0]
			w.wantUnchanged("settling another's lease", func() { w.settle("b", l, store.Failure) })
			w.settle("a", l, store.Failure)
			w.wantState(store.Open)
		},
	},
	{
		"an unknown lease is settled without effect",
		"A lease that nobody holds, a bad ID and an empty one among them, changes nothing and is no error.",
		func(w *world) {
			l := w.probe("a", 1)[0]
			for _, id := range []string{"", "no-such-lease", "a\nb", l.ID + "x"} {
				forged := l
				forged.ID = id
				w.wantUnchanged("settling an unknown lease", func() { w.settle("a", forged, store.Failure) })
			}
		},
	},
	{
		"settling on an absent breaker gives a zero snapshot",
		"Settle makes no machine: on an absent name it answers with a zero Snapshot that has its Name.",
		func(w *world) {
			result := w.settle("a", store.Lease{Name: tier, ID: "x", Generation: 5}, store.Failure)
			same(w, "snapshot", result.Snapshot, store.Snapshot{Name: tier})
			same(w, "breakers", len(w.readAll()), 0)
		},
	},
	{
		"a probe of an older round settles nothing",
		"Settling a lease of an older generation frees its place, no more: neither state, successes nor totals move.",
		func(w *world) {
			w.policy.OpenFor = sec
			leases := w.probe("a", 2)
			w.settle("a", leases[0], store.Failure)
			w.after(w.read().RetryIn)
			w.lease("b")
			before := w.read()
			w.settle("a", leases[1], store.Success)
			after := w.read()
			same(w, "live leases", after.Probing, before.Probing-1)
			after.Probing = before.Probing
			same(w, "everything else", after, before)
		},
	},
	{
		"a settlement for another generation settles nothing",
		"Where lease or Settlement is of another generation the lease goes, and nothing else.",
		func(w *world) {
			l := w.probe("a", 1)[0]
			l.Generation++
			before := w.read()
			w.settle("a", l, store.Failure)
			after := w.read()
			same(w, "state", after.State, store.HalfOpen)
			same(w, "live leases", after.Probing, 0)
			same(w, "totals", after.Totals, before.Totals)
		},
	},
	{
		"a probe of before a command settles nothing",
		"Trip and Reset always make a new generation: probes that run on cannot move it.",
		func(w *world) {
			leases := w.probe("a", 2)
			w.do(store.Reset)
			w.settle("a", leases[0], store.Failure)
			w.wantState(store.Closed)
			w.do(store.Trip)
			w.settle("a", leases[1], store.Success)
			w.wantState(store.Open)
			same(w, "totals", w.read().Totals.Calls, uint64(5))
		},
	},
	{
		"a slow probe that succeeds is a success",
		"Slow moves nothing in half-open; it is counted.",
		func(w *world) {
			w.policy.SlowCallRate, w.policy.SlowCallAfter = 0.1, sec
			w.policy.ConsecutiveFailures, w.policy.MinCalls = 5, 1
			leases := w.probe("a", 2)
			for _, l := range leases {
				w.settleAs(store.Settlement{Lease: l, Replica: "a", Outcome: store.Success, Slow: true})
			}
			w.wantState(store.Closed)
			same(w, "slow", w.read().Totals.Slow, uint64(2))
		},
	},
	{
		"settled probes count in the totals",
		"Settled probes count in Calls, ignored ones in Ignored; a replica's own counts are of its reports only.",
		func(w *world) {
			w.policy.ProbeSuccesses = 10
			leases := w.probe("a", 3)
			w.settle("a", leases[0], store.Success)
			w.settle("a", leases[1], store.Ignored)
			w.settleAs(store.Settlement{Lease: leases[2], Replica: "a", Outcome: store.Failure, Slow: true})
			same(w, "totals", w.read().Totals, store.Totals{Calls: 7, Failures: 6, Slow: 1, Ignored: 1})
			w.touch()
			same(w, "the replica's own calls since", w.member("a").Calls, uint64(0))
		},
	},
	{
		"settling ends what has ended",
		"Settle runs expiry like every script.",
		func(w *world) {
			l := w.probe("a", 1)[0]
			w.force(store.ForceClosed, sec)
			w.after(sec)
			result := w.settle("a", l, store.Success)
			truly(w, "it is told of the end", result.Made != nil && result.Made.Reason == store.ByTime)
			same(w, "Mode", result.Snapshot.Mode, store.Auto)
			same(w, "probe successes", result.Snapshot.ProbeSuccesses, 0)
		},
	},
	{
		"a probe under a force only counts",
		"Under a forced mode a lease of this generation goes and the totals count it; the state does not move.",
		func(w *world) {
			leases := w.probe("a", 3)
			w.do(store.ForceOpen)
			w.settle("a", leases[0], store.Failure)
			w.settle("a", leases[1], store.Success)
			s := w.settle("a", leases[2], store.Success).Snapshot
			same(w, "state, live leases, successes", []any{s.State, s.Probing, s.ProbeSuccesses}, []any{store.HalfOpen, 0, 0})
			same(w, "totals", s.Totals, store.Totals{Calls: 8, Failures: 6})
			same(w, "labels", len(s.Errors), 0)
		},
	},
	{
		"a bad settlement is refused",
		"A settlement's names, generation, outcome and label are checked at the door.",
		func(w *world) {
			l := w.probe("a", 1)[0]
			for what, change := range map[string]func(s *store.Settlement){
				"no outcome":         func(s *store.Settlement) { s.Outcome = 0 },
				"no replica":         func(s *store.Settlement) { s.Replica = "" },
				"no name":            func(s *store.Settlement) { s.Lease.Name = "" },
				"a great generation": func(s *store.Settlement) { s.Lease.Generation = store.MaxNumber + 1 },
				"a bad label":        func(s *store.Settlement) { s.Label = "a\x00b" },
			} {
				s := store.Settlement{Lease: l, Replica: "a", Outcome: store.Failure}
				change(&s)
				w.wantUnchanged(what, func() {
					_, err := w.store.Settle(w.ctx, s)
					truly(w, what+" is refused as invalid", errors.Is(err, store.ErrInvalid))
				})
			}
		},
	},
	{
		"one replica's failed probe does not reopen a fleet",
		"Where Reporters > 1 a failed probe reopens only once failed probes come from that many replicas; until then the place is free and that replica gets no lease for ProbeLease.",
		func(w *world) {
			w.policy = quorum(2)
			w.tell("b", failures(1))
			l := w.probe("a", 1)[0]
			s := w.settle("a", l, store.Failure).Snapshot
			same(w, "state, live leases", []any{s.State, s.Probing}, []any{store.HalfOpen, 0})
			w.wantRefused("a", 30*sec)
			w.after(30*sec - ms)
			w.wantRefused("a", ms)
			made := w.settle("b", w.lease("b"), store.Failure).Made
			truly(w, "the second replica's reopens", made != nil && made.Reason == store.ByProbeFailure)
			same(w, "witnesses", w.newest().Witnesses, []string{"a", "b"})
		},
	},
	{
		"a replica that fails again after its ban reopens",
		"One replica's failure reopens too where it fails again with a lease granted after its first ban.",
		func(w *world) {
			w.policy = quorum(2)
			w.tell("b", failures(1))
			leases := w.probe("a", 2)
			w.settle("a", leases[0], store.Failure)
			w.after(sec)
			w.settle("a", leases[1], store.Failure)
			w.wantState(store.HalfOpen)
			w.wantRefused("a", 30*sec)
			w.after(30 * sec)
			made := w.settle("a", w.lease("a"), store.Failure).Made
			truly(w, "it reopens", made != nil && made.To == store.Open)
			same(w, "witnesses", w.newest().Witnesses, []string{"a"})
		},
	},
	{
		"a ban ends with its half-open",
		"Bans and the tally of failed probes end with their half-open.",
		func(w *world) {
			w.policy = quorum(2)
			w.policy.OpenFor = sec
			w.tell("b", failures(1))
			w.settle("a", w.probe("a", 1)[0], store.Failure)
			w.do(store.Trip)
			w.after(w.read().RetryIn)
			w.settle("a", w.lease("a"), store.Failure)
			w.wantState(store.HalfOpen)
			w.settle("b", w.lease("b"), store.Failure)
			w.wantState(store.Open)
		},
	},
	{
		"a banned replica's resent claim is answered",
		"A claim's live leases are looked at before bans.",
		func(w *world) {
			w.policy = quorum(2)
			w.tell("b", failures(1))
			w.trip()
			w.after(minute)
			c := w.request("a", 2)
			leases := w.ask(c).Leases
			w.settle("a", leases[0], store.Failure)
			same(w, "leases", idsOf(w.ask(c).Leases), idsOf(leases[1:]))
		},
	},
}

func (w *world) wantNotState(not store.State) {
	w.Helper()
	truly(w, "the state is not "+not.String(), w.read().State != not)
}
