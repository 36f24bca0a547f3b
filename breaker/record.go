package breaker

import (
	"time"

	"github.com/commontrip/commontrip/store"
)

// run is outcomes that wait to be reported: count equal ones, one after the other.
type run struct {
	generation uint64
	at         instant       // when the newest finished
	since      time.Duration // uptime when the first finished
	count      int
	outcome    Outcome
	slow       bool
	label      string
}

// book is what a breaker keeps of its outcomes. An idle breaker has none.
type book struct {
	runs       []run // oldest first
	frozen     *frozen
	totals     store.Totals
	lost       uint64 // outcomes that no store will count, as far as we know
	lostBefore uint64 // those when the book was closed
	taken      uint64 // outcomes that entered
	settled    uint64 // outcomes that left, reported or lost
	rejected   uint64 // refusals that are in a report
}

// The bounds of a book.
const (
	maxRuns = 4096                   // runs that wait; beyond that the oldest eighth is lost
	mergeIn = 100 * time.Millisecond // equal outcomes within so much are one run: the shortest bucket of a window
)

func (b *Breaker) books() *book {
	if b.book == nil {
		b.book = &book{}
	}
	return b.book
}

// empty reports that nothing is in the book, nor ever was.
func (k *book) empty() bool {
	return k.taken == 0 && k.rejected == 0 && k.frozen == nil && k.totals == (store.Totals{})
}

// record takes an outcome that is no plain success, after the successes that came before it. judge: the own verdict is to
// see it.
func (b *Breaker) record(e *era, r run, judge bool) {
	b.mu.Lock()
	at := now()
	b.drain(e, at)
	r.at = at
	b.enrol(e, r, judge)
	b.mu.Unlock()
	b.hand()
}

// hand makes what was recorded known: at once to a local store, by the reporter to a remote one.
func (b *Breaker) hand() {
	switch {
	case b.alone.Load():
	case b.core.remote:
		b.lane.outcome(b)
	default:
		b.flush(false)
	}
}

// drain turns the plain successes of an era into runs. b.mu is held.
func (b *Breaker) drain(e *era, at instant) {
	if b.lane != nil && !b.alone.Load() {
		e.flag.CompareAndSwap(marked, clean)
	}
	moment := e.moment(at)
	for n := e.successes.take(); n > 0; {
		count := min(n, store.MaxCount)
		n -= count
		b.enrol(e, run{outcome: Success, at: moment, count: int(count)}, true)
	}
}

// enrol enters a run into the book and shows it to the own verdict. b.mu is held.
func (b *Breaker) enrol(e *era, r run, judge bool) {
	r.generation, r.since = e.generation, r.at.up
	k := b.books()
	k.count(r.outcome, r.slow, r.count)
	if !b.leaving {
		k.add(r)
	}
	if judge && (b.core.remote || b.failing || b.leaving) {
		b.feed(e, r)
	}
}

func (k *book) count(o Outcome, slow bool, n int) {
	if o == Ignored {
		k.totals.Ignored += uint64(n)
		return
	}
	k.totals.Calls += uint64(n)
	if o == Failure {
		k.totals.Failures += uint64(n)
	}
	if slow {
		k.totals.Slow += uint64(n)
	}
}

// add lets a run wait, as part of the last one where they are alike.
func (k *book) add(r run) {
	k.taken += uint64(r.count)
	if n := len(k.runs); n > 0 {
		last := &k.runs[n-1]
		if last.outcome == r.outcome && last.slow == r.slow && last.label == r.label && last.generation == r.generation &&
			r.at.up-last.since < mergeIn && last.count+r.count <= store.MaxCount {
			last.count += r.count
			last.at = r.at
			return
		}
		if n >= maxRuns {
			k.lose(maxRuns / 8)
		}
	}
	k.runs = append(k.runs, r)
}

// lose gives up the oldest n runs that wait.
func (k *book) lose(n int) {
	for _, r := range k.runs[:n] {
		k.lost += uint64(r.count)
		k.settled += uint64(r.count)
	}
	k.runs = k.runs[:copy(k.runs, k.runs[n:])]
}
