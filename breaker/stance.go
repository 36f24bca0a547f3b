package breaker

import (
	"math/rand/v2"
	"time"

	"github.com/commontrip/commontrip/store"
)

// stance is how a breaker meets the next call. It is made whenever something that it depends on changes, and never
// changes itself but for the gate's inside; a call loads it once.
type stance struct {
	kind    kind
	state   State
	mode    Mode
	verdict Verdict
	asleep  bool // the call must wake the breaker first
	fresh   bool
	clocked bool // a clock must be read: to know whether a call was slow, or when it succeeded
	aged    bool // successes need ages, and are kept apart by a bucket of the window
	policy  *Policy
	era     *era
	refusal *OpenError
	refused *counter // of refusal's kind
	gate    *gate
	ramp    *ramp
	until   time.Duration // uptime at which this stance must be made anew; 0 = never
}

type kind uint8

const (
	plain   kind = iota // every call is admitted, and a nil error needs nothing but counting
	refuses             // every call is refused
	asks                // everything else: see enterSlowly
)

// ramp is the time after closing from half-open in which only a share of the calls is admitted.
type ramp struct {
	from, over time.Duration
	refusal    *OpenError
}

// lets draws whether a call is admitted: a share from 1/64 to 1.
func (r *ramp) lets(at time.Duration) bool {
	const least = 1.0 / 64
	share := least + (1-least)*float64(at-r.from)/float64(r.over)
	return share >= 1 || rand.Float64() < share
}

// lead is how long before its end a stance begins to look at the clock, so that no call after it meets a stance that is
// over: a timer alone may come late.
const lead = time.Millisecond

// restance makes the stance anew. b.mu is held.
func (b *Breaker) restance() {
	at := uptime()
	b.inherit(at)
	s := b.decide(at)
	s.era, s.asleep, s.policy = b.era, b.asleep, b.policy
	s.aged = b.policy.WindowTime > 0 && b.inCaller()
	s.clocked = s.aged || b.policy.SlowCallAfter > 0
	b.arm(&s, at)
	if s.asleep || s.kind == plain && (s.clocked || b.config.classify != nil) {
		s.kind = asks
	}
	if old := b.stance.Load(); old == nil || *old != s {
		made := s
		b.stance.Store(&made)
	}
	b.sayLost(s.fresh)
}

// sayLost tells when the store has failed for this breaker alone for too long, and when it does no more. b.mu is held.
func (b *Breaker) sayLost(fresh bool) {
	switch {
	case fresh && b.lostSaid:
		b.lostSaid = false
		b.emit(Event{Kind: StoreBack, Name: b.name})
	case !fresh && !b.lostSaid && b.heard && b.failing && b.lane != nil && b.lane.answers() && !b.alone.Load():
		b.lostSaid = true
		b.emit(Event{Kind: StoreLost, Name: b.name, Err: b.lane.reason()})
	}
}

// arm sets the timer for the stance's end, if it has one. b.mu is held.
func (b *Breaker) arm(s *stance, at time.Duration) {
	if s.until == 0 {
		if b.timer != nil {
			b.timer.Stop()
		}
		return
	}
	left := max(s.until-at, 0)
	wait := left - lead
	if wait <= 0 {
		s.kind, wait = asks, left
	}
	if b.timer == nil {
		b.timer = time.AfterFunc(wait, b.tick)
	} else {
		b.timer.Reset(wait)
	}
}

// tick is the timer's: the stance has ended or will any moment.
func (b *Breaker) tick() {
	b.mu.Lock()
	b.restance()
	ended := b.ended(uptime())
	b.mu.Unlock()
	if ended {
		b.ask()
	}
}

// renew makes a stance anew that has ended, should the timer be late.
func (b *Breaker) renew(s *stance) *stance {
	if s.until == 0 || uptime() < s.until {
		return s
	}
	b.mu.Lock()
	b.restance()
	b.mu.Unlock()
	return b.stance.Load()
}

// decide is the rule of who is admitted, first word first: an operator's mode, a dry run, the fleet's open state until
// its time, the replica's own verdict or what stands in for it while the store is away, the probes, the ramp. b.mu is
// held.
func (b *Breaker) decide(at time.Duration) (s stance) {
	fleet := b.fleetView(at)
	observe := b.policy.Observe
	s.fresh, s.mode = b.fresh(at, &s), fleet.mode
	s.wake(fleet.modeEnds)
	s.wake(fleet.policyEnds)
	s.state = fleet.state
	if !s.fresh {
		s.verdict = Own
	}
	switch {
	case fleet.mode == store.ForcedOpen:
		s.state, s.verdict = Open, Fleet
		b.refuse(&s, OpenError{Refusal: RefusedForced, Reason: ByOperator, until: fleet.modeEnds, wait: b.policy.OpenFor})
		return s
	case fleet.mode == store.ForcedClosed:
		s.state, s.verdict = Closed, Fleet
		return s
	case observe:
		s.state = Closed
	}
	if fleet.waits {
		s.wake(fleet.retryAt)
		if !observe {
			b.refuse(&s, OpenError{Refusal: RefusedOpen, Reason: fleet.reason, until: fleet.retryAt})
		}
		return s
	}
	if !s.fresh && !observe {
		s.state = Closed
		switch b.storeDown() {
		case RejectAll:
			s.state = Open
			b.refuse(&s, OpenError{Refusal: RefusedStoreDown, wait: b.core.timing.RefreshInterval})
			return s
		case AdmitAll:
			return s
		}
	}
	b.decideProbes(&s, at, fleet.state != Closed && s.fresh, observe)
	if s.kind == plain {
		b.decideRamp(&s, at, &fleet)
	}
	return s
}

// decideProbes is decide's part of the own verdict, and of who must get a lease from whom.
func (b *Breaker) decideProbes(s *stance, at time.Duration, fleet, observe bool) {
	own := b.own != nil && b.own.tripped && !observe
	if own {
		s.verdict = Own
		s.state = b.own.state
		if b.own.state == Open && at < b.own.retryAt {
			b.refuse(s, OpenError{Refusal: RefusedOpen, Reason: b.own.reason, until: b.own.retryAt})
			s.wake(b.own.retryAt)
			return
		}
	}
	if !own && !fleet {
		return
	}
	s.kind = asks
	if g := b.gate; g == nil || g.era != b.era || g.own != own || g.fleet != fleet || g.observe != observe {
		next := &gate{era: b.era, own: own, fleet: fleet, observe: observe, claims: &claims{}}
		if g != nil {
			next.claims = g.claims
		}
		b.gate = next
	}
	s.gate = b.gate
}

func (b *Breaker) decideRamp(s *stance, at time.Duration, fleet *fleetView) {
	over := b.policy.RampUp
	from := fleet.closedAt
	if b.own != nil && b.own.closedAt != 0 {
		from = max(from, b.own.closedAt)
	}
	if over == 0 || from == 0 || at >= from+over || b.policy.Observe {
		return
	}
	s.kind = asks
	s.wake(from + over)
	if old := b.stance.Load(); old != nil && old.ramp != nil && old.ramp.from == from && old.ramp.over == over {
		s.ramp = old.ramp
		return
	}
	s.ramp = &ramp{from, over, &OpenError{Name: b.name, Refusal: RefusedRampUp, wait: max(over/64, time.Millisecond)}}
}

// refuse makes s refuse with e. The present error serves on where it says the same.
func (b *Breaker) refuse(s *stance, e OpenError) {
	e.Name = b.name
	s.kind, s.refused = refuses, b.counterOf(e.Refusal)
	if old := b.stance.Load(); old != nil && old.refusal != nil && *old.refusal == e {
		s.refusal = old.refusal
		return
	}
	s.refusal = &e
}

// wake makes the stance end at that uptime at the latest.
func (s *stance) wake(at time.Duration) {
	if at != 0 && (s.until == 0 || at < s.until) {
		s.until = at
	}
}

// counterOf is where refusals of a kind are counted.
func (b *Breaker) counterOf(r Refusal) *counter {
	counts := b.refused.Load()
	if counts == nil {
		b.refused.CompareAndSwap(nil, new([len(refusals)]counter))
		counts = b.refused.Load()
	}
	return &counts[r.index()]
}
