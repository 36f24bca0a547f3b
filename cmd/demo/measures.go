package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// measure says what the first half came to: in numbers that were counted in this run, by the tier or the replicas.
func (h *fleetHalf) measure(ctx context.Context) error {
	last, err := h.count(ctx)
	if err != nil {
		return err
	}
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

// burnt compares what the dead tier cost the fleet with what it cost breakers that share nothing.
func (h *fleetHalf) burnt() {
	one, many := sum(h.dead, shared), sum(h.dead, alone)
	slow, slowAlone := h.dead[0].Calls[shared], h.dead[0].Calls[alone]
	probes, probesAlone := h.tierDead["/"+shared], h.tierDead["/"+alone]
	t := h.report.table("One tier, dead for a while: counted in this run, on the same calls",
		"", "one breaker for the fleet", "eight that share nothing")
	t.row("calls burnt on the dead tier", one.Burnt, many.Burnt)
	t.row(fmt.Sprintf("  of these by %s, which calls %.0f a second", h.fleet.members[0].name, h.fleet.members[0].rate),
		slow.Burnt, slowAlone.Burnt)
	t.row("probes sent until the tier was trusted again", one.Probes, many.Probes)
	t.row("most probes at once at the tier", probes.MostProbes, probesAlone.MostProbes)
	h.report.promise(one.Burnt < many.Burnt, "the fleet burns fewer calls than breakers that share nothing",
		"%d, against %d", one.Burnt, many.Burnt)
	h.report.promise(slow.Burnt < h.policy.ConsecutiveFailures,
		"a replica that hardly calls profits from what others see", "it burnt %d, alone %d", slow.Burnt, slowAlone.Burnt)
	h.report.promise(probes.MostProbes <= h.policy.Probes,
		"never more probes at once than the policy allows, fleet-wide", "at most %d of %d", probes.MostProbes, h.policy.Probes)
}

// pushes says how fast the fleet's transitions reached the last replica.
func (h *fleetHalf) pushes() {
	var behind []time.Duration
	missed := 0
	for _, n := range h.fleet.transitions() {
		if len(n.heard) < len(h.fleet.members) {
			missed++
		}
		behind = append(behind, n.behind(h.redis.ahead))
	}
	if len(behind) == 0 {
		return
	}
	slices.Sort(behind)
	t := h.report.table("From a transition's commit in Redis to the last replica's listener", "transitions", "median", "largest")
	t.row(len(behind), brief(behind[len(behind)/2]), brief(behind[len(behind)-1]))
	h.report.promise(missed == 0 && behind[len(behind)-1] <= h.timing.RefreshInterval,
		"every transition reaches every replica, by the refresh interval at the latest", "missed %d; at most %s of %s",
		missed, brief(behind[len(behind)-1]), brief(h.timing.RefreshInterval))
}

// absence says what it cost that Redis was away. The yardstick for waits is the breakers that share nothing: they run in
// the same processes, on the same calls, so what a busy machine makes of a goroutine's turn is in both numbers.
func (h *fleetHalf) absence(last []replicaTally) {
	with, without := h.calm, sum(h.away, shared)
	before := sum(with, shared)
	errs, refusals := without.Foreign-before.Foreign, without.Refused-before.Refused
	t := h.report.table("Redis, away for some seconds", "", "with Redis", "without Redis", "no Redis at all")
	t.row("calls", before.Calls, without.Calls-before.Calls, sum(h.away, alone).Calls)
	t.row("errors that were not the tier's", before.Foreign, errs, 0)
	t.row("longest that a breaker added to a call", brief(h.wait), brief(without.Wait), brief(max(h.waitAlone, sum(h.away, alone).Wait)))
	h.report.promise(sum(last, shared).Foreign == 0 && refusals == 0,
		"Redis's absence costs no call an error or a refusal", "%d errors, %d refusals in %d calls", errs, refusals, without.Calls-before.Calls)
	// One call may wait for the claim of a probe.
	bar := h.timing.WithDefaults().ClaimTimeout + 150*time.Millisecond + max(h.waitAlone, sum(h.away, alone).Wait)
	h.report.promise(max(h.wait, without.Wait) <= bar, "nor a wait", "at most %s; the bar is %s", brief(max(h.wait, without.Wait)), brief(bar))
}
