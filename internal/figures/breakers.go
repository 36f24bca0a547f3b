package figures

import (
	"math"
	"slices"
	"time"

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

// Breaker is a breaker as one reading sees it.
type Breaker struct {
	*breaker.Status
	past past
}

// NewBreaker makes ready what is read of a breaker.
func NewBreaker(st *breaker.Status) Breaker { return Breaker{st, pastOf(st.Events)} }

// OfBreaker comes in the order in which a registry of Prometheus is going to sort: that makes its own part of the work, the most
// of a scrape, cheaper.
var OfBreaker = slices.Concat(inReplica, inFleet, commanded, inForce)

// inReplica is what rules calls in this replica, and what became of them.
var inReplica = []Family[Breaker]{
	many(State, states, func(b *Breaker, s store.State) float64 { return number(b.State == s) }),
	one(OwnVerdict, func(b *Breaker) float64 { return number(b.Verdict == breaker.Own) }),
	one(RetryAfter, func(b *Breaker) float64 { return b.RetryAfter.Seconds() }),
	many(Calls, outcomes, (*Breaker).calls),
	one(SlowCalls, func(b *Breaker) float64 { return float64(b.Totals.Slow) }),
	many(Refused, refusals, func(b *Breaker, why breaker.Refusal) float64 { return float64(b.Refused[why]) }),
	one(Pending, func(b *Breaker) float64 { return float64(b.Pending) }),
	one(Lost, func(b *Breaker) float64 { return float64(b.Lost) }),
	{Transitions, slices.Concat(knownWays(), otherWays())},
	one(OwnTrips, func(b *Breaker) float64 { return float64(b.past.tripped) }),
	one(Repairs, func(b *Breaker) float64 { return float64(b.past.repaired) }),
	one(Disowned, func(b *Breaker) float64 { return float64(b.past.disowned) }),
}

// inFleet is the fleet's verdict as this replica last heard it.
var inFleet = []Family[Breaker]{
	many(FleetState, states, func(b *Breaker, s store.State) float64 { return number(b.Fleet.State == s) }),
	one(FleetGeneration, func(b *Breaker) float64 { return float64(b.Fleet.Generation) }),
	one(FleetSince, func(b *Breaker) float64 { return timestamp(b.Fleet.Since) }),
	one(FleetAge, func(b *Breaker) float64 { return b.FleetAge.Seconds() }),
	one(FleetReplicas, func(b *Breaker) float64 { return float64(b.Fleet.Replicas) }),
	one(FleetWindow, func(b *Breaker) float64 { return float64(b.Fleet.Window.Calls) }),
	one(FleetFailures, func(b *Breaker) float64 { return share(b.Fleet.Window.Failures, b.Fleet.Window.Calls) }),
	one(FleetSlow, func(b *Breaker) float64 { return share(b.Fleet.Window.Slow, b.Fleet.Window.Calls) }),
	one(FleetStreak, func(b *Breaker) float64 { return float64(b.Fleet.Window.Consecutive) }),
	one(FleetProbes, func(b *Breaker) float64 { return float64(b.Fleet.Probing) }),
	one(FleetOpenings, func(b *Breaker) float64 { return float64(b.Fleet.Openings) }),
	one(FleetLate, func(b *Breaker) float64 { return float64(b.Fleet.Totals.Late) }),
	one(FleetConflict, func(b *Breaker) float64 { return number(b.Fleet.PolicyConflict) }),
}

// commanded is what operators left standing, and their commands that this replica heard of. The commands are a family an
// action, since a registry sorts by the action first and by the breaker then.
var commanded = func() []Family[Breaker] {
	out := []Family[Breaker]{
		many(Mode, modes, func(b *Breaker, m store.Mode) float64 { return number(b.Mode == m) }),
		many(CommandSince, standing, (*Breaker).since),
		many(CommandRemaining, standing, (*Breaker).remaining),
	}
	for _, a := range actions {
		out = append(out, many(Commands, []store.Action{a}, func(b *Breaker, a store.Action) float64 { return float64(b.past.heard[a]) }))
	}
	return out
}()

// inForce is the policy that rules.
var inForce = []Family[Breaker]{
	one(PolicyFailures, func(b *Breaker) float64 { return b.Fleet.Policy.FailureRate }),
	one(PolicySlow, func(b *Breaker) float64 { return b.Fleet.Policy.SlowCallRate }),
	one(PolicyStreak, func(b *Breaker) float64 { return float64(b.Fleet.Policy.ConsecutiveFailures) }),
	one(PolicyMinCalls, func(b *Breaker) float64 { return float64(b.Fleet.Policy.MinCalls) }),
	one(PolicyOpenFor, func(b *Breaker) float64 { return b.Fleet.Policy.OpenFor.Seconds() }),
	one(PolicyProbes, func(b *Breaker) float64 { return float64(b.Fleet.Policy.Probes) }),
	one(PolicyObserve, func(b *Breaker) float64 { return number(b.Fleet.Policy.Observe) }),
}

func knownWays() (out []Column[Breaker]) {
	for i, w := range ways {
		out = append(out, Column[Breaker]{
			Values: []string{w.to.String(), string(w.reason)},
			Read:   func(b *Breaker) float64 { return float64(b.past.made[i]) },
		})
	}
	return out
}

func otherWays() (out []Column[Breaker]) {
	for _, to := range states {
		out = append(out, Column[Breaker]{
			Values: []string{to.String(), other},
			Read:   func(b *Breaker) float64 { return float64(b.past.others[to]) },
			Rare:   true,
		})
	}
	return out
}

func (b *Breaker) calls(o store.Outcome) float64 {
	switch t := &b.Totals; o {
	case store.Failure:
		return float64(t.Failures)
	case store.Ignored:
		return float64(t.Ignored)
	default:
		return float64(t.Calls - min(t.Failures, t.Calls))
	}
}

// note is what is said of a command that stands; nil if none does.
func (b *Breaker) note(command string) *store.Note {
	switch {
	case command == "mode" && b.Mode != store.Auto:
		return &b.Fleet.ModeNote
	case command == "policy" && b.Fleet.Retuned:
		return &b.Fleet.PolicyNote
	default:
		return nil
	}
}

func (b *Breaker) since(command string) float64 {
	if n := b.note(command); n != nil {
		return timestamp(n.At)
	}
	return 0
}

func (b *Breaker) remaining(command string) float64 {
	switch n := b.note(command); {
	case n == nil:
		return 0
	case n.Timed:
		return max(n.EndsIn-b.FleetAge, 0).Seconds()
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
