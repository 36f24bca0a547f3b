package breaker

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/commontrip/commontrip/internal/guard"
	"github.com/commontrip/commontrip/store"
)

// acquire gets the leases that a's decision asks for, and gives what the call's permit keeps as its context: a *probe, or in a
// dry run without a lease ctx itself. again: what holds has changed meanwhile, and the call is to look again.
func (p *probes) acquire(ctx context.Context, a *admission) (under context.Context, again bool, err error) {
	var local, fleet *lease
	var refusal *OpenError
	if a.localLease {
		if local, refusal = p.c.claimLocal(); local == nil {
			return p.withoutLease(ctx, a, refusal)
		}
		if a = p.c.admission.Load(); !a.localLease { // the fleet has moved meanwhile
			p.c.settleLocal(local, ending{outcome: Ignored})
			return nil, true, nil
		}
	}
	if a.fleetLease {
		if fleet, refusal, err = p.claimFleet(ctx, a); fleet == nil {
			if local != nil {
				p.c.settleLocal(local, ending{outcome: Ignored})
			}
			if err != nil {
				return nil, false, err
			}
			return p.withoutLease(ctx, a, refusal)
		}
	}
	return p.startProbe(ctx, a.dryRun, fleet, local), false, nil
}

// withoutLease is for a call that got no lease. If nothing refuses it, it is to look again.
func (p *probes) withoutLease(ctx context.Context, a *admission, refusal *OpenError) (under context.Context, again bool, err error) {
	switch {
	case refusal == nil:
		return nil, true, nil
	case a.dryRun:
		return ctx, false, nil
	default:
		p.c.refused.of(refusal.Refusal).add()
		return nil, false, p.c.config.refused(ctx, refusal)
	}
}

// claimFleet leases a probe from the store. Neither a lease nor a refusal nor an error: look again.
func (p *probes) claimFleet(ctx context.Context, a *admission) (*lease, *OpenError, error) {
	at := uptime()
	if l := p.unpark(at); l != nil {
		return l, nil, nil
	}
	if e := p.paused(at); e != nil {
		return nil, e, nil
	}
	if p.c.core.remote {
		return p.claimRemotely(ctx, at)
	}
	p.claiming.Lock()
	defer p.claiming.Unlock()
	if e := p.paused(uptime()); e != nil {
		return nil, e, nil
	}
	_ = p.c.flushLocal() // what waits happened before the claim, which may move the generation
	if !p.c.admission.Load().asksLike(a) {
		return nil, nil, nil
	}
	l := p.claim(context.Background())
	return l, p.paused(uptime()), nil
}

// claimRemotely sends a claim, unless one is in flight, and waits a little for its answer. A lease that comes later is parked
// for the next call.
func (p *probes) claimRemotely(ctx context.Context, at time.Duration) (*lease, *OpenError, error) {
	t := p.c.core.timing
	if !p.start(at, 2*t.exchange()) {
		return nil, &OpenError{Name: p.c.name, Refusal: RefusedProbing, until: at + t.ClaimTimeout}, nil
	}
	pending := &pendingClaim{answered: make(chan struct{})}
	go func() {
		exchange, cancel := context.WithTimeout(p.c.core.ctx, t.exchange())
		defer cancel()
		l := p.claim(exchange)
		p.end()
		if !pending.deliver(l) {
			// mutant: parked
			p.park(l)
		}
	}()
	timer := time.NewTimer(t.claimWait())
	defer timer.Stop()
	select {
	case <-pending.answered:
	case <-timer.C:
	case <-ctx.Done():
	}
	l := pending.abandon()
	switch {
	case ctx.Err() != nil:
		p.park(l)
		return nil, nil, guard.Ended(ctx)
	case l != nil:
		return l, nil, nil
	}
	select {
	case <-pending.answered:
		return nil, p.paused(uptime()), nil
	default:
		return nil, &OpenError{Name: p.c.name, Refusal: RefusedProbing, until: uptime() + t.ClaimTimeout}, nil
	}
}

// claim makes one claim and takes over what it brings.
func (p *probes) claim(ctx context.Context) *lease {
	c, r := p.c.newClaim(p.claimID())
	grant, err := p.c.core.store.Claim(ctx, c)
	r.news, r.err = news{transition: grant.Made, after: &grant.Snapshot}, err
	l := p.granted(r.sent, &grant, p.c.take(&r))
	p.c.requestGap()
	return l
}

// granted is what the answer to a claim brings: a lease, or nil if none was granted or it is of no use any more. It says when
// to ask next.
func (p *probes) granted(sent instant, grant *store.Grant, err error) *lease {
	if err == nil || errors.Is(err, store.ErrInvalid) {
		p.heard()
	}
	a := p.c.admission.Load()
	switch {
	case err != nil:
		p.pauseFor(50*time.Millisecond + rand.N(100*time.Millisecond))
		return nil
	case len(grant.Leases) > 0:
		p.endPause()
	case a.needsLease():
		patience := p.c.member.patience()
		p.pauseFor(min(max(grant.RetryIn, leastPause, patience+rand.N(patience/2+1)), 24*time.Hour))
		return nil
	default:
		return nil
	}
	l := &lease{grant.Leases[0], sent.up + usable(min(max(grant.Leases[0].For, 0), 24*time.Hour))}
	tooLate := l.ends <= uptime()
	if l.Generation == a.epoch.generation && !tooLate {
		return l
	}
	p.giveBack(l)
	if tooLate {
		p.pauseFor(leastPause)
	}
	return nil
}

// park keeps a lease that no call waits for any more for the next call. It keeps it as long as that call still has time for a
// probe: calls may be rare, and if the store is far away, each lease comes too late for the call that claimed it.
func (p *probes) park(l *lease) {
	if l == nil {
		return
	}
	if before := p.swapParked(l); before != nil {
		p.giveBack(before)
	}
	time.AfterFunc(l.For/2, func() {
		if p.dropParked(l) {
			p.giveBack(l)
		}
	})
}

// unpark gives the parked lease, if it has not ended at that time. One of an earlier generation is given back.
func (p *probes) unpark(at time.Duration) *lease {
	l := p.swapParked(nil)
	if l == nil || l.ends <= at {
		return nil
	}
	// mutant: parked-generation
	if l.Generation != p.c.admission.Load().epoch.generation {
		p.giveBack(l)
		return nil
	}
	return l
}
