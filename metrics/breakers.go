package metrics

import (
	"fmt"
	"math"
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
)

// Values of labels, in the order of the alphabet: so a registry gets sorted what it is going to sort.
var (
	states   = []store.State{store.Closed, store.HalfOpen, store.Open}
	modes    = []store.Mode{store.Auto, store.ForcedClosed, store.ForcedOpen}
	outcomes = []store.Outcome{store.Failure, store.Ignored, store.Success}
	refusals = []breaker.Refusal{
		breaker.RefusedForced, breaker.RefusedOpen, breaker.RefusedProbing, breaker.RefusedRampUp, breaker.RefusedStoreDown,
	}
	actions = []store.Action{
		store.ForceClosed, store.ForceOpen, store.Lift, store.Reset, store.Restore, store.Retune, store.Trip,
	}
	standing = []string{"mode", "policy"}
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

// family is what all breakers show of a metric.
type family struct {
	metric  id
	columns []column
}

// column is a series that every breaker has, and how it is read.
type column struct {
	labels []*dto.LabelPair // beside the breaker's name
	read   func(*row) float64
	rare   bool // not shown while it is 0
}

// row is a breaker as one scrape sees it.
type row struct {
	*breaker.Status
	past past
}

// families come in a scrape one after the other, each with all breakers, in the order in which a registry is going to sort
// them: that makes its own part of the work, the most of a scrape, cheaper.
var families = slices.Concat(inReplica, inFleet, commanded, inForce)

var columnCount = func() (n int) {
	for _, f := range families {
		n += len(f.columns)
	}
	return n
}()

// inReplica is what rules calls in this replica, and what became of them.
var inReplica = []family{
	many(state, states, func(r *row, s store.State) float64 { return number(r.State == s) }),
	one(ownVerdict, func(r *row) float64 { return number(r.Verdict == breaker.Own) }),
	one(retryAfter, func(r *row) float64 { return r.RetryAfter.Seconds() }),
	many(calls, outcomes, (*row).calls),
	one(slowCalls, func(r *row) float64 { return float64(r.Totals.Slow) }),
	many(refused, refusals, func(r *row, why breaker.Refusal) float64 { return float64(r.Refused[why]) }),
	one(pending, func(r *row) float64 { return float64(r.Pending) }),
	one(lost, func(r *row) float64 { return float64(r.Lost) }),
	{transitions, slices.Concat(knownWays(), otherWays())},
	one(ownTrips, func(r *row) float64 { return float64(r.past.tripped) }),
	one(repairs, func(r *row) float64 { return float64(r.past.repaired) }),
	one(disowned, func(r *row) float64 { return float64(r.past.disowned) }),
}

// inFleet is the fleet's verdict as this replica last heard it.
var inFleet = []family{
	many(fleetState, states, func(r *row, s store.State) float64 { return number(r.Fleet.State == s) }),
	one(fleetGeneration, func(r *row) float64 { return float64(r.Fleet.Generation) }),
	one(fleetSince, func(r *row) float64 { return timestamp(r.Fleet.Since) }),
	one(fleetAge, func(r *row) float64 { return r.FleetAge.Seconds() }),
	one(fleetReplicas, func(r *row) float64 { return float64(r.Fleet.Replicas) }),
	one(fleetWindow, func(r *row) float64 { return float64(r.Fleet.Window.Calls) }),
	one(fleetFailures, func(r *row) float64 { return share(r.Fleet.Window.Failures, r.Fleet.Window.Calls) }),
	one(fleetSlow, func(r *row) float64 { return share(r.Fleet.Window.Slow, r.Fleet.Window.Calls) }),
	one(fleetStreak, func(r *row) float64 { return float64(r.Fleet.Window.Consecutive) }),
	one(fleetProbes, func(r *row) float64 { return float64(r.Fleet.Probing) }),
	one(fleetOpenings, func(r *row) float64 { return float64(r.Fleet.Openings) }),
	one(fleetLate, func(r *row) float64 { return float64(r.Fleet.Totals.Late) }),
	one(fleetConflict, func(r *row) float64 { return number(r.Fleet.PolicyConflict) }),
}

// commanded is what operators left standing, and their commands that this replica heard of. The commands are a family an
// action, since a registry sorts by the action first and by the breaker then.
var commanded = func() []family {
	out := []family{
		many(mode, modes, func(r *row, m store.Mode) float64 { return number(r.Mode == m) }),
		many(commandSince, standing, (*row).since),
		many(commandRemaining, standing, (*row).remaining),
	}
	for _, a := range actions {
		out = append(out, many(commands, []store.Action{a}, func(r *row, a store.Action) float64 { return float64(r.past.heard[a]) }))
	}
	return out
}()

// inForce is the policy that rules.
var inForce = []family{
	one(policyFailures, func(r *row) float64 { return r.Fleet.Policy.FailureRate }),
	one(policySlow, func(r *row) float64 { return r.Fleet.Policy.SlowCallRate }),
	one(policyStreak, func(r *row) float64 { return float64(r.Fleet.Policy.ConsecutiveFailures) }),
	one(policyMinCalls, func(r *row) float64 { return float64(r.Fleet.Policy.MinCalls) }),
	one(policyOpenFor, func(r *row) float64 { return r.Fleet.Policy.OpenFor.Seconds() }),
	one(policyProbes, func(r *row) float64 { return float64(r.Fleet.Policy.Probes) }),
	one(policyObserve, func(r *row) float64 { return number(r.Fleet.Policy.Observe) }),
}

// one is a metric of one series a breaker.
func one(m id, read func(*row) float64) family { return family{m, []column{{read: read}}} }

// many is a metric of one series a value of the label that it has beside the breaker's name.
func many[T any](m id, values []T, read func(*row, T) float64) family {
	f := family{metric: m}
	for _, v := range values {
		f.columns = append(f.columns, column{
			labels: []*dto.LabelPair{pair(table[m].labels[1], fmt.Sprint(v))},
			read:   func(r *row) float64 { return read(r, v) },
		})
	}
	return f
}

func knownWays() (out []column) {
	for i, w := range ways {
		out = append(out, column{
			labels: []*dto.LabelPair{pair("to", w.to.String()), pair("reason", string(w.reason))},
			read:   func(r *row) float64 { return float64(r.past.made[i]) },
		})
	}
	return out
}

func otherWays() (out []column) {
	for _, to := range states {
		out = append(out, column{
			labels: []*dto.LabelPair{pair("to", to.String()), pair("reason", other)},
			read:   func(r *row) float64 { return float64(r.past.others[to]) },
			rare:   true,
		})
	}
	return out
}

func (r *row) calls(o store.Outcome) float64 {
	switch t := &r.Totals; o {
	case store.Failure:
		return float64(t.Failures)
	case store.Ignored:
		return float64(t.Ignored)
	default:
		return float64(t.Calls - min(t.Failures, t.Calls))
	}
}

// note is what is said of a command that stands; nil if none does.
func (r *row) note(command string) *store.Note {
	switch {
	case command == "mode" && r.Mode != store.Auto:
		return &r.Fleet.ModeNote
	case command == "policy" && r.Fleet.Retuned:
		return &r.Fleet.PolicyNote
	default:
		return nil
	}
}

func (r *row) since(command string) float64 {
	if n := r.note(command); n != nil {
		return timestamp(n.At)
	}
	return 0
}

func (r *row) remaining(command string) float64 {
	switch n := r.note(command); {
	case n == nil:
		return 0
	case n.Timed:
		return max(n.EndsIn-r.FleetAge, 0).Seconds()
	default:
		return math.Inf(1)
	}
}

// past is what happened to a breaker: what this replica made of it, and the commands that it heard of.
type past struct {
	made                        [len(ways)]uint64
	others                      [store.HalfOpen + 1]uint64
	heard                       [store.Restore + 1]uint64
	tripped, repaired, disowned uint64
}

func pastOf(events map[breaker.EventClass]uint64) (p past) {
	for e, n := range events {
		switch {
		case e.Kind == breaker.Commanded:
			p.heard[min(e.Action, store.Restore)] += n
		case !e.Here:
		case e.Kind == breaker.OwnTripped:
			p.tripped += n
		case e.Kind == breaker.Disowned:
			p.disowned += n
		case e.Kind == breaker.Repaired && e.From == e.To:
			p.repaired += n
		case e.From != e.To && e.Kind != breaker.OwnClosed:
			if i := slices.Index(ways[:], way{e.To, e.Reason}); i >= 0 {
				p.made[i] += n
			} else {
				p.others[min(e.To, store.HalfOpen)] += n
			}
		}
	}
	return p
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
