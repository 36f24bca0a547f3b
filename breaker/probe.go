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

// probe is a call whose outcome decides. It is settled once: by its permit, or as a failure when its lease is about to
// end.
//
// It is the call's context, too: one that ends with the caller's or with the lease. It has no deadline, since a probe that
// is settled in time goes on: a response's body may be read for as long as the caller likes. It stays registered with the
// caller's context until that ends.
type probe struct {
	context.Context
	cancel     context.CancelCauseFunc
	caller     context.Context
	era        *era
	fleet, own *lease // either may be nil
	timer      *time.Timer
	settled    atomic.Bool
}

// errLeaseEnded is the cause of a probe's context that ended with its lease.
var errLeaseEnded = errors.New("probe took longer than its lease")

// Err tells a lease's end as what it is to the call: a deadline.
func (pr *probe) Err() error {
	if errors.Is(context.Cause(pr.Context), errLeaseEnded) {
		return context.DeadlineExceeded
	}
	return pr.Context.Err()
}

// grant makes p the permit of a probe under these leases.
func (b *Breaker) grant(ctx context.Context, g *gate, fleet, own *lease, p *Permit) {
	ends := 24 * time.Hour
	for _, l := range []*lease{fleet, own} {
		if l != nil {
			ends = min(ends, l.ends-uptime())
		}
	}
	s := b.stance.Load()
	pr := &probe{caller: ctx, era: s.era, fleet: fleet, own: own}
	pr.Context, pr.cancel = context.WithCancelCause(ctx)
	b.admit(pr, s, p)
	pr.timer = time.AfterFunc(max(ends, 0), func() { pr.expire(g.observe) })
}

// expire settles a probe whose lease is about to end, and ends its context, unless it is a dry run, which cuts nothing.
func (pr *probe) expire(observe bool) {
	if !pr.settled.CompareAndSwap(false, true) {
		return
	}
	if !observe {
		pr.cancel(errLeaseEnded)
	}
	pr.conclude(Failure, false, pr.era.b.config.labelOf(context.DeadlineExceeded))
}

// settle ends the probe with its outcome, unless its lease ended first.
func (pr *probe) settle(o Outcome, slow bool, label string) {
	if pr.settled.CompareAndSwap(false, true) {
		pr.timer.Stop()
		pr.conclude(o, slow, label)
	}
}

// conclude tells those who leased it. What only the own verdict leased is an ordinary call to the fleet.
func (pr *probe) conclude(o Outcome, slow bool, label string) {
	b := pr.era.b
	if pr.own != nil {
		b.mu.Lock()
		b.settleOwn(pr.own, o, slow, label)
		b.mu.Unlock()
	}
	switch {
	case pr.fleet == nil:
		b.record(pr.era, run{outcome: o, slow: slow, label: label, count: 1}, false)
		return
	case b.core.remote:
		b.settleSoon(pr.fleet, o, slow, label)
	default:
		b.settleFleet(pr.fleet, o, slow, label)
	}
	b.mu.Lock()
	b.books().count(o, slow, 1)
	b.mu.Unlock()
}

// settleSoon is settleFleet for who does not wait.
func (b *Breaker) settleSoon(l *lease, o Outcome, slow bool, label string) {
	end := b.core.settling.start()
	go func() {
		defer end()
		b.settleFleet(l, o, slow, label)
	}()
}

// settleFleet tells the store how a probe went, again and again until it answers or the lease has ended.
func (b *Breaker) settleFleet(l *lease, o Outcome, slow bool, label string) {
	settlement := store.Settlement{Lease: l.Lease, Replica: b.core.replica, Outcome: o, Slow: slow, Label: label}
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, b.core.timing.exchange()) {
		err := b.sendSettlement(settlement)
		if err == nil || !b.core.remote || errors.Is(err, store.ErrInvalid) || b.alone.Load() {
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
	b.mu.Lock()
	sent, request := now(), b.request()
	b.mu.Unlock()
	result, err := b.core.store.Settle(ctx, settlement)
	b.mu.Lock()
	if err == nil && !b.sound(&result.Snapshot) {
		err = errUnsound
	}
	if err != nil {
		b.fail(sent, err)
	} else {
		b.succeedExchange()
		b.gate.rest.Store(nil) // a place may be free
		b.apply(&result.Snapshot, request, now())
		b.hear(result.Made, &result.Snapshot)
	}
	b.mu.Unlock()
	b.lane.exchanged(sent, err)
	b.catchUpSoon()
	return err
}

// tracker knows what is on its way.
type tracker struct {
	mu   sync.Mutex
	n    int
	idle chan struct{} // closed once nothing is; nil while nobody waits
}

// start notes that something has started, and gives what notes its end.
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
