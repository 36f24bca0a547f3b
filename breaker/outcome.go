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
func (b *Breaker) successWaits(e *epoch) {
	switch {
	case e.notice():
	case e.over():
		b.mu.Lock()
		b.collect(e, now())
		b.mu.Unlock()
	default:
		return
	}
	b.member.flushSoon()
}

// record takes an outcome that is not a plain success, after the successes that came before it. observe: the local breaker is
// to see it.
func (b *Breaker) record(e *epoch, how ending, observe bool) {
	b.mu.Lock()
	at := now()
	b.collect(e, at)
	r := run{
		generation: e.generation, at: at, since: at.up, count: 1, outcome: how.outcome, slow: how.slow, label: how.label,
	}
	b.outbox.append(r)
	if observe {
		if move := b.observe(e, r); move.moved {
			b.update(change{local: move})
		}
	}
	b.mu.Unlock()
	b.notify()
}

// notify makes known that outcomes wait: at once to a local store, by the reporter to a remote one.
func (b *Breaker) notify() {
	switch {
	case b.detached.Load():
	case b.core.remote:
		b.member.flushSoon()
	default:
		_ = b.flush(false) // counted, and tried again with the next outcome
	}
}

// collect moves the plain successes of an epoch into the outbox. They never move the local breaker. b.mu is held.
func (b *Breaker) collect(e *epoch, at instant) {
	n, moment := e.take(at, b.member != nil && !b.detached.Load())
	for n > 0 {
		count := min(n, store.MaxCount)
		n -= count
		r := run{generation: e.generation, at: moment, since: moment.up, count: int(count), outcome: Success}
		b.outbox.append(r)
		b.observe(e, r)
	}
}

// collectNow gives the successes that wait their ages, since they cannot be sent.
func (b *Breaker) collectNow() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.collect(b.epoch, now())
}

// observe shows a run to the local breaker, unless an operator's mode stands: then calls are not judged. Of what a local store
// judges it sees nothing while that store answers. b.mu is held.
func (b *Breaker) observe(e *epoch, r run) (move localMove) {
	if !b.core.remote && !b.liveness.failing && !b.outbox.closed {
		return move
	}
	at := uptime()
	if b.fleet.at(at, b.core.spread()).mode != store.Auto {
		return move
	}
	live, _ := b.live(at)
	s := b.localScene(at, live)
	return b.localBreaker().observe(&s, e.local, store.Run{Outcome: r.outcome, Slow: r.slow, Count: r.count, Label: r.label})
}

// ageSuccesses is called before a success is counted where successes need ages: those of an earlier bucket of the window are
// collected first.
func (b *Breaker) ageSuccesses(e *epoch, bucket time.Duration) {
	if !e.bucketOver(uptime()) {
		return
	}
	at := now()
	b.mu.Lock()
	b.collect(e, at)
	e.bucket.Store(int64(at.up + bucket))
	full := b.outbox.waitingRuns() >= store.MaxRuns
	b.mu.Unlock()
	if full {
		b.notify() // else they would wait for a failure until they are lost
	}
}
