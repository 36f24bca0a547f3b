package storekit

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/commontrip/commontrip/store"
)

const (
	backoffBase = 100 * time.Millisecond
	backoffMax  = 5 * time.Second
)

// Watch implements [store.Store]. A connection that is lost is made again, with full jitter and a Resync. One that is silent
// is asked for a sign of life, and lost if it gives none; see [WithHeartbeat].
func (s *Store) Watch(ctx context.Context, fn func(store.Event)) error {
	if fn == nil {
		panic("storekit: Watch needs a function; it was given nil")
	}
	inside, leave, err := s.enter(ctx, "Watch")
	if err != nil {
		return err
	}
	inside, stop := context.WithCancel(inside)
	q := newQueue()
	var following sync.WaitGroup
	following.Go(func() {
		defer leave() // Close waits for the back end, and not for fn, which may be what calls it
		s.follow(inside, q)
	})
	defer following.Wait()
	defer stop()
	for {
		select {
		case <-inside.Done():
			return s.ended(ctx)
		case <-q.wake:
		}
		for _, event := range q.take() {
			if inside.Err() != nil {
				return s.ended(ctx)
			}
			fn(event)
		}
	}
}

// ended says why a Watch ends.
func (s *Store) ended(ctx context.Context) error {
	if s.ctx.Err() != nil {
		return store.ErrClosed
	}
	return ctx.Err()
}

// follow follows the back end until ctx ends, over one connection after another.
func (s *Store) follow(ctx context.Context, q *queue) {
	for attempt := 0; ; attempt++ {
		if s.followOnce(ctx, q) {
			attempt = 0
		}
		wait := rand.N(min(backoffBase<<min(attempt, 10), backoffMax) + 1)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// followOnce follows over one connection, and reports whether that ever stood.
func (s *Store) followOnce(ctx context.Context, q *queue) (stood bool) {
	ctx, cancel := context.WithCancel(ctx)
	w := &watchdog{s: s, lost: cancel, heard: make(chan struct{}, 1)}
	var watching sync.WaitGroup
	watching.Go(func() { w.watch(ctx) })
	defer watching.Wait()
	defer cancel()
	ready := func() {
		w.ready.Store(true)
		w.hear()
		q.send(store.Event{Resync: true})
	}
	_ = s.backend.Follow(ctx, ready, func(data []byte) {
		w.hear()
		if event, ok := decodePush(data); ok {
			q.send(event)
		}
	})
	return w.ready.Load()
}

// watchdog ends a connection that went silent.
type watchdog struct {
	s     *Store
	lost  context.CancelFunc
	ready atomic.Bool
	heard chan struct{} // holds a token if something was heard
}

// hear notes that something came.
func (w *watchdog) hear() {
	select {
	case w.heard <- struct{}{}:
	default:
	}
}

// watch waits for silence, asks for a sign of life, and gives the connection up if none comes. Replicas that share a back end
// hear each other's: what they wait is spread, so that one of them asks for all.
func (w *watchdog) watch(ctx context.Context) {
	if !w.hears(ctx, w.s.timeout+w.s.heartbeat) { // ready
		w.lost()
		return
	}
	for {
		if w.hears(ctx, w.s.heartbeat/2+rand.N(w.s.heartbeat/2+1)) {
			continue
		}
		if ctx.Err() != nil {
			return
		}
		_ = w.s.call(ctx, "Watch", func(ctx context.Context) error { // the answer is the push
			return w.s.backend.Step(ctx, nil, func(int64, []Record) Effect { return Effect{Push: [][]byte{heartbeat}} })
		})
		if !w.hears(ctx, w.s.heartbeat) {
			w.lost()
			return
		}
	}
}

// hears reports that something was heard within d.
func (w *watchdog) hears(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-w.heard:
		return true
	case <-ctx.Done():
		return false
	case <-timer.C:
		return false
	}
}
