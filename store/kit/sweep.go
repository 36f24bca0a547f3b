package storekit

import (
	"context"
	"math/rand/v2"
	"sync"

	"github.com/commontrip/commontrip/internal/limits"
)

const sweepEvery = limits.QuietSet // ms of the store's clock

// sweeper says when to sweep.
type sweeper struct {
	mu   sync.Mutex
	last int64 // when it was last due, ms of the store's clock
}

// due reports that it is time to sweep. One replica of a fleet does it each time, on average.
func (w *sweeper) due(now int64, replicas int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	passed := now - w.last
	if passed >= 0 && passed < sweepEvery {
		return false
	}
	w.last = now // after a step back it begins again
	return passed > 0 && rand.N(max(replicas, 1)) == 0
}

// sweepSome lets the back end forget what is over, if it is time to. If it fails a later one does it.
func (s *Store) sweepSome(ctx context.Context, now int64, replicas int) {
	if s.sweeper.due(now, replicas) {
		_ = s.call(ctx, "Sweep", func(ctx context.Context) error { return s.backend.Sweep(ctx, now) })
	}
}
