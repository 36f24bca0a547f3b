package breaker

import (
	"time"

	"github.com/commontrip/commontrip/store"
)

// ending is how a call ended.
type ending struct {
	outcome Outcome
	slow    bool
	label   string // of a failure
}

// countSuccess counts a plain success of an epoch: the way that nearly every call goes.
func countSuccess(e *epoch) {
	if e.succeed() {
		e.owner.successWaits(e)
	}
}

// successWaits is called by a success that nobody collects yet: the first one of its epoch that waits, or one that is late.
func (c *coordinator) successWaits(e *epoch) {
	switch {
	case e.notice():
	case e.over():
		c.mu.Lock()
		c.rooms.collect(e, now())
		c.mu.Unlock()
	default:
		return
	}
	c.member.flushSoon()
}

// record takes an outcome that is not a plain success, after the successes that came before it. observe: the local breaker is
// to see it.
func (c *coordinator) record(e *epoch, how ending, observe bool) {
	c.mu.Lock()
	at := now()
	c.rooms.collect(e, at)
	r := run{
		generation: e.generation, at: at, since: at.up, count: 1, outcome: how.outcome, slow: how.slow, label: how.label,
	}
	c.rooms.outbox.append(r)
	if observe {
		if move := c.rooms.observe(e, r); move.moved {
			c.rooms.update(change{local: move})
		}
	}
	c.mu.Unlock()
	c.notify()
}

// notify makes known that outcomes wait: at once to a local store, by the reporter to a remote one.
func (c *coordinator) notify() {
	switch {
	case c.detached.Load():
	case c.core.remote:
		c.member.flushSoon()
	default:
		_ = c.flush(false) // counted, and tried again with the next outcome
	}
}

// collect moves the plain successes of an epoch into the outbox. They never move the local breaker.
func (r *rooms) collect(e *epoch, at instant) {
	n, moment := e.take(at, r.c.member != nil && !r.c.detached.Load())
	for n > 0 {
		count := min(n, store.MaxCount)
		n -= count
		successes := run{generation: e.generation, at: moment, since: moment.up, count: int(count), outcome: Success}
		r.outbox.append(successes)
		r.observe(e, successes)
	}
}

// collectNow gives the successes that wait their ages, since they cannot be sent.
func (c *coordinator) collectNow() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rooms.collect(c.rooms.epoch, now())
}

// observe shows a run to the local breaker, unless an operator's mode stands: then calls are not judged. Of what a local store
// judges it sees nothing while that store answers.
func (r *rooms) observe(e *epoch, seen run) (move localMove) {
	if !r.c.core.remote && !r.liveness.failing && !r.outbox.closed {
		return move
	}
	s := r.localSceneNow()
	if r.fleet.at(s.at, r.c.core.spread()).mode != store.Auto {
		return move
	}
	return r.localBreaker().observe(&s, e.local, store.Run{Outcome: seen.outcome, Slow: seen.slow, Count: seen.count, Label: seen.label})
}

// ageSuccesses is called before a success is counted where successes need ages: those of an earlier bucket of the window are
// collected first.
func (c *coordinator) ageSuccesses(e *epoch, bucket time.Duration) {
	if !e.bucketOver(uptime()) {
		return
	}
	at := now()
	c.mu.Lock()
	c.rooms.collect(e, at)
	e.bucket.Store(int64(at.up + bucket))
	full := c.rooms.outbox.waitingRuns() >= store.MaxRuns
	c.mu.Unlock()
	if full {
		c.notify() // else they would wait for a failure until they are lost
	}
}

// countProbe adds a settled probe to the totals: its settlement was its report.
func (c *coordinator) countProbe(how ending) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rooms.outbox.count(how.outcome, how.slow, 1)
}
