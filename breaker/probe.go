package breaker

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/commontrip/commontrip/store"
)

// probe is a call whose outcome decides. It is settled once: by its permit, or as a failure when its lease is about to end.
//
// A permit keeps it in the place of its context. The call itself never sees it: what it runs under is the probe's context, so
// that no other call can be taken for the probe.
type probe struct {
	probeContext
	from    *probes
	epoch   *epoch
	fleet   *lease // the store's; nil: it needs none
	local   *lease // the local breaker's; nil: it needs none
	timer   *time.Timer
	settled atomic.Bool
}

// probeOf is the key by which a context knows the probe of a breaker that it belongs to.
type probeOf struct{ c *coordinator }

// partOfProbe reports whether a call under ctx belongs to a probe of the same breaker that is under way. It needs no lease of
// its own: the probe's outcome says how it went.
func partOfProbe(ctx context.Context, c *coordinator) bool {
	around, ok := ctx.Value(probeOf{c}).(*probe)
	return ok && !around.settled.Load()
}

// part is the context of a call that is a part of a probe.
type part struct{ context.Context }

// startProbe makes a probe of a call under these leases.
func (p *probes) startProbe(ctx context.Context, dryRun bool, fleet, local *lease) *probe {
	ends := 24 * time.Hour
	for _, l := range []*lease{fleet, local} {
		if l != nil {
			ends = min(ends, l.ends-uptime())
		}
	}
	call := &probe{from: p, epoch: p.c.admission.Load().epoch, fleet: fleet, local: local}
	call.caller, call.call = ctx, call
	call.timer = time.AfterFunc(max(ends, 0), func() { call.expire(dryRun) })
	return call
}

// expire settles a probe whose lease is about to end as a failure, and ends its context. A dry run ends no context.
func (call *probe) expire(dryRun bool) {
	if !call.settled.CompareAndSwap(false, true) {
		return
	}
	if !dryRun && call.caller.Err() == nil {
		_ = call.end(context.DeadlineExceeded)
	}
	call.release()
	call.settle(ending{outcome: Failure, label: call.from.c.config.labelOf(context.DeadlineExceeded)})
}

// conclude settles the probe as its call ended, unless its lease ended first.
func (call *probe) conclude(how ending) {
	if call.settled.CompareAndSwap(false, true) {
		call.timer.Stop()
		// mutant: settled = _ = call.end(context.Canceled)
		call.release()
		call.settle(how)
	}
}

// settle tells those that leased the probe how it went. One that only the local breaker leased is an ordinary call to the
// fleet.
func (call *probe) settle(how ending) {
	p := call.from
	defer p.c.config.probed(call.caller, Probe{Name: p.c.name, Outcome: how.outcome, Slow: how.slow, Label: how.label})
	if call.local != nil {
		p.c.settleLocal(call.local, how)
	}
	switch {
	case call.fleet == nil:
		p.c.record(call.epoch, how, false)
		return
	case p.c.core.remote:
		p.settleSoon(call.fleet, how)
	default:
		p.settleFleet(call.fleet, how)
	}
	p.c.countProbe(how)
}

// giveBack frees a lease's place: no call was made under it.
func (p *probes) giveBack(l *lease) { p.settleSoon(l, ending{outcome: Ignored}) }

// settleSoon is settleFleet for a caller that does not wait.
func (p *probes) settleSoon(l *lease, how ending) {
	end := p.c.core.settling.start()
	go func() {
		defer end()
		p.settleFleet(l, how)
	}()
}

// settleFleet tells the store how a probe went, again and again until it answers or the lease has ended. It outlives the
// breaker's Manager by StaleAfter, so that other replicas need not wait for the end of the lease.
func (p *probes) settleFleet(l *lease, how ending) {
	core := p.c.core
	settlement := store.Settlement{
		Lease: l.Lease, Replica: core.replica, Outcome: how.outcome, Slow: how.slow, Label: how.label,
	}
	end := l.ends + l.For/10
	var detachedEnd time.Duration
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, core.timing.exchange()) {
		err := p.sendSettlement(settlement)
		if err == nil || !core.remote || errors.Is(err, store.ErrInvalid) {
			return
		}
		if p.c.detached.Load() && detachedEnd == 0 {
			detachedEnd = uptime() + core.timing.StaleAfter
			end = min(end, detachedEnd)
		}
		pause := time.Millisecond + rand.N(wait)
		if uptime()+pause >= end {
			return
		}
		time.Sleep(pause)
	}
}

func (p *probes) sendSettlement(settlement store.Settlement) error {
	ctx, cancel := context.WithTimeout(context.Background(), p.c.core.timing.exchange())
	defer cancel()
	r := p.c.newReply()
	result, err := p.c.core.store.Settle(ctx, settlement)
	r.news, r.err = news{transition: result.Made, after: &result.Snapshot}, err
	if err = p.c.take(&r); err == nil {
		p.endPause() // a place may be free
	}
	p.c.requestGap()
	return err
}
