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

// countSuccess counts a plain success of an epoch: the way that nearly every call goes, in one function.
func countSuccess(e *epoch) {
	if !e.successes.try() {
		e.successes.addSharded()
	}
	if e.flag.Load() != noticed {
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

// ageSuccesses is called before a success is counted, if successes need ages: those of an earlier bucket of the window are
// collected first.
func (c *coordinator) ageSuccesses(e *epoch, bucket time.Duration) {
	if !e.bucketOver(uptime()) {
		return
	}
	at := now()
	c.mu.Lock()
	c.rooms.collect(e, at)
	e.startBucket(at.up, bucket)
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
