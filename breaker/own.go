package breaker

import (
	"math/rand/v2"
	"time"

	"github.com/commontrip/commontrip/internal/machine"
	"github.com/commontrip/commontrip/store"
)

// own is the replica's own verdict: the same machine as the store's, in process, fed with this replica's outcomes alone.
// Its generations are its own line and never leave the replica. It counts while the store is away, and, where the policy
// wants several reporters, at all times; where it does not count it is not let open. Once open it stands until its own
// probes close it or the fleet's generation moves, so that a store that comes back is no herd.
type own struct {
	machine    machine.Machine
	generation uint64
	state      State
	tripped    bool // open or half-open, and it counts
	retryAt    time.Duration
	closedAt   time.Duration // when its probes closed it; 0 = they did not
	reason     Reason
	proven     uint64  // the fleet's generation whose end this verdict's probes have seen
	policy     *Policy // the fleet's, as last taken over
	seq        uint64
	rest       *OpenError // until when no probe is asked for
}

// millis is the own machine's time.
func millis(up time.Duration) int64 { return int64(up / time.Millisecond) }

// feed shows a run to the own verdict. b.mu is held.
func (b *Breaker) feed(e *era, r run) {
	at := uptime()
	if f := b.fleetView(at); f.mode != store.Auto {
		return // an operator's word stands: calls are not judged
	}
	b.tell(e.own, []store.Run{{Outcome: r.outcome, Slow: r.slow, Count: r.count, Label: r.label}}, at)
}

// tell hands runs to the own machine, with the policy of the fleet. b.mu is held.
func (b *Breaker) tell(generation uint64, runs []store.Run, at time.Duration) {
	if b.own == nil {
		b.own = &own{}
	}
	o := b.own
	o.seq++
	result := o.machine.Report(millis(at), store.Report{
		Name: b.name, Policy: alonePolicy(*b.policy), Replica: b.core.replica, Announce: o.policy != b.policy,
		Seq: o.seq, Generation: generation, MaxAge: time.Hour, Runs: runs,
	})
	o.policy = b.policy
	b.judged(&result, at)
}

// alonePolicy is p for one replica: there is nobody else to see what it sees.
func alonePolicy(p Policy) Policy {
	p.Reporters = 1
	return p
}

// judged takes over what the own machine says. b.mu is held.
func (b *Breaker) judged(r *store.Result, at time.Duration) {
	o := b.own
	before := o.state
	if o.generation == r.Snapshot.Generation {
		return
	}
	o.generation, o.state, o.reason = r.Snapshot.Generation, r.Snapshot.State, r.Snapshot.Reason
	switch {
	case o.state == Open:
		o.retryAt = at + r.Snapshot.RetryIn + rand.N(r.Snapshot.RetryIn/2+1)
		b.lane.hurry(b)
		if before == Closed && !b.ownCounts(at) {
			b.command(store.Command{Name: b.name, Action: store.Reset, By: b.core.replica}, at)
			return
		}
		if !o.tripped {
			o.tripped = true
			b.emitOwn(OwnTripped, r.Made)
		}
	case o.state == Closed && o.tripped:
		o.tripped, o.rest, o.proven = false, nil, b.generation
		if o.reason == store.ByProbeSuccesses {
			o.closedAt = at
		}
		b.emitOwn(OwnClosed, r.Made)
	}
	b.begin()
	b.restance()
}

// command is an operator's word to the own machine. b.mu is held.
func (b *Breaker) command(c store.Command, at time.Duration) {
	if result, err := b.own.machine.Command(millis(at), c); err == nil {
		b.judged(&result, at)
	}
}

// ownCounts reports whether an own verdict that opens now refuses calls. b.mu is held.
func (b *Breaker) ownCounts(at time.Duration) bool {
	switch {
	case b.policy.Observe:
		return false
	case b.fresh(at, &stance{}):
		return b.policy.Reporters > 1 && b.core.remote
	default:
		return b.storeDown() == OwnVerdict
	}
}

// resetOwn makes the own verdict begin anew, since the fleet's has moved. b.mu is held.
func (b *Breaker) resetOwn() {
	if b.own == nil {
		return
	}
	b.own.proven, b.own.closedAt = 0, 0
	b.command(store.Command{
		Name: b.name, Action: store.Reset, By: b.core.replica, Why: "the fleet's verdict has moved",
	}, uptime())
}

// inherit makes the own verdict take over an opening of the fleet's whose time ends, or has ended, while the store is
// away: with no store there are no leases, and to admit everybody would be a herd, so the replica probes on its own.
// b.mu is held.
func (b *Breaker) inherit(at time.Duration) {
	fleet := b.fleetView(at)
	switch {
	case fleet.state == Closed, fleet.waits, fleet.mode != store.Auto, b.policy.Observe, b.storeDown() != OwnVerdict:
		return
	case b.own != nil && (b.own.tripped || b.own.proven == b.generation), b.fresh(at, &stance{}):
		return
	}
	b.tell(0, nil, at)
	b.command(store.Command{
		Name: b.name, Action: store.Trip, For: time.Millisecond, By: b.core.replica, Why: "the store went away while the fleet's verdict was open",
	}, at)
	b.own.reason, b.own.retryAt = fleet.reason, at
}

// claimOwn leases a probe from the own verdict. Neither a lease nor an error: look again. b.mu is held.
func (b *Breaker) claimOwn(at time.Duration) (*lease, *OpenError) {
	o := b.own
	if o == nil || !o.tripped {
		return nil, nil
	}
	if o.rest != nil && o.rest.until > at {
		return nil, o.rest
	}
	ahead := millis(at) + 1 // an opening that was inherited is over at once
	grant, err := o.machine.Claim(ahead, store.Claim{
		Name: b.name, ID: b.core.claimID(), Policy: alonePolicy(*b.policy), Replica: b.core.replica, Want: 1,
	}, rand.Int64N(50))
	if err != nil {
		return nil, nil
	}
	b.judged(&store.Result{Snapshot: grant.Snapshot, Made: grant.Made}, at)
	if len(grant.Leases) == 0 {
		o.rest = &OpenError{Name: b.name, Refusal: RefusedProbing, Reason: o.reason, until: at + grant.RetryIn}
		return nil, o.rest
	}
	l := grant.Leases[0]
	return &lease{l, at + usable(l.For)}, nil
}

// settleOwn tells the own verdict how its probe went. b.mu is held.
func (b *Breaker) settleOwn(l *lease, o Outcome, slow bool, label string) {
	at := uptime()
	result := b.own.machine.Settle(millis(at), store.Settlement{
		Lease: l.Lease, Replica: b.core.replica, Outcome: o, Slow: slow, Label: label,
	})
	b.own.rest = nil
	b.judged(&result, at)
}

// emitOwn tells listeners what the own verdict did. b.mu is held.
func (b *Breaker) emitOwn(kind EventKind, made *store.Transition) {
	e := Event{Kind: kind, Name: b.name}
	if made != nil {
		e.Transition = *made
	}
	b.emit(e)
}
