package storekit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/commontrip/commontrip/store"
)

// Store is a [store.Store] on a Backend. It implements [store.Pinger], and is safe for concurrent use.
type Store struct {
	settings
	backend Backend
	sweeper sweeper

	ctx   context.Context // ends with Close
	end   context.CancelFunc
	mu    sync.Mutex // of entering and closing
	calls sync.WaitGroup
}

var (
	_ store.Store  = (*Store)(nil)
	_ store.Pinger = (*Store)(nil)
)

// New makes a Store on a Backend, which Close closes. It does no I/O. A nil Backend panics.
func New(b Backend, opts ...Option) (*Store, error) {
	if b == nil {
		panic("storekit: New needs a Backend; it was given nil")
	}
	set, err := newSettings(opts)
	if err != nil {
		return nil, err
	}
	s := &Store{settings: set, backend: b}
	s.ctx, s.end = context.WithCancel(context.Background())
	return s, nil
}

// Lane implements [store.Store]: all names share the back end's fate, lane 0.
func (s *Store) Lane(string) int { return 0 }

// Info implements [store.Store].
func (s *Store) Info() store.Info { return store.Info{Kind: s.kind, Remote: true} }

// Ping asks the back end for a sign of life: by its own Ping if it has one, else by a step that does nothing.
func (s *Store) Ping(ctx context.Context) error {
	return s.call(ctx, "Ping", func(ctx context.Context) error {
		if p, ok := s.backend.(store.Pinger); ok {
			return p.Ping(ctx)
		}
		return s.backend.Step(ctx, nil, func(int64, []Record) Effect { return Effect{} })
	})
}

// Close ends every Watch, makes the other methods return [store.ErrClosed], waits until the Backend is at rest, and closes it.
func (s *Store) Close() error {
	s.mu.Lock()
	again := s.ctx.Err() != nil
	s.end()
	s.mu.Unlock()
	if again {
		return nil
	}
	s.calls.Wait()
	return s.backend.Close()
}

// enter begins a call and gives its context, which ends with the Store. leave ends it.
func (s *Store) enter(ctx context.Context, verb string) (inside context.Context, leave func(), err error) {
	if ctx == nil {
		panic("storekit: " + verb + " needs a context; it was given nil")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return nil, nil, store.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	s.calls.Add(1)
	inside, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.ctx, cancel)
	return inside, func() { stop(); cancel(); s.calls.Done() }, nil
}

// call makes one exchange with the Backend, bounded in time.
func (s *Store) call(ctx context.Context, verb string, exchange func(context.Context) error) error {
	ctx, leave, err := s.enter(ctx, verb)
	if err != nil {
		return err
	}
	defer leave()
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.timeout)
		defer cancel()
	}
	err = exchange(ctx)
	switch ended := ctx.Err(); {
	case err == nil:
		return nil
	case s.ctx.Err() != nil:
		return store.ErrClosed
	case ended != nil && !errors.Is(err, ended):
		return fmt.Errorf("%w: %w", ended, err)
	}
	return err
}

// millis is the clock that holds: the back end's, unless a test has set another.
func (s *Store) millis(now int64) int64 {
	if s.clock != nil {
		return s.clock().UnixMilli()
	}
	return now
}

// again spreads a breaker's budget over its replicas.
func (s *Store) again(replicas int) time.Duration {
	return min(time.Duration(replicas)*time.Second/time.Duration(s.budget), time.Second)
}
