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

// lease is a store's or a local breaker's, with the uptime at which it ends for this replica.
type lease struct {
	store.Lease
	ends time.Duration
}

// usable is how much of a lease its replica uses, so that its settlement comes in time.
func usable(d time.Duration) time.Duration { return d / 10 * 9 }

// probe is a call whose outcome decides. It is settled once: by its permit, or as a failure when its lease is about to end.
//
// It is the call's context, too: one that ends with the caller's or with the lease. It has no deadline, since a probe that is
// settled in time goes on: a response's body may be read for as long as the caller likes. It stays registered with the
// caller's context until that ends.
type probe struct {
	context.Context
	cancel  context.CancelCauseFunc
	caller  context.Context
	epoch   *epoch
	fleet   *lease // the store's; nil: it needs none
	local   *lease // the local breaker's; nil: it needs none
	timer   *time.Timer
	settled atomic.Bool
}

// errLeaseEnded is the cause of a probe's context that ended with its lease.
var errLeaseEnded = errors.New("probe took longer than its lease")

// Err tells a lease's end as what it is to the call: a deadline.
func (p *probe) Err() error {
	if errors.Is(context.Cause(p.Context), errLeaseEnded) {
		return context.DeadlineExceeded
	}
	return p.Context.Err()
}

// startProbe makes a probe of a call under these leases.
func (b *Breaker) startProbe(ctx context.Context, dryRun bool, fleet, local *lease) *probe {
	ends := 24 * time.Hour
	for _, l := range []*lease{fleet, local} {
		if l != nil {
			ends = min(ends, l.ends-uptime())
		}
	}
	p := &probe{caller: ctx, epoch: b.admission.Load().epoch, fleet: fleet, local: local}
	p.Context, p.cancel = context.WithCancelCause(ctx)
	p.timer = time.AfterFunc(max(ends, 0), func() { p.expire(dryRun) })
	return p
}

// expire settles a probe whose lease is about to end as a failure, and ends its context. A dry run ends no context.
func (p *probe) expire(dryRun bool) {
	if !p.settled.CompareAndSwap(false, true) {
		return
	}
	if !dryRun {
		p.cancel(errLeaseEnded)
	}
	b := p.epoch.owner
	b.settle(p, ending{outcome: Failure, label: b.config.labelOf(context.DeadlineExceeded)})
}

// end settles the probe as its call ended, unless its lease ended first.
func (p *probe) end(how ending) {
	if p.settled.CompareAndSwap(false, true) {
		p.timer.Stop()
		p.epoch.owner.settle(p, how)
	}
}

// settle tells those who leased a probe how it went. One that only the local breaker leased is an ordinary call to the fleet.
func (b *Breaker) settle(p *probe, how ending) {
	if p.local != nil {
		b.settleLocal(p.local, how)
	}
	switch {
	case p.fleet == nil:
		b.record(p.epoch, how, false)
		return
	case b.core.remote:
		b.settleSoon(p.fleet, how)
	default:
		b.settleFleet(p.fleet, how)
	}
	b.mu.Lock()
	b.outbox.count(how.outcome, how.slow, 1)
	b.mu.Unlock()
}

// settleLocal tells the local breaker how its probe went.
func (b *Breaker) settleLocal(l *lease, how ending) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := uptime()
	live, _ := b.live(at)
	s := b.localScene(at, live)
	if move := b.local.settle(&s, l, how); move.moved {
		b.update(change{local: move})
	}
}

// giveBack frees a lease's place: no call was made under it.
func (b *Breaker) giveBack(l *lease) { b.settleSoon(l, ending{outcome: Ignored}) }

// settleSoon is settleFleet for a caller that does not wait.
func (b *Breaker) settleSoon(l *lease, how ending) {
	end := b.core.settling.start()
	go func() {
		defer end()
		b.settleFleet(l, how)
	}()
}

// settleFleet tells the store how a probe went, again and again until it answers or the lease has ended.
func (b *Breaker) settleFleet(l *lease, how ending) {
	settlement := store.Settlement{
		Lease: l.Lease, Replica: b.core.replica, Outcome: how.outcome, Slow: how.slow, Label: how.label,
	}
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, b.core.timing.exchange()) {
		err := b.sendSettlement(settlement)
		if err == nil || !b.core.remote || errors.Is(err, store.ErrInvalid) || b.detached.Load() {
			return
		}
		pause := time.Millisecond + rand.N(wait)
		if uptime()+pause >= l.ends+l.For/10 {
			return
		}
		select {
		case <-time.After(pause):
		case <-b.core.ctx.Done():
			return
		}
	}
}

func (b *Breaker) sendSettlement(settlement store.Settlement) error {
	ctx, cancel := context.WithTimeout(b.core.ctx, b.core.timing.exchange())
	defer cancel()
	sent, request := now(), b.nextRequest()
	result, err := b.core.store.Settle(ctx, settlement)
	b.mu.Lock()
	err = b.take(&reply{request: request, sent: sent, news: news{transition: result.Made, after: &result.Snapshot}, err: err})
	if err == nil {
		b.probes.endPause() // a place may be free
	}
	b.mu.Unlock()
	b.lane().exchanged(sent, err)
	b.requestGap()
	return err
}

// tracker counts what is on its way. It is safe for concurrent use.
type tracker struct {
	mu   sync.Mutex
	n    int
	idle chan struct{} // closed once nothing is; nil: nobody waits for that
}

// start notes that something has started, and gives the function that notes its end.
func (t *tracker) start() (end func()) {
	t.mu.Lock()
	t.n++
	t.mu.Unlock()
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.n--; t.n == 0 && t.idle != nil {
			close(t.idle)
			t.idle = nil
		}
	}
}

// wait waits until nothing is on its way.
func (t *tracker) wait(ctx context.Context) error {
	t.mu.Lock()
	if t.n == 0 {
		t.mu.Unlock()
		return nil
	}
	if t.idle == nil {
		t.idle = make(chan struct{})
	}
	idle := t.idle
	t.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
