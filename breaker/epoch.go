package breaker

import (
	"sync/atomic"
	"time"
)

// epoch is one pair of generations, the fleet's and the local breaker's, and the plain successes that were counted in it.
// Each call holds the epoch that admitted it, so that a late result counts in no newer one. When either generation moves, a
// new epoch begins. It is safe for concurrent use.
type epoch struct {
	owner      *coordinator
	successes  counter
	flag       atomic.Uint32 // what a success must do besides counting itself
	generation uint64        // the fleet's
	local      uint64        // the local breaker's
	bucket     atomic.Int64  // if successes need ages: the uptime until which they count as one moment
}

// The values of an epoch's flag.
const (
	unnoticed uint32 = iota // report that successes wait: it is the first of them
	noticed                 // nothing: the successes will be collected
	passed                  // report itself: the epoch is over, and it must be collected now
)

// notice marks that successes wait. It reports whether it was the first to do so.
func (e *epoch) notice() bool { return e.flag.CompareAndSwap(unnoticed, noticed) }

// over reports that the epoch has ended.
func (e *epoch) over() bool { return e.flag.Load() == passed }

// end makes every later success report itself.
func (e *epoch) end() { e.flag.Store(passed) }

// take empties the epoch of its successes and tells when they happened, at the latest. If notify, the next success reports
// itself again.
func (e *epoch) take(at instant, notify bool) (n uint64, moment instant) {
	if notify {
		e.flag.CompareAndSwap(noticed, unnoticed)
	}
	if end := time.Duration(e.bucket.Load()); end != 0 && end < at.up {
		late := at.up - end
		at = instant{at.up - late, at.wall - late}
	}
	return e.successes.take(), at
}

// startBucket makes the successes of from now on, for that width, count as one moment.
func (e *epoch) startBucket(up, width time.Duration) { e.bucket.Store(int64(up + width)) }

// bucketOver reports that a success of now belongs to a later moment than those that are counted.
func (e *epoch) bucketOver(up time.Duration) bool { return int64(up) >= e.bucket.Load() }

// next is the epoch that follows e, which may be nil. If nobody collects successes when told, they need not tell.
func (e *epoch) next(owner *coordinator, generation, local uint64, collected bool) *epoch {
	next := &epoch{owner: owner, generation: generation, local: local}
	if !collected {
		next.flag.Store(noticed)
	}
	if e != nil && e.successes.isSharded() {
		next.successes.shard()
	}
	return next
}
