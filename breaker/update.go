package breaker

import (
	"time"

	"github.com/commontrip/commontrip/store"
)

// change is what a caller of update has changed, as the rooms told it.
type change struct {
	fleet    fleetMove
	local    localMove
	news     news
	newEpoch bool // the present epoch is to end, whether a generation has moved or not
}

// update carries out the consequences of a change, each once and in this order. b.mu is held.
//
//  1. Liveness: whether the store answers this breaker, and what listeners hear of that.
//  2. Local breaker: it follows the fleet's move, or takes over an opening that has ended while the store is away.
//  3. Epoch: if a generation has moved, the present epoch ends, and its successes are collected.
//  4. Admission: the decision is made again and published, and the timer set to its end.
//  5. Delivery: listeners hear what the store told.
//
// It ends since no step changes what an earlier one looked at. Step 3 shows plain successes to the local breaker, and a
// success that is neither failed nor slow never moves it.
func (b *Breaker) update(c change) {
	at := uptime()
	live, liveUntil := b.live(at)
	b.tellLiveness(live)

	b.followLocal(c.local)
	local := b.localScene(at, live)
	if c.fleet.generation {
		b.followLocal(b.local.reset(&local))
		if b.probes != nil {
			b.probes.endPause()
		}
	}
	fleet := b.fleet.at(at, b.core.spread())
	if b.takesOver(&fleet, live) {
		b.followLocal(b.localBreaker().takeOver(&local, fleet.reason))
	}

	if e := b.epoch; e == nil || c.newEpoch || e.generation != b.fleet.generation || e.local != b.local.number() {
		b.epoch = e.next(b, b.fleet.generation, b.local.number(), b.member != nil && !b.detached.Load())
		if e != nil {
			e.end()
			b.collect(e, now())
		}
	}

	s := b.scene(at, fleet, live, liveUntil)
	d := decide(&s)
	b.publish(d)
	b.arm(d.until, at)

	b.delivery.gap = b.delivery.gap || c.fleet.replaced && b.delivery.began
	b.delivery.observe(b.name, b.fleet.generation, c.news)
}

// live reports that the fleet's verdict rules: the store has answered, and lately. until is when that ends, as an uptime; 0:
// no end is known. b.mu is held.
func (b *Breaker) live(at time.Duration) (live bool, until time.Duration) {
	switch {
	case b.detached.Load() || !b.fleet.synced:
		return false, 0
	case !b.core.remote:
		return !b.liveness.failing, 0
	case !b.lane().healthy.Load():
		return false, 0
	default:
		return b.liveness.lasts(at, b.core.timing.StaleAfter)
	}
}

// tellLiveness tells listeners when the store has failed for this breaker alone for too long, and when it does so no more.
// b.mu is held.
func (b *Breaker) tellLiveness(live bool) {
	l := &b.liveness
	switch {
	case live && l.toldLost:
		l.toldLost = false
		b.delivery.deliver(b.name, Event{Kind: StoreBack})
	case !live && !l.toldLost && b.fleet.synced && l.failing && !b.detached.Load() && b.member != nil && b.lane().answers():
		l.toldLost = true
		b.delivery.deliver(b.name, Event{Kind: StoreLost, Err: b.lane().reason()})
	}
}

// followLocal tells others what the local breaker did: listeners, and the store at once if it has opened. b.mu is held.
func (b *Breaker) followLocal(m localMove) {
	if m.opened && !b.detached.Load() {
		b.member.syncNow()
	}
	if m.event != nil {
		b.delivery.deliver(b.name, *m.event)
	}
}

// localScene is what the local breaker has to know now. b.mu is held.
func (b *Breaker) localScene(at time.Duration, live bool) localScene {
	s := localScene{name: b.name, replica: b.core.replica, at: at, policy: b.fleet.policy, fleet: b.fleet.generation}
	switch {
	case b.fleet.policy.Observe:
	case live:
		s.counts = b.fleet.policy.Reporters > 1 && b.core.remote
	default:
		s.counts = b.storeDown() == OwnVerdict
	}
	return s
}

// localBreaker makes the local breaker, if there is none yet. b.mu is held.
func (b *Breaker) localBreaker() *localBreaker {
	if b.local == nil {
		b.local = &localBreaker{}
	}
	return b.local
}

// takesOver reports that the fleet's open state is over, or half-open, while the store is away, and that the local breaker is
// to probe in its place. b.mu is held.
func (b *Breaker) takesOver(fleet *fleetNow, live bool) bool {
	return !live && fleet.state != Closed && !fleet.waits && fleet.mode == store.Auto && !b.fleet.policy.Observe &&
		b.storeDown() == OwnVerdict && b.local.mayTakeOver(b.fleet.generation)
}

// scene is all that a decision depends on. b.mu is held.
func (b *Breaker) scene(at time.Duration, fleet fleetNow, live bool, liveUntil time.Duration) scene {
	return scene{
		at: at, fleet: fleet, local: b.local.view(), live: live, liveUntil: liveUntil, policy: b.fleet.policy,
		storeDown: b.storeDown(), storeWait: b.core.timing.RefreshInterval, asleep: b.asleep,
		inCaller: b.inCaller(), classifies: b.config.classify != nil,
	}
}

// storeDown is what rules while the fleet's verdict does not. A detached breaker has no store that could be away.
func (b *Breaker) storeDown() StoreDown {
	if b.detached.Load() {
		return OwnVerdict
	}
	return b.core.storeDown
}

// inCaller reports that outcomes are judged in the call that had them, and not by the reporter.
func (b *Breaker) inCaller() bool { return !b.core.remote || b.detached.Load() }

// arm sets the timer to the end of a decision; 0: it has none. b.mu is held.
func (b *Breaker) arm(until, at time.Duration) {
	if until == 0 {
		if b.timer != nil {
			b.timer.Stop()
		}
		return
	}
	wait := max(until-at, 0)
	if wait > lead {
		wait -= lead
	}
	if b.timer == nil {
		b.timer = time.AfterFunc(wait, b.tick)
	} else {
		b.timer.Reset(wait)
	}
}

// tick is the timer's: the decision has ended, or will at any moment. If a timed command is over, the store is asked.
func (b *Breaker) tick() {
	b.mu.Lock()
	b.update(change{})
	overdue := b.fleet.overdue(uptime())
	b.mu.Unlock()
	switch {
	case !overdue || b.detached.Load():
	case b.core.remote:
		b.member.syncNow()
	default:
		_ = b.flush(true)
	}
}

// current is the admission that holds now: a new one if the present one has ended, in case the timer is late.
func (b *Breaker) current() *admission {
	a := b.admission.Load()
	if a.until == 0 || uptime() < a.until {
		return a
	}
	b.redecide()
	return b.admission.Load()
}

// redecide carries out what a change of the lane, or the passing of time, means.
func (b *Breaker) redecide() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.update(change{})
}

// sleep makes the next call ask the store: there was none for a long time.
func (b *Breaker) sleep() {
	if !b.core.remote {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asleep = true
	b.update(change{})
}
