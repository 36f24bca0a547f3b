package breaker

import (
	"context"
	"sync"
	"time"

	"github.com/commontrip/commontrip/internal/guard"
	"github.com/commontrip/commontrip/store"
)

// lease is a store's or a local breaker's, with the uptime at which it ends for this replica.
type lease struct {
	store.Lease
	ends time.Duration
}

// usable is how much of a lease its replica uses, so that its settlement comes in time.
func usable(d time.Duration) time.Duration {
	// mutant: usable
	return d / 10 * 9
}

// tracker counts what is on its way. It is safe for concurrent use.
type tracker struct {
	mu   sync.Mutex
	n    int
	idle chan struct{} // closed once nothing is; nil: nobody waits for that
}

// start notes that something has started, and gives the function that notes its end.
func (t *tracker) start() (end func()) {
	t.mu.Lock()
	t.n++
	t.mu.Unlock()
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.n--; t.n == 0 && t.idle != nil {
			close(t.idle)
			t.idle = nil
		}
	}
}

// wait waits until nothing is on its way.
func (t *tracker) wait(ctx context.Context) error {
	t.mu.Lock()
	if t.n == 0 {
		t.mu.Unlock()
		return nil
	}
	if t.idle == nil {
		t.idle = make(chan struct{})
	}
	idle := t.idle
	t.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return guard.Ended(ctx)
	}
}
