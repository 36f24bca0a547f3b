package storetest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/commontrip/commontrip/store"
)

// wantRefused claims as a replica and wants no lease, and how long to wait.
func (w *world) wantRefused(replica string, retryIn time.Duration) {
	w.Helper()
	g := w.claim(replica, 1)
	same(w, "leases", len(g.Leases), 0)
	same(w, "RetryIn", g.RetryIn, retryIn)
	truly(w, "a refusal makes nothing", g.Made == nil)
}

// wantFull claims as a replica and wants to be refused for want of a place, to ask again within these bounds.
func (w *world) wantFull(replica string, least, most time.Duration) {
	w.Helper()
	g := w.claim(replica, 1)
	same(w, "leases", len(g.Leases), 0)
	if g.RetryIn < least || g.RetryIn > most {
		w.Errorf("RetryIn of a claim that found no place is %v; want %v..%v", g.RetryIn, least, most)
	}
}

var claimRules = []rule{
	{
		"an open breaker leases nothing before its time",
		"Open and not over: refused, with what is left of the open time; nothing moves.",
		func(w *world) {
			w.trip()
			w.after(minute - ms)
			w.wantUnchanged("a refused claim", func() { w.wantRefused("a", ms) })
		},
	},
	{
		"the first claim after the open time makes half-open",
		"Open and its time over, at exactly its end too: half-open, by time, caused by the claimer, and the claim is granted in it.",
		func(w *world) {
			open := w.trip().Snapshot
			w.after(minute)
			g := w.claim("b", 1)
			if g.Made == nil {
				w.Fatal("the claim made no transition")
			}
			same(w, "From, To", []store.State{g.Made.From, g.Made.To}, []store.State{store.Open, store.HalfOpen})
			same(w, "Reason, Cause", []string{string(g.Made.Reason), g.Made.Cause}, []string{"time", "b"})
			same(w, "Prev, Generation", []uint64{g.Made.Prev, g.Made.Generation}, []uint64{open.Generation, w.clock.millis()})
			same(w, "lease", g.Leases, []store.Lease{{Name: tier, ID: g.Leases[0].ID, Generation: w.clock.millis(), For: 30 * sec}})
			same(w, "state, live leases", []any{g.Snapshot.State, g.Snapshot.Probing}, []any{store.HalfOpen, 1})
			same(w, "Openings", g.Snapshot.Openings, 1)
		},
	},
	{
		"a claim gets what is free",
		"Granted while fewer than Probes leases live, fleet-wide; what is wanted beyond is cut.",
		func(w *world) {
			w.probe("a", 2)
			same(w, "leases of the next claim", len(w.claim("b", 10).Leases), 1)
			w.wantFull("c", 100*ms, 150*ms)
			same(w, "live leases", w.read().Probing, 3)
		},
	},
	{
		"who finds no place is told when to ask",
		"Refused for want of a place: ask again after min(next lease's end, 100 ms and a little at random).",
		func(w *world) {
			w.policy.Probes, w.policy.ProbeLease = 1, sec
			w.probe("a", 1)
			for range 20 {
				w.wantFull("b", 100*ms, 150*ms)
			}
			w.after(sec - 120*ms)
			w.wantFull("b", 100*ms, 120*ms)
			w.after(119 * ms)
			w.wantFull("b", ms, ms)
		},
	},
	{
		"a claim sent twice returns the same leases",
		"A claim's ID names its leases: the same claim sent twice returns exactly those, with what is left of them.",
		func(w *world) {
			w.trip()
			w.after(minute)
			c := w.request("a", 2)
			first := w.ask(c)
			w.after(10 * sec)
			again := w.ask(c)
			for i := range first.Leases {
				first.Leases[i].For -= 10 * sec
			}
			same(w, "leases", byID(again.Leases), byID(first.Leases))
			truly(w, "the second makes nothing", again.Made == nil)
			same(w, "live leases", w.read().Probing, 2)
		},
	},
	{
		"a claim sent twice gets no more than is left of it",
		"A claim whose ID has live leases gets exactly those: settled and ended ones are not granted again.",
		func(w *world) {
			w.policy.ProbeSuccesses = 10
			w.trip()
			w.after(minute)
			c := w.request("a", 2)
			leases := w.ask(c).Leases
			w.settle("a", leases[0], store.Success)
			same(w, "leases", idsOf(w.ask(c).Leases), idsOf(leases[1:]))
			w.settle("a", leases[1], store.Success)
			renewed := w.ask(c).Leases
			same(w, "leases of a claim that has none left", len(renewed), 2)
			truly(w, "they are new ones", renewed[0].ID != leases[0].ID && renewed[0].ID != leases[1].ID)
		},
	},
	{
		"a resent claim is answered though all places are taken",
		"A claim's live leases are looked at before bans and places.",
		func(w *world) {
			w.trip()
			w.after(minute)
			c := w.request("a", 2)
			first := w.ask(c)
			w.lease("b")
			same(w, "leases", idsOf(w.ask(c).Leases), idsOf(first.Leases))
		},
	},
	{
		"a closed breaker leases nothing",
		"Closed: no lease, nothing to wait.",
		func(w *world) {
			w.touch()
			w.wantRefused("a", 0)
		},
	},
	{
		"a forced breaker leases nothing",
		"Under a forced mode nothing is leased or moved: forced open waits for what is left of it, without end OpenFor; forced closed 0.",
		func(w *world) {
			w.trip()
			w.after(minute)
			w.force(store.ForceOpen, 10*sec)
			w.after(sec)
			w.wantRefused("a", 9*sec)
			w.do(store.ForceOpen)
			w.wantRefused("a", minute)
			w.do(store.ForceClosed)
			w.wantRefused("a", 0)
			w.wantState(store.Open)
		},
	},
	{
		"a claim ends a force whose time is over",
		"A claim runs expiry as every script does: a force that has ended gives way to half-open, and the claim is granted.",
		func(w *world) {
			w.trip()
			w.force(store.ForceOpen, sec)
			w.after(sec)
			g := w.claim("b", 1)
			same(w, "leases", len(g.Leases), 1)
			truly(w, "made by time", g.Made != nil && g.Made.Reason == store.ByTime && g.Made.Cause == "b")
		},
	},
	{
		"a lease ends by itself",
		"A lease lives while now is before its end; one that nobody settled frees its place and says nothing about the tier.",
		func(w *world) {
			w.policy.Probes = 1
			w.probe("a", 1)
			w.after(30*sec - ms)
			same(w, "live leases just before", w.read().Probing, 1)
			w.wantFull("b", ms, ms)
			w.after(ms)
			s := w.read()
			same(w, "live leases at the end", s.Probing, 0)
			same(w, "state, probe successes", []any{s.State, s.ProbeSuccesses}, []any{store.HalfOpen, 0})
			w.lease("b")
		},
	},
	{
		"a lease's place stays taken across generations",
		"A lease lives whatever generation it was granted in: the call runs on, so its place stays taken until it is settled or ends.",
		func(w *world) {
			w.policy.Probes, w.policy.OpenFor = 2, sec
			leases := w.probe("a", 2)
			w.settle("a", leases[0], store.Failure)
			same(w, "live leases while open", w.read().Probing, 1)
			w.after(w.read().RetryIn)
			same(w, "leases of the next half-open", len(w.claim("b", 2).Leases), 1)
			w.settle("a", leases[1], store.Failure)
			w.wantState(store.HalfOpen)
			w.lease("c")
		},
	},
	{
		"a command takes no lease back",
		"Retune to fewer Probes takes no lease back, nor does any command: Probing counts all live ones, in every state.",
		func(w *world) {
			w.probe("a", 3)
			one := w.policy
			one.Probes = 1
			w.retune(one, 0)
			same(w, "live leases after Retune", w.read().Probing, 3)
			w.wantFull("b", 100*ms, 150*ms)
			w.do(store.Reset)
			same(w, "live leases after Reset", w.read().Probing, 3)
			w.do(store.Trip)
			w.do(store.ForceClosed)
			same(w, "live leases after force", w.read().Probing, 3)
			w.after(30 * sec)
			same(w, "live leases after their time", w.read().Probing, 0)
		},
	},
	{
		"lease IDs are used once",
		"Lease IDs are opaque and never used twice by one machine.",
		func(w *world) {
			w.policy.ProbeSuccesses, w.policy.Probes = 1_000_000, 7
			w.trip()
			w.after(minute)
			seen := map[string]bool{}
			for range 20 {
				for _, l := range w.leases("a", 7) {
					truly(w, "the ID "+l.ID+" is new", l.ID != "" && !seen[l.ID])
					seen[l.ID] = true
					w.settle("a", l, store.Success)
				}
			}
		},
	},
	{
		"a claim makes a breaker",
		"A claim makes a machine where none is, closed and without replicas.",
		func(w *world) {
			w.wantRefused("a", 0)
			s := w.read()
			same(w, "state, replicas, policy", []any{s.State, s.Replicas, s.Policy}, []any{store.Closed, 0, w.policy})
		},
	},
	{
		"a bad claim is refused",
		"A claim's names, ID, policy and number wanted are checked at the door; a bad one changes nothing.",
		func(w *world) {
			w.trip()
			w.after(minute)
			for what, change := range map[string]func(c *store.Claim){
				"wanting none":     func(c *store.Claim) { c.Want = 0 },
				"wanting below 0":  func(c *store.Claim) { c.Want = -1 },
				"no ID":            func(c *store.Claim) { c.ID = "" },
				"a long ID":        func(c *store.Claim) { c.ID = strings.Repeat("x", store.MaxName+1) },
				"no replica":       func(c *store.Claim) { c.Replica = "" },
				"a bad policy":     func(c *store.Claim) { c.Policy.Probes = 1001 },
				"a bad Known":      func(c *store.Claim) { c.Known.RetryIn = -1 },
				"a Known too high": func(c *store.Claim) { c.Known.Generation = w.clock.millis() + uint64(2*day.Milliseconds()) },
			} {
				c := w.request("a", 1)
				change(&c)
				w.wantUnchanged(what, func() {
					_, err := w.store.Claim(w.ctx, c)
					truly(w, fmt.Sprintf("%s is refused as invalid (%v)", what, err), errors.Is(err, store.ErrInvalid))
				})
			}
		},
	},
	{
		"a great number wanted is cut",
		"A claim may want more than any budget: it gets what is free.",
		func(w *world) {
			w.policy.Probes = 1000
			w.trip()
			w.after(minute)
			same(w, "leases", len(w.claim("a", 1<<30).Leases), 1000)
		},
	},
}

func byID(leases []store.Lease) map[string]store.Lease {
	m := map[string]store.Lease{}
	for _, l := range leases {
		m[l.ID] = l
	}
	return m
}

func idsOf(leases []store.Lease) map[string]bool {
	m := map[string]bool{}
	for _, l := range leases {
		m[l.ID] = true
	}
	return m
}
