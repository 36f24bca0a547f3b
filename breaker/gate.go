package breaker

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/commontrip/commontrip/store"
)

// gate is where calls ask to be a probe: of the fleet's half-open state, of the own verdict's, or of both.
type gate struct {
	era        *era
	fleet, own bool // whose leases it takes
	observe    bool // a dry run: who gets no lease is admitted all the same
	*claims
}

// claims is a breaker's asking for leases. Of a remote store one claim is in flight at a time, and the others are refused
// meanwhile; of a local one they take turns.
type claims struct {
	turn sync.Mutex                // of a local store's
	busy atomic.Int64              // uptime until which one is in flight; 0 = none is
	rest atomic.Pointer[OpenError] // until when nobody asks

	id    string // of one that may have been answered unheard: the next is the same. Guarded by b.mu
	spare *lease // granted to a call that did not wait. Guarded by b.mu
}

// lease is a store's, with the uptime at which it ends for its replica.
type lease struct {
	store.Lease
	ends time.Duration
}

// leastRest is how long nobody asks after an answer that gave nothing, whatever the store says: no call claims twice.
const leastRest = 10 * time.Millisecond

// usable is how much of a lease its replica uses, so that its settlement comes in time.
func usable(d time.Duration) time.Duration { return d / 10 * 9 }

// claimID makes a claim's id, unique in the fleet.
func (c *core) claimID() string {
	return strconv.FormatUint(c.salt, 36) + "-" + strconv.FormatUint(c.claims.Add(1), 36)
}

// knock asks for the leases that s's gate takes, and makes p a probe. again: the stance has changed meanwhile.
func (b *Breaker) knock(ctx context.Context, s *stance, p *Permit) (again bool, err error) {
	g := s.gate
	var own *lease
	if g.own {
		var refusal *OpenError
		b.mu.Lock()
		own, refusal = b.claimOwn(uptime())
		if own != nil && b.gate != nil {
			g = b.gate // the claim itself may have moved the own verdict
		}
		b.mu.Unlock()
		if own == nil {
			return b.turnAway(ctx, s, refusal, p)
		}
	}
	var fleet *lease
	if g.fleet {
		var refusal *OpenError
		if fleet, refusal, err = b.claim(ctx, g); fleet == nil {
			if own != nil {
				b.mu.Lock()
				b.settleOwn(own, Ignored, false, "")
				b.mu.Unlock()
			}
			if err != nil {
				return false, err
			}
			return b.turnAway(ctx, s, refusal, p)
		}
	}
	b.grant(ctx, g, fleet, own, p)
	return false, nil
}

// turnAway refuses a call that got no lease; without a refusal it is to look again.
func (b *Breaker) turnAway(ctx context.Context, s *stance, refusal *OpenError, p *Permit) (again bool, err error) {
	switch {
	case refusal == nil:
		return true, nil
	case s.gate.observe:
		b.admit(ctx, s, p)
		return false, nil
	default:
		b.counterOf(refusal.Refusal).add()
		return false, refusal
	}
}

// resting is the refusal of those who come before the store wants to be asked again, if it is not time yet.
func (g *claims) resting(at time.Duration) *OpenError {
	if e := g.rest.Load(); e != nil && e.until > at {
		return e
	}
	return nil
}

func (b *Breaker) setRest(g *gate, d time.Duration) {
	g.rest.Store(&OpenError{Name: b.name, Refusal: RefusedProbing, until: uptime() + d})
}

// claim leases a probe from the store. No lease, no refusal, no error: look again.
func (b *Breaker) claim(ctx context.Context, g *gate) (*lease, *OpenError, error) {
	at := uptime()
	if l := b.takeSpare(g, at); l != nil {
		return l, nil, nil
	}
	if e := g.resting(at); e != nil {
		return nil, e, nil
	}
	if !b.core.remote {
		g.turn.Lock()
		defer g.turn.Unlock()
		if e := g.resting(uptime()); e != nil {
			return nil, e, nil
		}
		if b.stance.Load().gate != g {
			return nil, nil, nil
		}
		l := b.send(context.Background(), g)
		return l, g.resting(uptime()), nil
	}
	until := g.busy.Load()
	if until > int64(at) || !g.busy.CompareAndSwap(until, int64(at+2*b.core.timing.exchange())) {
		return nil, &OpenError{Name: b.name, Refusal: RefusedProbing, until: at + b.core.timing.ClaimTimeout}, nil
	}
	return b.wait(ctx, g)
}

// errand is a claim that is sent while a call waits for it, or does no longer.
type errand struct {
	mu       sync.Mutex
	lease    *lease
	left     bool // the call did not wait
	answered chan struct{}
}

// wait sends a claim and waits for its answer, but not long. A lease that comes later is the next call's, or given back.
func (b *Breaker) wait(ctx context.Context, g *gate) (*lease, *OpenError, error) {
	e := &errand{answered: make(chan struct{})}
	go b.fetch(g, e)
	timer := time.NewTimer(b.core.timing.claimWait())
	defer timer.Stop()
	select {
	case <-e.answered:
	case <-timer.C:
	case <-ctx.Done():
	}
	e.mu.Lock()
	l := e.lease
	e.left = true
	e.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		b.keepSpare(g, l)
		return nil, nil, ctx.Err()
	case l != nil:
		return l, nil, nil
	}
	select {
	case <-e.answered:
		return nil, g.resting(uptime()), nil
	default:
		return nil, &OpenError{Name: b.name, Refusal: RefusedProbing, until: uptime() + b.core.timing.ClaimTimeout}, nil
	}
}

// fetch is the sending of an errand.
func (b *Breaker) fetch(g *gate, e *errand) {
	ctx, cancel := context.WithTimeout(b.core.ctx, b.core.timing.exchange())
	defer cancel()
	l := b.send(ctx, g)
	g.busy.Store(0)
	e.mu.Lock()
	left := e.left
	e.lease = l
	e.mu.Unlock()
	close(e.answered)
	if left {
		b.keepSpare(g, l)
	}
}

// send makes one claim and takes over what it brings.
func (b *Breaker) send(ctx context.Context, g *gate) *lease {
	b.mu.Lock()
	if g.id == "" {
		g.id = b.core.claimID()
	}
	at := now()
	c := store.Claim{
		Name: b.name, ID: g.id, Policy: b.config.policy, Replica: b.core.replica, Want: 1, Known: b.known(at),
	}
	request := b.request()
	b.mu.Unlock()
	grant, err := b.core.store.Claim(ctx, c)
	l, err := b.claimed(g, at, request, &grant, err)
	b.lane.exchanged(at, err)
	b.catchUpSoon()
	return l
}

// claimed takes over the answer to a claim.
func (b *Breaker) claimed(g *gate, sent instant, request uint64, grant *store.Grant, err error) (*lease, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil && !b.sound(&grant.Snapshot) {
		err = errUnsound
	}
	if err != nil {
		if errors.Is(err, store.ErrInvalid) {
			g.id = ""
		}
		b.setRest(g, 50*time.Millisecond+rand.N(100*time.Millisecond))
		b.fail(sent, err)
		return nil, err
	}
	b.succeedExchange()
	g.id = ""
	b.apply(&grant.Snapshot, request, now())
	b.hear(grant.Made, &grant.Snapshot)
	if len(grant.Leases) > 0 {
		g.rest.Store(nil)
		l := &lease{grant.Leases[0], sent.up + usable(min(max(grant.Leases[0].For, 0), 24*time.Hour))}
		tooLate := l.ends <= uptime()
		if l.Generation == b.generation && !tooLate {
			return l, nil
		}
		b.settleSoon(l, Ignored, false, "") // the fleet has moved on, or nothing is left of it
		if tooLate {
			b.setRest(g, leastRest)
		}
		return nil, nil
	}
	if b.stance.Load().gate != nil {
		b.setRest(g, min(max(grant.RetryIn, leastRest), 24*time.Hour))
	}
	return nil, nil
}

// keepSpare keeps a lease that nobody waits for any more for the next call, for a little while.
func (b *Breaker) keepSpare(g *gate, l *lease) {
	if l == nil {
		return
	}
	b.mu.Lock()
	before := g.spare
	g.spare = l
	b.mu.Unlock()
	if before != nil {
		b.settleSoon(before, Ignored, false, "")
	}
	time.AfterFunc(min(b.core.timing.exchange(), l.For/4), func() {
		if l := b.takeSpare(g, 0); l != nil {
			b.settleSoon(l, Ignored, false, "")
		}
	})
}

// takeSpare gives the spare lease, if it has not ended at that time. One of an earlier generation is given back.
func (b *Breaker) takeSpare(g *gate, at time.Duration) *lease {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := g.spare
	g.spare = nil
	if l == nil || l.ends <= at {
		return nil
	}
	if l.Generation != b.generation {
		b.settleSoon(l, Ignored, false, "")
		return nil
	}
	return l
}
