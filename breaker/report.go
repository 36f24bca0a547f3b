package breaker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/commontrip/commontrip/store"
)

// frozen is a report that is on its way. It is sent again, with fresh ages, until it is answered or too old, so that no
// outcome is counted twice; new outcomes wait behind it.
type frozen struct {
	seq        uint64
	generation uint64
	runs       []run
	rejected   uint64
	at         instant // when it was frozen
}

func (f *frozen) outcomes() (n uint64) {
	for _, r := range f.runs {
		n += uint64(r.count)
	}
	return n
}

// sending is a report together with what its answer must be matched with.
type sending struct {
	report  store.Report
	request uint64
	at      instant
}

// freeze gives the report to send now: the one on its way, else a new one of what waits, as far as it has one
// generation and keeps within a report's bounds; none where nothing waits, unless always. b.mu is held.
func (b *Breaker) freeze(at instant, always bool) (sending, bool) {
	if b.book == nil && !always && b.announced {
		return sending{}, false
	}
	k := b.books()
	if b.core.remote {
		k.expire(at, b.core.timing.StaleAfter)
	}
	if k.frozen == nil {
		if len(k.runs) == 0 && !always && b.announced {
			return sending{}, false
		}
		b.seq++
		rejected := b.rejected()
		k.frozen = &frozen{seq: b.seq, generation: b.generation, rejected: rejected - k.rejected, at: at}
		k.rejected = rejected
		k.pack(k.frozen)
	}
	return sending{b.report(k.frozen, at), b.request(), at}, true
}

// pack moves into f the oldest runs that fit.
func (k *book) pack(f *frozen) {
	n, adverse := 0, 0
	for n < len(k.runs) && n < store.MaxRuns && k.runs[n].generation == k.runs[0].generation {
		r := &k.runs[n]
		if r.outcome == Failure || r.slow {
			if room := store.MaxAdverse - adverse; r.count > room {
				if room > 0 {
					part := *r
					part.count = room
					r.count -= room
					k.runs = slices.Insert(k.runs, n, part)
					n++
				}
				break
			}
			adverse += r.count
		}
		n++
	}
	if n == 0 {
		return
	}
	f.generation = k.runs[0].generation
	f.runs = slices.Clone(k.runs[:n])
	k.runs = k.runs[:copy(k.runs, k.runs[n:])]
	if len(k.runs) == 0 && cap(k.runs) > store.MaxRuns {
		k.runs = nil
	}
}

// expire gives up what is too old to matter.
func (k *book) expire(at instant, stale time.Duration) {
	if f := k.frozen; f != nil && at.since(f.at) > stale {
		n := f.outcomes()
		k.lost += n
		k.settled += n
		k.frozen = nil
	}
	n := 0
	for n < len(k.runs) && at.since(k.runs[n].at) > stale {
		n++
	}
	if n > 0 {
		k.lose(n)
	}
}

// report spells f as the store's contract wants it, with ages as of now. b.mu is held.
func (b *Breaker) report(f *frozen, at instant) store.Report {
	r := store.Report{
		Name: b.name, Policy: b.config.policy, Replica: b.core.replica, Announce: !b.announced,
		Seq: f.seq, Generation: f.generation, MaxAge: b.core.timing.StaleAfter,
		Rejected: f.rejected, OwnOpen: b.own != nil && b.own.tripped, Known: b.known(at),
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
	return r
}

// rejected is how many calls were refused so far.
func (b *Breaker) rejected() (n uint64) {
	if counts := b.refused.Load(); counts != nil {
		for i := range counts {
			n += counts[i].sum()
		}
	}
	return n
}

// answer takes what a store said to a report.
func (b *Breaker) answer(s *sending, r *store.Result) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.Err == nil && !b.sound(&r.Snapshot) {
		r.Err = errUnsound
	}
	if r.Err != nil {
		b.fail(s.at, r.Err)
		return r.Err
	}
	b.succeedExchange()
	b.announced = true
	k := b.books()
	if f := k.frozen; f != nil && f.seq == s.report.Seq {
		k.settled += f.outcomes()
		k.frozen = nil
	}
	b.apply(&r.Snapshot, s.request, now())
	b.hear(r.Made, &r.Snapshot)
	if k.empty() {
		b.book = nil
	}
	return nil
}

var errUnsound = errors.New("the store's answer makes no sense")

// fail notes that an exchange of this breaker's own, sent at that time, got an error. b.mu is held.
func (b *Breaker) fail(sent instant, why error) {
	fresh, ok := b.lane.failed(why)
	if !b.failing {
		b.failing, b.okAt = true, sent
		if ok {
			b.okAt = fresh
		}
	}
	b.restance()
}

// succeedExchange notes the contrary. b.mu is held.
func (b *Breaker) succeedExchange() {
	if b.failing {
		b.failing = false
		b.restance()
	}
}

// flush reports what waits to a local store, in the caller, and returns once what had waited before is judged; always:
// even where nothing waits.
func (b *Breaker) flush(always bool) error {
	b.turn.Lock()
	defer b.turn.Unlock()
	b.mu.Lock()
	b.drain(b.era, now())
	target := b.entered()
	b.mu.Unlock()
	for {
		b.mu.Lock()
		s, some := b.freeze(now(), always)
		b.mu.Unlock()
		if !some {
			return nil
		}
		err := b.answer(&s, result(b.core.store.Sync(context.Background(), []store.Report{s.report}), 0))
		b.lane.count(err)
		if err != nil {
			return fmt.Errorf("breaker %q: %w", b.name, err)
		}
		b.catchUp(context.Background())
		if always = false; b.settled(target) {
			return nil
		}
	}
}

// entered is how many outcomes ever waited to be reported. b.mu is held.
func (b *Breaker) entered() uint64 {
	if b.book == nil {
		return 0
	}
	return b.book.taken
}

// settled reports that the first so many outcomes do not wait any more.
func (b *Breaker) settled(target uint64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.book == nil || b.book.settled >= target
}

// result is the i-th of results, or an error where a store gave too few.
func result(results []store.Result, i int) *store.Result {
	if i < len(results) {
		return &results[i]
	}
	return &store.Result{Err: errUnsound}
}
