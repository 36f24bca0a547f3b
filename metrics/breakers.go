package metrics

import (
	"math"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
)

// Values of labels, in the order of the alphabet: so a registry gets sorted what it is going to sort.
var (
	states   = []store.State{store.Closed, store.HalfOpen, store.Open}
	modes    = []store.Mode{store.Auto, store.ForcedClosed, store.ForcedOpen}
	refusals = []breaker.Refusal{
		breaker.RefusedForced, breaker.RefusedOpen, breaker.RefusedProbing, breaker.RefusedRampUp, breaker.RefusedStoreDown,
	}
	actions = []store.Action{
		store.ForceClosed, store.ForceOpen, store.Lift, store.Reset, store.Restore, store.Retune, store.Trip,
	}
)

// way is a change of state, and why.
type way struct {
	to     store.State
	reason store.Reason
}

// other stands for a reason that this version does not know, so that the number of series stays bounded.
const other = "other"

// ways are all that a replica can make; others would be a newer version's.
var ways = [...]way{
	{store.Open, store.ByConsecutiveFailures},
	{store.Open, store.ByFailureRate},
	{store.Open, store.ByProbeFailure},
	{store.Closed, store.ByProbeSuccesses},
	{store.Open, store.ByRepair},
	{store.Open, store.BySlowCallRate},
	{store.Closed, store.ByTime},
	{store.HalfOpen, store.ByTime},
}

// replica shows what a replica says of itself and its store.
func (s *sink) replica(st *breaker.ManagerStatus, shown int) {
	s.put(replicaInfo, 1, st.Replica)
	s.put(breakers, float64(len(st.Breakers)))
	s.put(breakersLeftOut, float64(len(st.Breakers)-shown))
	s.put(storeUp, number(st.StoreUp))
	s.put(storeSilence, st.SinceExchange.Seconds())
	s.put(storeLosses, float64(st.StoreLosses))
	s.put(exchanges, float64(st.Exchanges))
	s.put(exchangeErrors, float64(st.ExchangeErrors))
}

func (c *Collector) latencies(out chan<- prometheus.Metric, l breaker.Latencies) {
	buckets := make(map[float64]uint64, len(l.Bounds))
	var count uint64
	for i, n := range l.Counts {
		count += n
		if i < len(l.Bounds) {
			buckets[l.Bounds[i].Seconds()] = count
		}
	}
	desc := c.descs[exchangeDuration]
	shown, err := prometheus.NewConstHistogram(desc, count, l.Sum.Seconds(), buckets)
	if err != nil {
		shown = prometheus.NewInvalidMetric(desc, err)
	}
	out <- shown
}

func (s *sink) breaker(b *breaker.Status) {
	s.here(b)
	s.fleet(b)
	s.commands(b)
	s.policy(b.Name, &b.Fleet.Policy)
	s.events(b)
}

// here shows what rules calls in this replica, and what became of them.
func (s *sink) here(b *breaker.Status) {
	oneHot(s, state, b.State, states, store.State.String, b.Name)
	s.put(ownVerdict, number(b.Verdict == breaker.Own), b.Name)
	s.put(retryAfter, b.RetryAfter.Seconds(), b.Name)
	s.put(calls, float64(b.Totals.Failures), b.Name, store.Failure.String())
	s.put(calls, float64(b.Totals.Ignored), b.Name, store.Ignored.String())
	s.put(calls, float64(b.Totals.Calls-min(b.Totals.Failures, b.Totals.Calls)), b.Name, store.Success.String())
	s.put(slowCalls, float64(b.Totals.Slow), b.Name)
	for _, r := range refusals {
		s.put(refused, float64(b.Refused[r]), b.Name, string(r))
	}
	s.put(pending, float64(b.Pending), b.Name)
	s.put(lost, float64(b.Lost), b.Name)
}

// events shows what happened to the breaker: what this replica made of it, and the commands that it heard of. It ends a
// page, since reasons of a newer version add series that are not always there.
func (s *sink) events(b *breaker.Status) {
	var made [len(ways)]uint64
	var others [store.HalfOpen + 1]uint64
	var heard [store.Restore + 1]uint64
	var tripped, repaired uint64
	for e, n := range b.Events {
		switch {
		case e.Kind == breaker.Commanded:
			heard[min(e.Action, store.Restore)] += n
		case !e.Here:
		case e.Kind == breaker.OwnTripped:
			tripped += n
		case e.Kind == breaker.Repaired && e.From == e.To:
			repaired += n
		case e.From != e.To && e.Kind != breaker.OwnClosed:
			if i := slices.Index(ways[:], way{e.To, e.Reason}); i >= 0 {
				made[i] += n
			} else {
				others[min(e.To, store.HalfOpen)] += n
			}
		}
	}
	for _, a := range actions {
		s.put(commands, float64(heard[a]), b.Name, a.String())
	}
	s.put(ownTrips, float64(tripped), b.Name)
	s.put(repairs, float64(repaired), b.Name)
	for i, w := range ways {
		s.put(transitions, float64(made[i]), b.Name, w.to.String(), string(w.reason))
	}
	for _, to := range states {
		if n := others[to]; n > 0 {
			s.put(transitions, float64(n), b.Name, to.String(), other)
		}
	}
}

// fleet shows the fleet's verdict as this replica last heard it.
func (s *sink) fleet(b *breaker.Status) {
	f := &b.Fleet
	oneHot(s, fleetState, f.State, states, store.State.String, b.Name)
	s.put(fleetGeneration, float64(f.Generation), b.Name)
	s.put(fleetSince, timestamp(f.Since), b.Name)
	s.put(fleetAge, b.FleetAge.Seconds(), b.Name)
	s.put(fleetReplicas, float64(f.Replicas), b.Name)
	s.put(fleetWindow, float64(f.Window.Calls), b.Name)
	s.put(fleetFailures, share(f.Window.Failures, f.Window.Calls), b.Name)
	s.put(fleetSlow, share(f.Window.Slow, f.Window.Calls), b.Name)
	s.put(fleetStreak, float64(f.Window.Consecutive), b.Name)
	s.put(fleetProbes, float64(f.Probing), b.Name)
	s.put(fleetOpenings, float64(f.Openings), b.Name)
	s.put(fleetLate, float64(f.Totals.Late), b.Name)
	s.put(fleetConflict, number(f.PolicyConflict), b.Name)
}

// commands shows what operators left standing.
func (s *sink) commands(b *breaker.Status) {
	oneHot(s, mode, b.Mode, modes, store.Mode.String, b.Name)
	s.standing(b, "mode", b.Mode != store.Auto, &b.Fleet.ModeNote)
	s.standing(b, "policy", b.Fleet.Retuned, &b.Fleet.PolicyNote)
}

func (s *sink) standing(b *breaker.Status, command string, stands bool, n *store.Note) {
	var since, remaining float64
	if stands {
		since, remaining = timestamp(n.At), math.Inf(1)
		if n.Timed {
			remaining = max(n.EndsIn-b.FleetAge, 0).Seconds()
		}
	}
	s.put(commandSince, since, b.Name, command)
	s.put(commandRemaining, remaining, b.Name, command)
}

func (s *sink) policy(name string, p *store.Policy) {
	s.put(policyFailures, p.FailureRate, name)
	s.put(policySlow, p.SlowCallRate, name)
	s.put(policyStreak, float64(p.ConsecutiveFailures), name)
	s.put(policyMinCalls, float64(p.MinCalls), name)
	s.put(policyOpenFor, p.OpenFor.Seconds(), name)
	s.put(policyProbes, float64(p.Probes), name)
	s.put(policyObserve, number(p.Observe), name)
}

func share(part, whole int) float64 {
	if whole <= 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// timestamp is t in Unix seconds, 0 for none.
func timestamp(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
