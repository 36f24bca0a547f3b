package breaker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/commontrip/commontrip/store"
)

var errUnsound = errors.New("the store's answer makes no sense")

// reply is what a store said to one request.
type reply struct {
	request uint64 // the request's number; 0: this is a push
	sent    instant
	news    news
	err     error
}

// take takes over a reply to a request of this breaker's own, and notes whether the store answered. It gives the reply's
// error, or that of an answer which cannot be this breaker's. b.mu is held.
func (b *Breaker) take(r *reply) error {
	if r.err == nil && !b.fleet.sanitize(b.name, r.news.after) {
		r.err = errUnsound
	}
	if r.err != nil {
		b.liveness.failed(r.sent, b.lane().failed(r.err))
		b.update(change{})
		return r.err
	}
	b.liveness.succeeded()
	b.apply(r)
	return nil
}

// takeSound takes over a reply or a push that tells nothing of whether the store answers this breaker's own exchanges. It
// reports whether that could be this breaker's.
func (b *Breaker) takeSound(r *reply) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.fleet.sanitize(b.name, r.news.after) {
		return false
	}
	b.apply(r)
	return true
}

// nextRequest numbers a request.
func (b *Breaker) nextRequest() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.fleet.nextRequest()
}

// apply takes over a sanitized snapshot. b.mu is held.
func (b *Breaker) apply(r *reply) {
	moved := b.fleet.apply(b.name, r.news.after, r.request, now(), b.core)
	b.update(change{fleet: moved, news: r.news})
}

// sending is a report on its way, with what its answer must be matched with.
type sending struct {
	report  store.Report
	request uint64
	at      instant
}

// nextReport is the report to send now. ok is false if nothing waits, unless an empty report is asked for, or the store has
// not heard of this breaker yet. b.mu is held.
func (b *Breaker) nextReport(at instant, evenEmpty bool) (s sending, ok bool) {
	if b.core.remote {
		b.outbox.expire(at, b.core.timing.StaleAfter)
	}
	f := b.outbox.next(at, b.fleet.generation, b.refused.total(), evenEmpty || !b.announced)
	if f == nil {
		return s, false
	}
	r := store.Report{
		Name: b.name, Policy: b.config.policy, Replica: b.core.replica, Announce: !b.announced,
		Seq: f.seq, Generation: f.generation, MaxAge: b.core.timing.StaleAfter,
		Rejected: f.rejected, OwnOpen: b.local.view().refuses, Known: b.fleet.known(at),
	}
	if !b.core.remote { // what waits there is only counted, and reported when it matters
		r.MaxAge = 366 * 24 * time.Hour
	}
	if len(f.runs) > 0 {
		r.Runs = make([]store.Run, len(f.runs))
	}
	for i, run := range f.runs {
		r.Runs[i] = store.Run{Outcome: run.outcome, Slow: run.slow, Count: run.count, Age: at.since(run.at), Label: run.label}
	}
	return sending{r, b.fleet.nextRequest(), at}, true
}

// fullReport is the report to send now, an empty one if nothing waits.
func (b *Breaker) fullReport(at instant) sending {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.collect(b.epoch, at)
	s, _ := b.nextReport(at, true)
	return s
}

// reported takes over the answer to a report. It tells whether more waits, and whether history is missed.
func (b *Breaker) reported(s *sending, r *store.Result) (more, missed bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	err = b.take(&reply{request: s.request, sent: s.at, news: news{transition: r.Made, after: &r.Snapshot}, err: r.Err})
	if err == nil {
		b.announced = true
		b.outbox.acknowledge(s.report.Seq)
	}
	return b.outbox.waitingRuns() > 0, b.delivery.gap, err
}

// differs reports that a store holds other numbers than this replica, or that the last exchange about this breaker failed.
func (b *Breaker) differs(v store.Version) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return v.Generation != b.fleet.generation || v.Rev != b.fleet.rev || b.liveness.failing
}

// flush reports what waits to a local store, in the caller, and returns once what had waited before is judged. If evenEmpty,
// it reports at least once.
func (b *Breaker) flush(evenEmpty bool) error {
	b.flushing.Lock()
	defer b.flushing.Unlock()
	b.mu.Lock()
	b.collect(b.epoch, now())
	before := b.outbox.entered()
	b.mu.Unlock()
	for {
		b.mu.Lock()
		s, ok := b.nextReport(now(), evenEmpty)
		b.mu.Unlock()
		if !ok {
			return nil
		}
		_, _, err := b.reported(&s, resultOf(b.core.store.Sync(context.Background(), []store.Report{s.report}), 0))
		b.lane().exchanged(s.at, err)
		if err != nil {
			return fmt.Errorf("breaker %q: %w", b.name, err)
		}
		b.fillGap(context.Background())
		if evenEmpty = false; b.isReported(before) {
			return nil
		}
	}
}

// isReported reports that the first n outcomes that were to be reported are, or are lost.
func (b *Breaker) isReported(n uint64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.outbox.done(n)
}

// resultOf is the i-th of results, or an error if a store gave too few.
func resultOf(results []store.Result, i int) *store.Result {
	if i < len(results) {
		return &results[i]
	}
	return &store.Result{Err: errUnsound}
}

// requestGap asks for the transitions that were missed, if some were: at once from a local store, else with the lane's next
// exchange.
func (b *Breaker) requestGap() {
	switch {
	case !b.hasGap() || b.detached.Load():
	case b.core.remote:
		b.member.requestHistory(0)
	default:
		b.fillGap(context.Background())
	}
}

func (b *Breaker) hasGap() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.delivery.gap
}

// fillGap delivers what was missed, from the store's history.
func (b *Breaker) fillGap(ctx context.Context) {
	for range 3 { // what comes while the history is read is read again
		b.mu.Lock()
		gap, before := b.delivery.gap, store.Version{Generation: b.fleet.generation, Rev: b.fleet.rev}
		b.mu.Unlock()
		if !gap {
			return
		}
		sent := now()
		history, err := b.core.store.History(ctx, b.name, 50)
		b.lane().exchanged(sent, err)
		if err != nil {
			return
		}
		b.mu.Lock()
		b.delivery.fill(b.name, history, before, store.Version{Generation: b.fleet.generation, Rev: b.fleet.rev})
		b.mu.Unlock()
	}
}
