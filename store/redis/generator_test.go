package redisstore

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/commontrip/commontrip/store"
)

func isA(err, target error) bool { return errors.Is(err, target) }

// generator draws requests that are likely to meet an edge: few values, most of them at one. In half of its histories a fleet
// only reports, nearly, and what is rare elsewhere is some times as rare.
type generator struct {
	*rand.Rand
	calm     int // how many times; 1: not calm
	healthy  bool
	heavy    bool // runs of hundreds of outcomes
	outage   bool // the breaker seldom closes, while it moves often
	d        *duel
	now      int64
	policies []store.Policy
	replicas []string
	seqs     map[string]uint64
	claims   []store.Claim
	joined   int
}

type lease struct {
	store.Lease
	replica string
}

const second, minute = 1000, 60_000

func newGenerator(r *rand.Rand, d *duel) *generator {
	g := &generator{Rand: r, d: d, now: 1_700_000_000_000 + r.Int64N(minute), seqs: map[string]uint64{}}
	for range 3 {
		g.policies = append(g.policies, g.policy())
	}
	for i := range pick(g, 1, 3, 20) {
		g.replicas = append(g.replicas, fmt.Sprintf("web-%d#a", i))
	}
	g.calm, g.healthy, g.heavy = pick(g, 1, 1, 4, 25), g.IntN(2) == 0, g.IntN(4) == 0
	if g.IntN(6) == 0 {
		g.calm, g.outage = 1, true
	}
	return g
}

func pick[T any](g *generator, choice ...T) T { return choice[g.IntN(len(choice))] }

func (g *generator) rarely(in int) bool { return g.IntN(in*max(g.calm, 1)) == 0 }

func (g *generator) millis(choice ...int64) time.Duration {
	return time.Duration(pick(g, choice...)) * time.Millisecond
}

func (g *generator) policy() store.Policy {
	p := store.Policy{
		ConsecutiveFailures: pick(g, 0, 1, 3, 5, 30), ConsecutiveFor: g.millis(0, 0, second),
		FailureRate: pick(g, 0, 0.3, 0.5, 2.0/3, 1), SlowCallAfter: time.Second, SlowCallRate: pick(g, 0, 0, 0.25, 1.0/6),
		Reporters: pick(g, 1, 1, 2, 3, 16), OpenFor: g.millis(1, second, 10*second, minute),
		Probes: pick(g, 1, 2, 3, 50), ProbeSuccesses: pick(g, 1, 2, 5), ProbeLease: g.millis(100, second, 30*second),
		Observe: g.rarely(10), RampUp: g.millis(0, second),
	}
	if g.rarely(2) {
		p.OpenForMax = max(p.OpenFor, min(p.OpenFor*time.Duration(pick(g, 1, 3, 100, 86_400_000)), 24*time.Hour))
	}
	if g.rarely(2) {
		p.WindowTime = g.millis(second, 10*second, minute, 3600*second)
		p.MinCalls = pick(g, 1, 5, 100)
	} else {
		p.WindowCalls = pick(g, 1, 5, 40, 100, 10_000)
		p.MinCalls = min(p.WindowCalls, pick(g, 1, 5, 100))
	}
	return p
}

// next draws the next step: a clock, and a request.
func (g *generator) next() step {
	if !g.rarely(1) {
		g.now += pick[int64](g, 0, 0, 1, 20, 20, 100, second, -10)
		return step{g.now, g.report()}
	}
	g.now += pick[int64](g, 0, 0, 0, 1, 20, 100, second, second, 3*second, 11*second)
	switch n := g.IntN(200); {
	case n < 4: // back
		g.now = max(g.now-pick[int64](g, 1, 50, second, 40*second, 2*3600*second), 0)
	case n < 8:
		g.now += pick[int64](g, 29*second, 30*second, minute, 2*minute, 3600*second)
	case n == 8:
		g.now += pick[int64](g, 24*3600*second-1, 24*3600*second, 31*24*3600*second)
	case n < 30: // to an end of something, or just before
		if s, ok := g.d.pure.Snapshot(g.now, "x"); ok {
			end := pick(g, s.RetryIn, s.ModeNote.EndsIn, s.PolicyNote.EndsIn).Milliseconds()
			g.now += max(end-pick[int64](g, 0, 0, 1), 0)
		}
	}
	return step{g.now, g.request()}
}

func (g *generator) request() any {
	switch n := g.IntN(1000); {
	case g.outage && n < 500:
		return g.command()
	case n < 600:
		return g.report()
	case n < 750:
		return g.claim()
	case n < 900:
		return g.settlement()
	case n < 990:
		return g.command()
	case n < 996:
		return remove{}
	default:
		return wipe{}
	}
}

func (g *generator) replica() string {
	if g.rarely(15) {
		g.joined++
		return fmt.Sprintf("new-%d#%d", g.joined, g.IntN(10))
	}
	return pick(g, g.replicas...)
}

func (g *generator) generation() uint64 {
	s, _ := g.d.pure.Snapshot(g.now, "x")
	if g.rarely(12) {
		return pick[uint64](g, 0, s.Generation+1, store.MaxNumber, store.MaxNumber+1)
	}
	return s.Generation
}

func (g *generator) report() store.Report {
	r := store.Report{
		Policy: g.policies[0], Replica: g.replica(), Generation: g.generation(), MaxAge: 3 * time.Second,
		Announce: g.rarely(15), OwnOpen: g.rarely(8), Known: g.known(),
	}
	if g.rarely(12) {
		r.Policy = pick(g, g.policies...)
	}
	if g.IntN(3) > 0 {
		r.SentAt = time.UnixMilli(g.now - pick[int64](g, 0, 0, 0, -20, 1, 20, 20, 500)).UTC()
		if g.rarely(20) {
			r.SentAt = time.UnixMilli(g.now - pick[int64](g, 2999, 3000, 3001, 10*second, 10*second+1, -3600*second)).UTC()
		}
	}
	if g.rarely(20) {
		r.MaxAge = g.millis(0, 2*minute)
	}
	if g.rarely(6) {
		r.Rejected = pick[uint64](g, 1, 1000, store.MaxNumber)
	}
	g.seqs[r.Replica]++
	r.Seq = g.seqs[r.Replica]
	if g.rarely(10) {
		r.Seq -= min(r.Seq, pick[uint64](g, 1, 2, r.Seq))
	} else if g.rarely(200) {
		r.Seq = pick[uint64](g, store.MaxNumber-1, store.MaxNumber, store.MaxNumber+1)
	}
	for range pick(g, 0, 1, 1, 1, 2, 5) {
		r.Runs = append(r.Runs, g.run())
	}
	return r
}

func (g *generator) run() store.Run {
	run := store.Run{
		Outcome: pick(g, store.Success, store.Success, store.Failure, store.Failure, store.Ignored), Slow: g.rarely(5),
		Count: pick(g, 1, 1, 1, 2, 7), Age: g.millis(0, 0, 0, 10, 900, 2999, 3000, 3001, 20*second),
	}
	if g.calm > 1 {
		run.Slow, run.Age = g.IntN(10) == 0, g.millis(0, 0, 0, 0, 10, 100, run.Age.Milliseconds())
		if g.healthy && g.IntN(4) > 0 {
			run.Outcome, run.Slow = store.Success, false
		}
	}
	if g.heavy {
		run.Count = pick(g, 1, 3, 20, 100, 400, 800)
	}
	if g.rarely(30) {
		run.Count = pick(g, 50, 101)
		if run.Outcome != store.Failure && !run.Slow {
			run.Count = store.MaxCount
		}
	}
	if run.Outcome == store.Failure {
		run.Label = pick(g, "", "timeout", "refused", "503", fmt.Sprintf("e%d", g.IntN(40)))
	}
	if g.rarely(300) {
		run.Count = pick(g, 0, 4096, 4097)
	}
	return run
}

// known is what the breaker itself shows, at times moved.
func (g *generator) known() store.Known {
	s, _ := g.d.pure.Snapshot(g.now, "x")
	k := store.Known{
		Generation: s.Generation, Rev: s.Rev, State: s.State, Reason: s.Reason, Cause: s.Cause, RetryIn: s.RetryIn,
		Openings: s.Openings, Mode: s.Mode, ModeNote: s.ModeNote, Retuned: s.Retuned, Policy: s.Policy, PolicyNote: s.PolicyNote,
	}
	if !g.rarely(12) {
		return k
	}
	if g.rarely(2) {
		k.Generation = pick(g, k.Generation+1, k.Generation+5, uint64(g.now), uint64(g.now)+24*3600*second, uint64(g.now)+24*3600*second+1, store.MaxNumber)
		k.State = store.State(g.IntN(3))
		k.RetryIn = g.millis(0, 500, 100*minute)
		k.Openings = pick(g, 0, 1, 30, store.MaxOpening, store.MaxOpening+1)
		k.Reason, k.Cause = pick(g, store.ByTime, "", "something else"), pick(g, "web-9#z", "")
	}
	if g.rarely(2) {
		k.Rev = pick(g, k.Rev+1, k.Rev+5, uint64(g.now), uint64(g.now)+24*3600*second+1)
		k.Mode, k.ModeNote = store.Mode(g.IntN(3)), g.note()
		k.Retuned, k.Policy, k.PolicyNote = g.rarely(2), pick(g, g.policies...), g.note()
	}
	return k
}

func (g *generator) note() store.Note {
	n := store.Note{By: "oncall", Why: pick(g, "", "INC-1"), At: time.UnixMilli(g.now - 5000).UTC(), Timed: g.rarely(2)}
	if n.Timed {
		n.EndsIn = g.millis(0, 1, 10*second, 1000*3600*second)
	}
	return n
}

func (g *generator) claim() store.Claim {
	if len(g.claims) > 0 && g.rarely(4) {
		return pick(g, g.claims...)
	}
	c := store.Claim{
		ID: fmt.Sprintf("claim-%d", g.Int64()), Policy: g.policies[0], Replica: g.replica(), Want: pick(g, 1, 1, 2, 100), Known: g.known(),
	}
	g.claims = append(g.claims[max(0, len(g.claims)-5):], c)
	return c
}

// settlement settles a lease of the newest claims as the breaker would have numbered it, or one that is none.
func (g *generator) settlement() store.Settlement {
	s, _ := g.d.pure.Snapshot(g.now, "x")
	t := store.Settlement{
		Lease: store.Lease{Generation: s.Generation}, Replica: pick(g, g.replicas...),
		Outcome: pick(g, store.Success, store.Success, store.Failure, store.Ignored), Slow: g.rarely(5), Label: pick(g, "", "timeout"),
	}
	if n := len(g.d.leases); n > 0 {
		l := pick(g, g.d.leases[max(0, n-8):]...)
		t.Lease, t.Replica = l.Lease, l.replica
		if g.rarely(15) {
			t.Replica = g.replica()
		}
	}
	if g.outage && g.IntN(100) > 0 {
		t.Outcome = store.Failure
	}
	if g.rarely(15) {
		t.Lease.Generation = g.generation()
	}
	if g.rarely(40) {
		t.Lease.ID = pick(g, "", "1.1", "nonsense")
	}
	return t
}

func (g *generator) command() store.Command {
	c := store.Command{Action: store.Action(1 + g.IntN(7)), By: "oncall", Why: pick(g, "", "INC-42")}
	if g.outage && g.IntN(100) > 0 {
		c.Action = pick(g, store.ForceOpen, store.Lift, store.Trip, store.Trip)
	}
	switch c.Action {
	case store.ForceOpen, store.ForceClosed, store.Retune, store.Trip:
		c.For = g.millis(0, 0, 1, second, 10*second, 3600*second, 30*24*3600*second, 31*24*3600*second)
	}
	if g.rarely(3) {
		c.Known = g.known()
	}
	if c.Action == store.Retune {
		c.Policy = g.policy()
		if g.rarely(10) {
			c.Policy.MinCalls = -1
		}
	}
	return c
}
