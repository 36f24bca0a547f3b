package breaker

import (
	"sync"
	"sync/atomic"
	"time"
)

// probes is where the calls of one breaker get their leases from the store: when to ask, what was asked, and a lease that
// waits for a call. Of a remote store one claim is in flight at a time, and other calls are refused meanwhile. Of a local one
// claims take turns. It is safe for concurrent use. No other lock is taken
// while mu is held.
type probes struct {
	c         *coordinator
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

func (p *probes) pauseFor(d time.Duration) {
	p.pause.Store(&OpenError{Name: p.c.name, Refusal: RefusedProbing, until: uptime() + d})
}

// endPause lets the next call ask at once: a place may be free.
func (p *probes) endPause() { p.pause.Store(nil) }

// start marks that a claim is in flight, for at most d. It reports whether none was.
func (p *probes) start(at, d time.Duration) bool {
	until := p.busyUntil.Load()
	// mutant: in-flight
	return until <= int64(at) && p.busyUntil.CompareAndSwap(until, int64(at+d))
}

// end marks that no claim is in flight.
func (p *probes) end() { p.busyUntil.Store(0) }

// claimID is the id of the claim to send: that of the last one, if that may have been granted unheard.
func (p *probes) claimID() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.id == "" {
		p.id = p.c.core.claimID()
	}
	return p.id
}

// heard notes that the claim was answered: the next one is another.
func (p *probes) heard() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.id = ""
}

// swapParked parks a lease, or none if nil. It gives the one that was parked before; nil: there was none.
func (p *probes) swapParked(l *lease) (before *lease) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, p.parked = p.parked, l
	return before
}

// dropParked ends the parking of l. It reports whether l was still parked.
func (p *probes) dropParked(l *lease) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.parked != l {
		return false
	}
	p.parked = nil
	return true
}

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
