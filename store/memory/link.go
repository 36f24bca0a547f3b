package memorystore

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/commontrip/commontrip/store"
)

// Link is one replica's way to a Store, for tests of programs whose breakers share a verdict: a fleet needs no server
// then, and an outage is a call of [Link.Cut] or [Link.Fail]. To the replica the store behind it is remote: outcomes
// travel in batches, and the default policy is that of a fleet. Several links to one Store are several replicas' ways,
// each with faults of its own. A Link starts no goroutine and is safe for concurrent use; in a test of
// testing/synctest its time is virtual.
type Link struct {
	to *Store
	mu sync.Mutex // of changing
	is atomic.Pointer[condition]
}

// condition is how a link is for a while.
type condition struct {
	while  context.Context // ends with it
	end    context.CancelFunc
	silent bool
	err    error
}

var (
	_ store.Store  = (*Link)(nil)
	_ store.Pinger = (*Link)(nil)
)

// NewLink makes a link to s that works.
func NewLink(s *Store) *Link {
	if s == nil {
		panic("memorystore: NewLink needs a store; it was given nil")
	}
	l := &Link{to: s}
	l.is.Store(newCondition(false, nil))
	return l
}

// newCondition makes one that lasts until it is ended.
func newCondition(silent bool, err error) *condition {
	while, end := context.WithCancel(context.Background())
	return &condition{while, end, silent, err}
}

// Cut makes the link silent, as a network does that drops every packet: a request waits until its context ends, or until
// the link is mended or fails. Pushes are lost.
func (l *Link) Cut() { l.change(newCondition(true, nil)) }

// Fail makes every request fail with err at once, as a server does that is not there. Pushes are lost. An err that is
// [store.ErrInvalid] or [store.ErrUnknown] would say of a working store that it was asked wrongly.
func (l *Link) Fail(err error) {
	if err == nil {
		panic("memorystore: Fail needs an error; it was given nil")
	}
	l.change(newCondition(false, err))
}

// Mend ends what Cut or Fail began. Watchers get a Resync.
func (l *Link) Mend() { l.change(newCondition(false, nil)) }

// Close closes the link for good and leaves the store open.
func (l *Link) Close() error {
	l.change(newCondition(false, store.ErrClosed))
	return nil
}

// change puts the link into another condition, unless it is closed.
func (l *Link) change(to *condition) {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.is.Load()
	if errors.Is(was.err, store.ErrClosed) {
		return
	}
	l.is.Store(to)
	was.end()
}

// cross waits while the link is silent, and tells how it fails.
func (l *Link) cross(ctx context.Context) error {
	for {
		c := l.is.Load()
		if !c.silent {
			return c.err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.while.Done():
		}
	}
}

// across makes a request of the store's, if the link lets it through.
func across[T any](ctx context.Context, l *Link, request func() (T, error)) (T, error) {
	if err := l.cross(ctx); err != nil {
		var none T
		return none, err
	}
	return request()
}

// Sync implements [store.Store].
func (l *Link) Sync(ctx context.Context, reports []store.Report) []store.Result {
	if err := l.cross(ctx); err != nil {
		results := make([]store.Result, len(reports))
		for i := range results {
			results[i].Err = err
		}
		return results
	}
	return l.to.Sync(ctx, reports)
}

// Claim implements [store.Store].
func (l *Link) Claim(ctx context.Context, c store.Claim) (store.Grant, error) {
	return across(ctx, l, func() (store.Grant, error) { return l.to.Claim(ctx, c) })
}

// Settle implements [store.Store].
func (l *Link) Settle(ctx context.Context, s store.Settlement) (store.Result, error) {
	return across(ctx, l, func() (store.Result, error) { return l.to.Settle(ctx, s) })
}

// Command implements [store.Store].
func (l *Link) Command(ctx context.Context, c store.Command) (store.Result, error) {
	return across(ctx, l, func() (store.Result, error) { return l.to.Command(ctx, c) })
}

// Read implements [store.Store].
func (l *Link) Read(ctx context.Context, names ...string) ([]store.Snapshot, error) {
	return across(ctx, l, func() ([]store.Snapshot, error) { return l.to.Read(ctx, names...) })
}

// Versions implements [store.Store].
func (l *Link) Versions(ctx context.Context, names ...string) ([]store.Version, error) {
	return across(ctx, l, func() ([]store.Version, error) { return l.to.Versions(ctx, names...) })
}

// Roster implements [store.Store].
func (l *Link) Roster(ctx context.Context, name string) ([]store.Replica, error) {
	return across(ctx, l, func() ([]store.Replica, error) { return l.to.Roster(ctx, name) })
}

// History implements [store.Store].
func (l *Link) History(ctx context.Context, name string, limit int) ([]store.Transition, error) {
	return across(ctx, l, func() ([]store.Transition, error) { return l.to.History(ctx, name, limit) })
}

// Remove implements [store.Store].
func (l *Link) Remove(ctx context.Context, name string) error {
	_, err := across(ctx, l, func() (struct{}, error) { return struct{}{}, l.to.Remove(ctx, name) })
	return err
}

// Ping implements [store.Pinger].
func (l *Link) Ping(ctx context.Context) error {
	_, err := across(ctx, l, func() (struct{}, error) { return struct{}{}, l.to.Ping(ctx) })
	return err
}

// Watch implements [store.Store]: while the link works it watches the store, and begins again when it works again.
func (l *Link) Watch(ctx context.Context, fn func(store.Event)) error {
	for {
		c := l.is.Load()
		switch {
		case errors.Is(c.err, store.ErrClosed):
			return store.ErrClosed
		case c.silent || c.err != nil:
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-c.while.Done():
			}
		default:
			if err := l.watchWhile(ctx, c, fn); err != nil {
				return err
			}
		}
	}
}

// watchWhile watches as long as the link is so; it returns nil if the link changed.
func (l *Link) watchWhile(ctx context.Context, c *condition, fn func(store.Event)) error {
	ours, stop := context.WithCancel(ctx)
	defer stop()
	unhook := context.AfterFunc(c.while, stop)
	defer unhook()
	passOn := fn
	if fn != nil { // the store says what it thinks of nil
		passOn = func(e store.Event) {
			if c.while.Err() == nil {
				fn(e)
			}
		}
	}
	err := l.to.Watch(ours, passOn)
	if ctx.Err() == nil && c.while.Err() != nil {
		return nil
	}
	return err
}

// Lane implements [store.Store].
func (l *Link) Lane(name string) int { return l.to.Lane(name) }

// Info says that the store is remote.
func (l *Link) Info() store.Info { return store.Info{Kind: l.to.Info().Kind, Remote: true} }
