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

// rooms are the parts of one breaker that its coordinator's lock guards. Each room keeps to itself: it is changed by its own
// methods, and tells what that changed. What one change means for the others is carried out here, in update.
//
// It is not safe for concurrent use: the coordinator's mu is held while any method of it runs.
type rooms struct {
	c *coordinator // for what never changes, or is safe for concurrent use: everything outside of mu

	epoch    *epoch // the present one
	fleet    fleetState
	liveness liveness
	local    *localBreaker // nil: no outcome was observed; it is closed
	probes   *probes       // nil: no lease was ever needed
	outbox   outbox
	delivery delivery

	timer  *time.Timer // wakes the breaker when its decision ends; nil: no decision had an end yet
	asleep bool        // there was no call within inUse: the next one asks the store at once
}

// update carries out the consequences of a change, each once and in this order.
//
//  1. Liveness: whether the store answers this breaker, and what listeners hear of that.
//  2. Local breaker: what it did is told. It follows the fleet's move, and takes over an opening that has ended while the
//     store is away.
//  3. Epoch: if a generation has moved, the present epoch ends, and its successes are collected.
//  4. Admission: the decision is made again and published, and the timer set to its end.
//  5. Delivery: listeners hear what the store told.
//
// It ends since no step changes what an earlier one looked at. Step 3 shows plain successes to the local breaker, and a
// success that is not slow never moves it.
func (r *rooms) update(c change) {
	at := uptime()
	live, liveUntil := r.live(at) // 1
	r.tellLiveness(live)

	// mutant: order = r.delivery.observe(r.c.name, r.fleet.generation, c.news)
	r.followLocal(c.local) // 2
	local := r.localScene(at, live)
	if c.fleet.generation {
		// mutant: reset
		r.followLocal(r.local.reset(&local))
		if r.probes != nil {
			r.probes.endPause()
		}
	}
	fleet := r.fleet.at(at, r.c.core.spread())
	// mutant: takeover
	if r.takesOver(&fleet, live) {
		r.followLocal(r.localBreaker().takeOver(&local, fleet.reason))
	}

	// 3
	if e := r.epoch; e == nil || c.newEpoch || e.generation != r.fleet.generation || e.local != r.local.number() {
		r.epoch = e.next(r.c, r.fleet.generation, r.local.number(), r.c.member != nil && !r.c.detached.Load())
		if e != nil {
			// mutant: end
			e.end()
			r.collect(e, now())
		}
	}

	s := r.scene(at, fleet, live, liveUntil) // 4
	d := decide(&s)
	r.publish(&d)
	r.arm(d.until, at)

	// 5
	// mutant: gap
	if c.fleet.replaced {
		r.delivery.miss()
	}
	r.delivery.observe(r.c.name, r.fleet.generation, c.news)
}

// live reports that the fleet's verdict rules: the store has answered, and lately. until is when that ends, as an uptime; 0:
// no end is known.
func (r *rooms) live(at time.Duration) (live bool, until time.Duration) {
	switch {
	case r.c.detached.Load() || !r.fleet.synced():
		return false, 0
	case !r.c.core.remote:
		return !r.liveness.failing(), 0
	case !r.c.lane().healthy.Load():
		return false, 0
	default:
		return r.liveness.lasts(at, r.c.core.timing.StaleAfter, r.c.lane())
	}
}

// tellLiveness tells listeners when the store has failed for this breaker alone for too long, and when it does so no more.
func (r *rooms) tellLiveness(live bool) {
	alone := !live && r.fleet.synced() && !r.c.detached.Load() && r.c.lane().answers()
	if event := r.liveness.turn(live, alone, r.c.lane().reason); event != nil {
		r.delivery.deliver(r.c.name, *event)
	}
}

// followLocal tells others what the local breaker did: listeners, and the store at once if it has opened.
func (r *rooms) followLocal(m localMove) {
	if m.opened && !r.c.detached.Load() {
		r.c.member.syncNow()
	}
	if m.event != nil {
		r.delivery.deliver(r.c.name, *m.event)
	}
}

// localSceneNow is the localScene of now.
func (r *rooms) localSceneNow() localScene {
	at := uptime()
	live, _ := r.live(at)
	return r.localScene(at, live)
}

// localScene is what the local breaker has to know.
func (r *rooms) localScene(at time.Duration, live bool) localScene {
	s := localScene{name: r.c.name, replica: r.c.core.replica, at: at, policy: r.fleet.policy, fleet: r.fleet.generation}
	s.detached = r.c.detached.Load()
	switch {
	case r.fleet.policy.Observe:
	case live:
		// mutant: isolated
		s.counts = r.fleet.policy.Reporters > 1 && r.c.core.remote
	default:
		// mutant: alone
		s.counts = r.storeDown() == OwnVerdict
	}
	return s
}

// localBreaker makes the local breaker, if there is none yet.
func (r *rooms) localBreaker() *localBreaker {
	if r.local == nil {
		r.local = &localBreaker{}
	}
	return r.local
}

// takesOver reports that the fleet's open state is over, or half-open, while the store is away, and that the local breaker is
// to probe in its place.
func (r *rooms) takesOver(fleet *fleetNow, live bool) bool {
	return !live && fleet.state != Closed && !fleet.waits && fleet.mode == store.Auto && !r.fleet.policy.Observe &&
		r.storeDown() == OwnVerdict && r.local.mayTakeOver(r.fleet.generation)
}

// scene is all that a decision depends on.
func (r *rooms) scene(at time.Duration, fleet fleetNow, live bool, liveUntil time.Duration) scene {
	return scene{
		at: at, fleet: fleet, local: r.local.view(), live: live, liveUntil: liveUntil, policy: r.fleet.policy,
		storeDown: r.storeDown(), storeWait: r.c.core.timing.RefreshInterval, asleep: r.asleep,
		inCaller: r.inCaller(), classifies: r.c.config.classify != nil,
	}
}

// storeDown is what rules while the fleet's verdict does not. A detached breaker has no store that could be away.
func (r *rooms) storeDown() StoreDown {
	if r.c.detached.Load() {
		return OwnVerdict
	}
	return r.c.core.storeDown
}

// inCaller reports that outcomes are judged in the call that had them, and not by the reporter.
func (r *rooms) inCaller() bool { return !r.c.core.remote || r.c.detached.Load() }

// arm sets the timer to the end of a decision; 0: it has none.
func (r *rooms) arm(until, at time.Duration) {
	if until == 0 {
		if r.timer != nil {
			r.timer.Stop()
		}
		return
	}
	wait := max(until-at, 0)
	if wait > lead {
		wait -= lead
	}
	if r.timer == nil {
		r.timer = time.AfterFunc(wait, r.c.tick)
	} else {
		r.timer.Reset(wait)
	}
}

// claimLocal leases a probe from the local breaker. Neither a lease nor a refusal: look again.
func (c *coordinator) claimLocal() (l *lease, refusal *OpenError) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.rooms.localSceneNow()
	l, refusal, move := c.rooms.local.claim(&s, c.core.claimID())
	if move.moved {
		c.rooms.update(change{local: move})
	}
	return l, refusal
}

// settleLocal tells the local breaker how its probe went.
func (c *coordinator) settleLocal(l *lease, how ending) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.rooms.localSceneNow()
	if move := c.rooms.local.settle(&s, l, how); move.moved {
		c.rooms.update(change{local: move})
	}
}

// collect moves the plain successes of an epoch into the outbox. They never move the local breaker.
func (r *rooms) collect(e *epoch, at instant) {
	n, moment := e.take(at, r.c.member != nil && !r.c.detached.Load())
	for n > 0 {
		count := min(n, store.MaxCount)
		n -= count
		successes := run{generation: e.generation, at: moment, since: moment.up, count: int(count), outcome: Success}
		// mutant: late = successes.generation = r.fleet.generation
		r.outbox.append(successes)
		r.observe(e, successes)
	}
}

// observe shows a run to the local breaker, unless an operator's mode stands: then calls are not judged. Of what a local store
// judges it sees nothing while that store answers.
func (r *rooms) observe(e *epoch, seen run) (move localMove) {
	if !r.c.core.remote && !r.liveness.failing() && !r.outbox.closed {
		return move
	}
	s := r.localSceneNow()
	if r.fleet.at(s.at, r.c.core.spread()).mode != store.Auto {
		return move
	}
	return r.localBreaker().observe(&s, e.local, store.Run{Outcome: seen.outcome, Slow: seen.slow, Count: seen.count, Label: seen.label})
}

// begin lets the breaker admit calls, as a member of a lane or, if nil, of none. Its reports are numbered from seq on.
func (c *coordinator) begin(m *member, seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.member, c.rooms.outbox = m, outbox{seq: seq}
	c.rooms.update(change{})
}

// current is the admission that holds now: a new one if the present one has ended, in case the timer is late.
func (c *coordinator) current() *admission {
	a := c.admission.Load()
	if a.until == 0 || uptime() < a.until {
		return a
	}
	c.redecide()
	return c.admission.Load()
}

// redecide carries out what a change of the lane, or the passing of time, means.
func (c *coordinator) redecide() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rooms.update(change{})
}

// awake is for the first call after a long time: the store is asked at once.
func (c *coordinator) awake() {
	c.mu.Lock()
	c.rooms.asleep = false
	c.rooms.update(change{})
	c.mu.Unlock()
	if !c.detached.Load() {
		c.member.useNow()
	}
}

// sleep makes the next call ask the store: there was none for a long time.
func (c *coordinator) sleep() {
	if !c.core.remote {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rooms.asleep = true
	c.rooms.update(change{})
}

// collectNow gives the successes that wait their ages, since they cannot be sent.
func (c *coordinator) collectNow() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rooms.collect(c.rooms.epoch, now())
}
