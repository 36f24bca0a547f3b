package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// measure says what the first half came to: in numbers that were counted in this run, by the tier or the replicas.
//
// Times are held against a bar to which the longest wait of the breakers that share nothing is added. They run in the
// same processes, on the same calls, and wait for nobody: that is what a busy machine makes of a goroutine's turn.
func (h *fleetHalf) measure(ctx context.Context) error {
	last, err := h.count(ctx)
	if err != nil {
		return err
	}
	h.report.whole()
	h.burnt()
	h.pushes()
	h.absence(last)
	return nil
}

// sum adds up one way of calling over all replicas.
func sum(tallies []replicaTally, way string) count {
	var all count
	for _, t := range tallies {
		all = all.plus(t.Calls[way])
	}
	return all
}

// most is how many of the spans lie over one instant.
func most(spans []span) int {
	highest := 0
	for _, s := range spans {
		n := 0
		for _, other := range spans {
			if !other.From.After(s.From) && other.To.After(s.From) {
				n++
			}
		}
		highest = max(highest, n)
	}
	return highest
}

// burnt compares what the dead tier cost the fleet with what it cost breakers that share nothing.
func (h *fleetHalf) burnt() {
	one, many := sum(h.dead, shared), sum(h.dead, alone)
	slow, slowAlone := h.dead[0].Calls[shared], h.dead[0].Calls[alone]
	atOnce := most(one.Probing)
	t := h.report.table("One tier, dead for a while: what was counted, on the same calls",
		"", "one for all", "eight alone")
	t.row("calls that reached the dead tier, by its own count", h.tierDead["/"+shared].Dead, h.tierDead["/"+alone].Dead)
	t.row("calls burnt on it, refused connections too", one.Burnt, many.Burnt)
	t.row(fmt.Sprintf("  of these by the replica that makes %s a second", counted(int(h.fleet.members[0].rate), "call")),
		slow.Burnt, slowAlone.Burnt)
	t.row("probes sent until the tier was trusted again", one.Probes, many.Probes)
	t.row("most probes at once", atOnce, most(many.Probing))
	h.report.promise(one.Burnt < many.Burnt, "the fleet burns fewer than eight alone",
		"%d, against %d", one.Burnt, many.Burnt)
	h.report.promise(slow.Burnt < h.policy.ConsecutiveFailures,
		"a replica that hardly calls profits", "burnt %d, alone %d", slow.Burnt, slowAlone.Burnt)
	h.report.promise(atOnce <= h.policy.Probes,
		"never more probes at once than allowed", "%d of %d", atOnce, h.policy.Probes)
}

// pushes says how fast the fleet's transitions reached the last replica.
func (h *fleetHalf) pushes() {
	var behind []time.Duration
	var slowest string
	missed := 0
	for _, n := range h.fleet.transitions() {
		if len(n.heard) < len(h.fleet.members) {
			missed++
		}
		b := n.behind(h.redis.ahead)
		if len(behind) == 0 || b > slices.Max(behind) {
			slowest = fmt.Sprintf("%s to %s, %s", n.From, n.To, words(n.Reason))
		}
		behind = append(behind, b)
	}
	if len(behind) == 0 {
		return
	}
	slices.Sort(behind)
	t := h.report.table("From a transition's commit to the last replica that knew", "transitions", "median", "largest", "which was")
	t.row(len(behind), brief(behind[len(behind)/2]), brief(behind[len(behind)-1]), slowest)
	// What a push misses, the next refresh repairs, by one exchange.
	bar := h.timing.RefreshInterval + h.timing.StaleAfter/3 + h.waitAlone
	h.report.promise(missed == 0 && behind[len(behind)-1] <= bar,
		"each transition is everywhere in "+brief(bar), "missed %d; slowest %s", missed, brief(behind[len(behind)-1]))
}

// absence says what it cost that Redis was away.
func (h *fleetHalf) absence(last []replicaTally) {
	with, without := h.calm, sum(h.away, shared)
	before := sum(with, shared)
	errs, refusals := without.Foreign-before.Foreign, without.Refused-before.Refused
	t := h.report.table("Redis, away for some seconds", "", "while there", "while away", "eight alone")
	t.row("calls", before.Calls, without.Calls-before.Calls, sum(h.away, alone).Calls)
	t.row("errors not the tier's own", before.Foreign, errs, 0)
	t.row("longest wait added to a call", brief(h.wait), brief(without.Wait), brief(max(h.waitAlone, sum(h.away, alone).Wait)))
	// Where calls of a tier that is well took too long, since the machine stood still, a replica is right to open.
	stalled := without.Burnt > before.Burnt
	h.report.law(sum(last, shared).Foreign == 0, "without Redis no call fails by the breaker", "%d of %d", errs, without.Calls-before.Calls)
	h.report.promise(refusals == 0 || stalled, "nor is refused", "%d of %d", refusals, without.Calls-before.Calls)
	// One call may wait for the claim of a probe.
	bar := h.timing.WithDefaults().ClaimTimeout + 150*time.Millisecond + max(h.waitAlone, sum(h.away, alone).Wait)
	h.report.promise(max(h.wait, without.Wait) <= bar, "nor waits", "%s at most; bar %s", brief(max(h.wait, without.Wait)), brief(bar))
}
