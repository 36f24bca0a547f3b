package breaker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/commontrip/commontrip/store"
)

// sending is a report on its way, and the reply to it.
type sending struct {
	report store.Report
	reply  reply
}

// nextReport is the report to send now. ok is false if nothing waits, unless an empty report is asked for, or the store has
// not heard of this breaker yet.
func (r *rooms) nextReport(at instant, evenEmpty bool) (s sending, ok bool) {
	core := r.c.core
	if core.remote {
		r.outbox.expire(at, core.timing.StaleAfter)
	}
	holds := core.remote && !r.outbox.heard // until an answer tells the store's clock: outcomes that come too late must be known
	f := r.outbox.next(at, r.fleet.generation, r.c.refused.total(), evenEmpty || !r.outbox.heard, holds)
	if f == nil {
		return s, false
	}
	s.reply = reply{request: r.fleet.nextRequest(), sent: at}
	s.report = store.Report{
		Name: r.c.name, Policy: r.c.config.policy, Replica: core.replica, Announce: !r.outbox.heard,
		Seq: f.seq, Generation: f.generation, MaxAge: core.timing.StaleAfter,
		Rejected: f.rejected, OwnOpen: r.local.view().refuses, Known: r.fleet.known(at),
	}
	if core.remote {
		s.report.SentAt = r.fleet.clockNow(at)
	} else { // what waits there is only counted, and reported when it matters
		s.report.MaxAge = 366 * 24 * time.Hour
	}
	if len(f.runs) > 0 {
		s.report.Runs = make([]store.Run, len(f.runs))
	}
	for i, run := range f.runs {
		s.report.Runs[i] = store.Run{Outcome: run.outcome, Slow: run.slow, Count: run.count, Age: at.since(run.at), Label: run.label}
	}
	return s, true
}

// fullReport is the report to send now, an empty one if nothing waits. ok is false for a detached breaker: the numbers of its
// reports may be another breaker's by now.
func (c *coordinator) fullReport(at instant) (s sending, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.detached.Load() {
		return s, false
	}
	c.rooms.collect(c.rooms.epoch, at)
	return c.rooms.nextReport(at, true)
}

// reported takes over the answer to a report, which was checked. It tells whether more waits, and whether history is missed.
func (c *coordinator) reported(s *sending) (more, missed bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch err = c.rooms.take(&s.reply); {
	case err == nil:
		c.rooms.outbox.acknowledge(s.report.Seq)
	case errors.Is(err, store.ErrLate): // or the store's clock has stepped forward
		c.rooms.fleet.forgetClock()
		c.rooms.outbox.refused(s.report.Seq)
	}
	return c.rooms.outbox.waitingRuns() > 0, c.rooms.delivery.gap, err
}

// flushLocal reports what waits to a local store: it happened before what comes now.
func (c *coordinator) flushLocal() error {
	if c.core.remote || c.detached.Load() {
		return nil
	}
	return c.flush(false)
}

// differs reports that a store holds other numbers than this replica, or that the last exchange about this breaker failed.
func (c *coordinator) differs(v store.Version) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	// mutant: differs
	return v.Generation != c.rooms.fleet.generation || v.Rev != c.rooms.fleet.rev || c.rooms.liveness.failing()
}

// flush reports what waits to a local store, in the caller, and returns once what had waited before is judged. If evenEmpty,
// it reports at least once.
func (c *coordinator) flush(evenEmpty bool) error {
	c.flushing.Lock()
	defer c.flushing.Unlock()
	c.mu.Lock()
	c.rooms.collect(c.rooms.epoch, now())
	before := c.rooms.outbox.entered()
	c.mu.Unlock()
	for {
		c.mu.Lock()
		s, ok := c.rooms.nextReport(now(), evenEmpty)
		c.mu.Unlock()
		if !ok {
			return nil
		}
		s.reply.hear(resultOf(c.core.store.Sync(context.Background(), []store.Report{s.report}), 0))
		c.lane().exchanged(s.reply.sent, c.check(&s.reply))
		if _, _, err := c.reported(&s); err != nil {
			return fmt.Errorf("breaker %q: %w", c.name, err)
		}
		c.fillGap(context.Background())
		if evenEmpty = false; c.isReported(before) {
			return nil
		}
	}
}

// isReported reports that the first n outcomes that were to be reported are, or are lost.
func (c *coordinator) isReported(n uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rooms.outbox.done(n)
}

// resultOf is the i-th of results, or an error if a store gave too few.
func resultOf(results []store.Result, i int) *store.Result {
	if i < len(results) {
		return &results[i]
	}
	return &store.Result{Err: errUnsound}
}

// tick is the timer's: the decision has ended, or will at any moment. If a timed command is over, the store is asked.
func (c *coordinator) tick() {
	c.mu.Lock()
	c.rooms.update(change{})
	overdue := c.rooms.fleet.overdue(uptime())
	c.mu.Unlock()
	switch {
	case !overdue || c.detached.Load():
	case c.core.remote:
		c.member.syncNow()
	default:
		_ = c.flush(true)
	}
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
