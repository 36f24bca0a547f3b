package storetest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/commontrip/commontrip/store"
)

// InProcess is the harness of a store that lives in one process, whose every handle would be the same value: it hands
// out handles that share one store and are closed one by one, and wipes by beginning with another store. open makes an
// empty store on a clock; all handles are taken to be on the same one.
func InProcess(open func(now func() time.Time) store.Store) Harness {
	s := &shared{open: open}
	return Harness{
		Open: func(t testing.TB, now func() time.Time) store.Store {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.now == nil {
				s.now, s.current = now, open(now)
				t.Cleanup(func() { _ = s.get().Close() })
			}
			ctx, end := context.WithCancelCause(context.Background())
			return &handle{shared: s, ctx: ctx, end: end}
		},
		Wipe: func(testing.TB) {
			s.mu.Lock()
			defer s.mu.Unlock()
			_ = s.current.Close()
			s.current = open(s.now)
		},
	}
}

type shared struct {
	open func(now func() time.Time) store.Store

	mu      sync.Mutex
	now     func() time.Time
	current store.Store
}

func (s *shared) get() store.Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

// handle passes everything on, while it is open, to the store that is current; then to one that is closed.
type handle struct {
	shared *shared
	ctx    context.Context // ends with the handle
	end    context.CancelCauseFunc
}

func (h *handle) get() store.Store {
	if h.ctx.Err() == nil {
		return h.shared.get()
	}
	closed := h.shared.open(h.shared.now)
	_ = closed.Close()
	return closed
}

func (h *handle) Sync(ctx context.Context, reports []store.Report) []store.Result {
	return h.get().Sync(ctx, reports)
}

func (h *handle) Claim(ctx context.Context, c store.Claim) (store.Grant, error) {
	return h.get().Claim(ctx, c)
}

func (h *handle) Settle(ctx context.Context, s store.Settlement) (store.Result, error) {
	return h.get().Settle(ctx, s)
}

func (h *handle) Command(ctx context.Context, c store.Command) (store.Result, error) {
	return h.get().Command(ctx, c)
}

func (h *handle) Read(ctx context.Context, names ...string) ([]store.Snapshot, error) {
	return h.get().Read(ctx, names...)
}

func (h *handle) Versions(ctx context.Context, names ...string) ([]store.Version, error) {
	return h.get().Versions(ctx, names...)
}

func (h *handle) Roster(ctx context.Context, name string) ([]store.Replica, error) {
	return h.get().Roster(ctx, name)
}

func (h *handle) History(ctx context.Context, name string, limit int) ([]store.Transition, error) {
	return h.get().History(ctx, name, limit)
}

func (h *handle) Watch(ctx context.Context, fn func(store.Event)) error {
	ours, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	defer context.AfterFunc(h.ctx, func() { stop(context.Cause(h.ctx)) })()
	err := h.get().Watch(ours, fn)
	if cause := context.Cause(ours); errors.Is(cause, store.ErrClosed) {
		return cause
	}
	return err
}

func (h *handle) Remove(ctx context.Context, name string) error { return h.get().Remove(ctx, name) }
func (h *handle) Lane(name string) int                          { return h.get().Lane(name) }
func (h *handle) Info() store.Info                              { return h.get().Info() }

func (h *handle) Ping(ctx context.Context) error {
	if p, ok := h.get().(store.Pinger); ok {
		return p.Ping(ctx)
	}
	if h.ctx.Err() != nil {
		return store.ErrClosed
	}
	return ctx.Err()
}

func (h *handle) Close() error {
	h.end(store.ErrClosed)
	return nil
}
