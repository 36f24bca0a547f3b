package breaker

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/commontrip/commontrip/store"
)

// probes is where the calls of one breaker get their leases from the store: when to ask, what was asked, and a lease that
// waits for a call. Of a remote store one claim is in flight at a time, and other calls are refused meanwhile. Of a local one
// claims take turns. It is safe for concurrent use; no other lock is taken while its own is held.
type probes struct {
	claiming  sync.Mutex                // held while a local store is asked
	busyUntil atomic.Int64              // uptime until which a claim counts as in flight; 0: none is
	pause     atomic.Pointer[OpenError] // what calls get until it is time to ask again; nil: it is time

	mu     sync.Mutex // guards what follows
	id     string     // of a claim that may have been granted unheard: the next one is the same; empty: there is none
	parked *lease     // granted to a call that did not wait for it; nil: none
}

// leastPause is how long nobody asks after an answer that gave nothing, whatever the store says: no call claims twice.
const leastPause = 10 * time.Millisecond

// paused is what calls get that come before it is time to ask again; nil: it is time.
func (p *probes) paused(at time.Duration) *OpenError {
	if e := p.pause.Load(); e != nil && e.until > at {
		return e
	}
	return nil
}

func (p *probes) pauseFor(name string, d time.Duration) {
	p.pause.Store(&OpenError{Name: name, Refusal: RefusedProbing, until: uptime() + d})
}

// endPause lets the next call ask at once: a place may be free.
func (p *probes) endPause() { p.pause.Store(nil) }

// start marks that a claim is in flight, for at most d. It reports whether none was.
func (p *probes) start(at, d time.Duration) bool {
	until := p.busyUntil.Load()
	return until <= int64(at) && p.busyUntil.CompareAndSwap(until, int64(at+d))
}

// end marks that no claim is in flight.
func (p *probes) end() { p.busyUntil.Store(0) }

// claimID is the id of the claim to send: that of the last one, if that may have been granted unheard.
func (p *probes) claimID(c *core) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.id == "" {
		p.id = c.claimID()
	}
	return p.id
}

// heard notes that the claim was answered: the next one is another.
func (p *probes) heard() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.id = ""
}

// park keeps a lease for the next call. It gives the one that was parked before; nil: there was none.
func (p *probes) park(l *lease) (before *lease) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, p.parked = p.parked, l
	return before
}

// unpark gives the parked lease; nil: there is none.
func (p *probes) unpark() *lease { return p.park(nil) }

// pendingClaim is a claim that is in flight while a call waits for it, or has stopped to wait.
type pendingClaim struct {
	answered chan struct{} // closed once the claim has ended

	mu        sync.Mutex
	lease     *lease // nil: not answered yet, or nothing was granted
	abandoned bool   // the call does not wait any more
}

// deliver ends the claim. It reports whether a call still waited for it.
func (c *pendingClaim) deliver(l *lease) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lease = l
	close(c.answered)
	return !c.abandoned
}

// abandon ends the waiting. It gives the lease, if the claim was answered with one.
func (c *pendingClaim) abandon() *lease {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.abandoned = true
	return c.lease
}

// acquireProbe gets the leases that a's decision asks for, and gives the context that the call runs under: a *probe, or in a
// dry run without a lease ctx itself. again: what holds has changed meanwhile, and the call is to look again.
func (b *Breaker) acquireProbe(ctx context.Context, a *admission) (under context.Context, again bool, err error) {
	var local, fleet *lease
	var refusal *OpenError
	if a.localLease {
		if local, refusal = b.claimLocal(); local == nil {
			return b.withoutLease(ctx, a, refusal)
		}
		a = b.admission.Load() // the claim may have moved the local breaker
	}
	if a.fleetLease {
		if fleet, refusal, err = b.claimFleet(ctx, a); fleet == nil {
			if local != nil {
				b.settleLocal(local, ending{outcome: Ignored})
			}
			if err != nil {
				return nil, false, err
			}
			return b.withoutLease(ctx, a, refusal)
		}
	}
	return b.startProbe(ctx, a.dryRun, fleet, local), false, nil
}

// withoutLease is for a call that got no lease. If nothing refuses it, it is to look again.
func (b *Breaker) withoutLease(ctx context.Context, a *admission, refusal *OpenError) (under context.Context, again bool, err error) {
	switch {
	case refusal == nil:
		return nil, true, nil
	case a.dryRun:
		return ctx, false, nil
	default:
		b.refused.of(refusal.Refusal).add()
		return nil, false, refusal
	}
}

// claimLocal leases a probe from the local breaker. Neither a lease nor a refusal: look again.
func (b *Breaker) claimLocal() (l *lease, refusal *OpenError) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := uptime()
	live, _ := b.live(at)
	s := b.localScene(at, live)
	l, refusal, move := b.local.claim(&s, b.core.claimID())
	if move.moved {
		b.update(change{local: move})
	}
	return l, refusal
}

// claimFleet leases a probe from the store. Neither a lease nor a refusal nor an error: look again.
func (b *Breaker) claimFleet(ctx context.Context, a *admission) (*lease, *OpenError, error) {
	p, at := a.probes, uptime()
	if l := b.unpark(p, at); l != nil {
		return l, nil, nil
	}
	if e := p.paused(at); e != nil {
		return nil, e, nil
	}
	if b.core.remote {
		return b.claimRemotely(ctx, p, at)
	}
	p.claiming.Lock()
	defer p.claiming.Unlock()
	if e := p.paused(uptime()); e != nil {
		return nil, e, nil
	}
	if b.admission.Load() != a {
		return nil, nil, nil
	}
	l := b.claim(context.Background(), p)
	return l, p.paused(uptime()), nil
}

// claimRemotely sends a claim, unless one is in flight, and waits a little for its answer. A lease that comes later is parked
// for the next call.
func (b *Breaker) claimRemotely(ctx context.Context, p *probes, at time.Duration) (*lease, *OpenError, error) {
	t := b.core.timing
	if !p.start(at, 2*t.exchange()) {
		return nil, &OpenError{Name: b.name, Refusal: RefusedProbing, until: at + t.ClaimTimeout}, nil
	}
	pending := &pendingClaim{answered: make(chan struct{})}
	go func() {
		exchange, cancel := context.WithTimeout(b.core.ctx, t.exchange())
		defer cancel()
		l := b.claim(exchange, p)
		p.end()
		if !pending.deliver(l) {
			b.park(p, l)
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
		b.park(p, l)
		return nil, nil, ctx.Err()
	case l != nil:
		return l, nil, nil
	}
	select {
	case <-pending.answered:
		return nil, p.paused(uptime()), nil
	default:
		return nil, &OpenError{Name: b.name, Refusal: RefusedProbing, until: uptime() + t.ClaimTimeout}, nil
	}
}

// claim makes one claim and takes over what it brings.
func (b *Breaker) claim(ctx context.Context, p *probes) *lease {
	id := p.claimID(b.core)
	b.mu.Lock()
	sent := now()
	c := store.Claim{
		Name: b.name, ID: id, Policy: b.config.policy, Replica: b.core.replica, Want: 1, Known: b.fleet.known(sent),
	}
	request := b.fleet.nextRequest()
	b.mu.Unlock()
	grant, err := b.core.store.Claim(ctx, c)
	l, err := b.granted(p, &reply{request: request, sent: sent, news: news{transition: grant.Made, after: &grant.Snapshot}, err: err}, &grant)
	b.lane().exchanged(sent, err)
	b.requestGap()
	return l
}

// granted takes over the answer to a claim. The lease is nil if none was granted, or one that is of no use any more.
func (b *Breaker) granted(p *probes, r *reply, grant *store.Grant) (*lease, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.take(r); err != nil {
		if errors.Is(err, store.ErrInvalid) {
			p.heard()
		}
		p.pauseFor(b.name, 50*time.Millisecond+rand.N(100*time.Millisecond))
		return nil, err
	}
	p.heard()
	if len(grant.Leases) == 0 {
		if b.admission.Load().needsLease() {
			p.pauseFor(b.name, min(max(grant.RetryIn, leastPause), 24*time.Hour))
		}
		return nil, nil
	}
	p.endPause()
	l := &lease{grant.Leases[0], r.sent.up + usable(min(max(grant.Leases[0].For, 0), 24*time.Hour))}
	tooLate := l.ends <= uptime()
	if l.Generation == b.fleet.generation && !tooLate {
		return l, nil
	}
	b.giveBack(l)
	if tooLate {
		p.pauseFor(b.name, leastPause)
	}
	return nil, nil
}

// park keeps a lease that no call waits for any more, for a little while, for the next call.
func (b *Breaker) park(p *probes, l *lease) {
	if l == nil {
		return
	}
	if before := p.park(l); before != nil {
		b.giveBack(before)
	}
	time.AfterFunc(min(b.core.timing.exchange(), l.For/4), func() {
		if l := b.unpark(p, 0); l != nil {
			b.giveBack(l)
		}
	})
}

// unpark gives the parked lease, if it has not ended at that time. One of an earlier generation is given back.
func (b *Breaker) unpark(p *probes, at time.Duration) *lease {
	l := p.unpark()
	if l == nil || l.ends <= at {
		return nil
	}
	b.mu.Lock()
	current := l.Generation == b.fleet.generation
	b.mu.Unlock()
	if !current {
		b.giveBack(l)
		return nil
	}
	return l
}
