package breaker

import (
	"sync/atomic"
	"time"

	"github.com/commontrip/commontrip/store"
)

// era is what one generation is to a replica: the number under which its outcomes are reported, and the plain successes
// that wait for that. Each call holds the era that admitted it, so that a late result moves no newer one. The replica's
// own verdict has generations of its own: where either moves, a new era begins.
type era struct {
	b          *Breaker
	successes  counter
	flag       atomic.Uint32
	generation uint64       // the fleet's
	own        uint64       // the own verdict's
	bucket     atomic.Int64 // where successes need ages: the uptime until which they count as one moment
}

// The flag says what a success must do beside counting itself.
const (
	clean  uint32 = iota // tell the reporter
	marked               // nothing: it will be picked up
	over                 // the era has ended: be picked up now
)

// begin ends the current era and begins one of the present generations. b.mu is held.
func (b *Breaker) begin() {
	next := &era{b: b, generation: b.generation}
	if b.own != nil {
		next.own = b.own.generation
	}
	if b.lane == nil || b.alone.Load() {
		next.flag.Store(marked)
	}
	if past := b.era; past != nil {
		past.flag.Store(over)
		b.drain(past, now())
		if past.successes.isSharded() {
			next.successes.shard()
		}
	}
	b.era = next
}

// mark is called by a success that finds its era unmarked.
func (b *Breaker) mark(e *era) {
	if e.flag.CompareAndSwap(clean, marked) {
		b.lane.outcome(b)
		return
	}
	if e.flag.Load() != over {
		return
	}
	b.mu.Lock()
	b.drain(e, now())
	b.mu.Unlock()
	if b.lane != nil {
		b.lane.outcome(b)
	}
}

// age is called before a success is counted where successes need ages: those of an earlier bucket are taken out first.
func (b *Breaker) age(e *era, width time.Duration) {
	if int64(uptime()) < e.bucket.Load() {
		return
	}
	at := now()
	b.mu.Lock()
	b.drain(e, at)
	e.bucket.Store(int64(at.up + width))
	full := b.book != nil && len(b.book.runs) >= store.MaxRuns
	b.mu.Unlock()
	if full {
		b.hand() // else they would wait for a failure until they are lost
	}
}

// moment is when the successes that an era holds happened, at the latest.
func (e *era) moment(at instant) instant {
	if end := time.Duration(e.bucket.Load()); end != 0 && end < at.up {
		passed := at.up - end
		return instant{at.up - passed, at.wall - passed}
	}
	return at
}
