package storetest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/commontrip/commontrip/store"
)

// wantRefused claims as a replica and wants no lease, and how long to wait.
func (f *fixture) wantRefused(replica string, retryIn time.Duration) {
	f.Helper()
	g := f.claim(replica, 1)
	same(f, "leases", len(g.Leases), 0)
	same(f, "RetryIn", g.RetryIn, retryIn)
	truly(f, "a refusal makes nothing", g.Made == nil)
}

// wantFull claims as a replica and wants to be refused for want of a place, to ask again within these bounds.
func (f *fixture) wantFull(replica string, least, most time.Duration) {
	f.Helper()
	g := f.claim(replica, 1)
	same(f, "leases", len(g.Leases), 0)
	if g.RetryIn < least || g.RetryIn > most {
		f.Errorf("RetryIn of a claim that found no place is %v; want %v..%v", g.RetryIn, least, most)
	}
}

var claimRules = []rule{
	{
		"an open breaker leases nothing before its time",
		"Open and not over: refused, with what is left of the open time; nothing moves.",
		func(f *fixture) {
			f.trip()
			f.after(minute - ms)
			f.wantUnchanged("a refused claim", func() { f.wantRefused("a", ms) })
		},
	},
	{
		"the first claim after the open time makes half-open",
		"Open and its time over, at exactly its end too: half-open, by time, caused by the claimer, and the claim is granted in it.",
		func(f *fixture) {
			open := f.trip().Snapshot
			f.after(minute)
			g := f.claim("b", 1)
			if g.Made == nil {
				f.Fatal("the claim made no transition")
			}
			same(f, "From, To", []store.State{g.Made.From, g.Made.To}, []store.State{store.Open, store.HalfOpen})
			same(f, "Reason, Cause", []string{string(g.Made.Reason), g.Made.Cause}, []string{"time", "b"})
			same(f, "Prev, Generation", []uint64{g.Made.Prev, g.Made.Generation}, []uint64{open.Generation, f.clock.millis()})
			same(f, "lease", g.Leases, []store.Lease{{Name: tier, ID: g.Leases[0].ID, Generation: f.clock.millis(), For: 30 * sec}})
			same(f, "state, live leases", []any{g.Snapshot.State, g.Snapshot.Probing}, []any{store.HalfOpen, 1})
			same(f, "Openings", g.Snapshot.Openings, 1)
		},
	},
	{
		"a claim gets what is free",
		"Granted while fewer than Probes leases live, fleet-wide; what is wanted beyond is cut.",
		func(f *fixture) {
			f.probe("a", 2)
			same(f, "leases of the next claim", len(f.claim("b", 10).Leases), 1)
			f.wantFull("c", 100*ms, 150*ms)
			same(f, "live leases", f.read().Probing, 3)
		},
	},
	{
		"who finds no place is told when to ask",
		"Refused for want of a place: ask again after min(next lease's end, 100 ms and a little at random).",
		func(f *fixture) {
			f.policy.Probes, f.policy.ProbeLease = 1, sec
			f.probe("a", 1)
			for range 20 {
				f.wantFull("b", 100*ms, 150*ms)
			}
			f.after(sec - 120*ms)
			f.wantFull("b", 100*ms, 120*ms)
			f.after(119 * ms)
			f.wantFull("b", ms, ms)
		},
	},
	{
		"a claim sent twice returns the same leases",
		"A claim's ID names its leases: the same claim sent twice returns exactly those, with what is left of them.",
		func(f *fixture) {
			f.trip()
			f.after(minute)
			c := f.request("a", 2)
			first := f.ask(c)
			f.after(10 * sec)
			again := f.ask(c)
			for i := range first.Leases {
				first.Leases[i].For -= 10 * sec
			}
			same(f, "leases", byID(again.Leases), byID(first.Leases))
			truly(f, "the second makes nothing", again.Made == nil)
			same(f, "live leases", f.read().Probing, 2)
		},
	},
	{
		"a claim sent twice gets no more than is left of it",
		"A claim whose ID has live leases gets exactly those: settled and ended ones are not granted again.",
		func(f *fixture) {
			f.policy.ProbeSuccesses = 10
			f.trip()
			f.after(minute)
			c := f.request("a", 2)
			leases := f.ask(c).Leases
			f.settle("a", leases[0], store.Success)
			same(f, "leases", idsOf(f.ask(c).Leases), idsOf(leases[1:]))
			f.settle("a", leases[1], store.Success)
			renewed := f.ask(c).Leases
			same(f, "leases of a claim that has none left", len(renewed), 2)
			truly(f, "they are new ones", renewed[0].ID != leases[0].ID && renewed[0].ID != leases[1].ID)
		},
	},
	{
		"a resent claim is answered though all places are taken",
		"A claim's live leases are looked at before bans and places.",
		func(f *fixture) {
			f.trip()
			f.after(minute)
			c := f.request("a", 2)
			first := f.ask(c)
			f.lease("b")
			same(f, "leases", idsOf(f.ask(c).Leases), idsOf(first.Leases))
		},
	},
	{
		"a closed breaker leases nothing",
		"Closed: no lease, nothing to wait.",
		func(f *fixture) {
			f.touch()
			f.wantRefused("a", 0)
		},
	},
	{
		"a forced breaker leases nothing",
		"Under a forced mode nothing is leased or moved: forced open waits for what is left of it, without end OpenFor; forced closed 0.",
		func(f *fixture) {
			f.trip()
			f.after(minute)
			f.force(store.ForceOpen, 10*sec)
			f.after(sec)
			f.wantRefused("a", 9*sec)
			f.do(store.ForceOpen)
			f.wantRefused("a", minute)
			f.do(store.ForceClosed)
			f.wantRefused("a", 0)
			f.wantState(store.Open)
		},
	},
	{
		"a claim ends a force whose time is over",
		"A claim runs expiry as every script does: a force that has ended gives way to half-open, and the claim is granted.",
		func(f *fixture) {
			f.trip()
			f.force(store.ForceOpen, minute)
			f.after(minute)
			g := f.claim("b", 1)
			same(f, "leases", len(g.Leases), 1)
			truly(f, "made by time", g.Made != nil && g.Made.Reason == store.ByTime && g.Made.Cause == "b")
		},
	},
	{
		"a lease ends by itself",
		"A lease lives while now is before its end; one that nobody settled frees its place and says nothing about the tier.",
		func(f *fixture) {
			f.policy.Probes = 1
			f.probe("a", 1)
			f.after(30*sec - ms)
			same(f, "live leases just before", f.read().Probing, 1)
			f.wantFull("b", ms, ms)
			f.after(ms)
			s := f.read()
			same(f, "live leases at the end", s.Probing, 0)
			same(f, "state, probe successes", []any{s.State, s.ProbeSuccesses}, []any{store.HalfOpen, 0})
			f.lease("b")
		},
	},
	{
		"a lease's place stays taken across generations",
		"A lease lives whatever generation it was granted in: the call runs on, so its place stays taken until it is settled or ends.",
		func(f *fixture) {
			f.policy.Probes, f.policy.OpenFor = 2, sec
			leases := f.probe("a", 2)
			f.settle("a", leases[0], store.Failure)
			same(f, "live leases while open", f.read().Probing, 1)
			f.after(f.read().RetryIn)
			same(f, "leases of the next half-open", len(f.claim("b", 2).Leases), 1)
			f.settle("a", leases[1], store.Failure)
			f.wantState(store.HalfOpen)
			f.lease("c")
		},
	},
	{
		"a command takes no lease back",
		"Retune to fewer Probes takes no lease back, nor does any command: Probing counts all live ones, in every state.",
		func(f *fixture) {
			f.probe("a", 3)
			one := f.policy
			one.Probes = 1
			f.retune(one, 0)
			same(f, "live leases after Retune", f.read().Probing, 3)
			f.wantFull("b", 100*ms, 150*ms)
			f.do(store.Reset)
			same(f, "live leases after Reset", f.read().Probing, 3)
			f.do(store.Trip)
			f.do(store.ForceClosed)
			same(f, "live leases after force", f.read().Probing, 3)
			f.after(30 * sec)
			same(f, "live leases after their time", f.read().Probing, 0)
		},
	},
	{
		"lease IDs are used once",
		"Lease IDs are opaque and never used twice by one machine.",
		func(f *fixture) {
			f.policy.ProbeSuccesses, f.policy.Probes = 1_000_000, 7
			f.trip()
			f.after(minute)
			seen := map[string]bool{}
			for range 20 {
				for _, l := range f.leases("a", 7) {
					truly(f, "the ID "+l.ID+" is new", l.ID != "" && !seen[l.ID])
					seen[l.ID] = true
					f.settle("a", l, store.Success)
				}
			}
		},
	},
	{
		"a claim makes a breaker",
		"A claim makes a machine if there is none, closed and without replicas.",
		func(f *fixture) {
			f.wantRefused("a", 0)
			s := f.read()
			same(f, "state, replicas, policy", []any{s.State, s.Replicas, s.Policy}, []any{store.Closed, 0, f.policy})
		},
	},
	{
		"a bad claim is refused",
		"A claim's names, ID, policy and number wanted are checked at the door; a bad one changes nothing.",
		func(f *fixture) {
			f.trip()
			f.after(minute)
			for what, change := range map[string]func(c *store.Claim){
				"wanting none":     func(c *store.Claim) { c.Want = 0 },
				"wanting below 0":  func(c *store.Claim) { c.Want = -1 },
				"no ID":            func(c *store.Claim) { c.ID = "" },
				"a long ID":        func(c *store.Claim) { c.ID = strings.Repeat("x", store.MaxName+1) },
				"no replica":       func(c *store.Claim) { c.Replica = "" },
				"a bad policy":     func(c *store.Claim) { c.Policy.Probes = 1001 },
				"a bad Known":      func(c *store.Claim) { c.Known.RetryIn = -1 },
				"a Known too high": func(c *store.Claim) { c.Known.Generation = f.clock.millis() + uint64(2*day.Milliseconds()) },
			} {
				c := f.request("a", 1)
				change(&c)
				f.wantUnchanged(what, func() {
					_, err := f.store.Claim(f.ctx, c)
					truly(f, fmt.Sprintf("%s is refused as invalid (%v)", what, err), errors.Is(err, store.ErrInvalid))
				})
			}
		},
	},
	{
		"a great number wanted is cut",
		"A claim may want more than any budget: it gets what is free.",
		func(f *fixture) {
			f.policy.Probes = 1000
			f.trip()
			f.after(minute)
			same(f, "leases", len(f.claim("a", 1<<30).Leases), 1000)
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
