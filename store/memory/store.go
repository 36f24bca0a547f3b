package memorystore

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/commontrip/commontrip/internal/limits"
	"github.com/commontrip/commontrip/internal/machine"
	"github.com/commontrip/commontrip/store"
)

// Store is a [store.Store] in memory. It is safe for concurrent use.
type Store struct {
	now        func() time.Time
	entries    sync.Map // name -> *entry
	tombstones tombstones
	watch      watchers
	closed     atomic.Bool
	done       chan struct{}
}

var (
	_ store.Store  = (*Store)(nil)
	_ store.Pinger = (*Store)(nil)
)

// Option configures a Store.
type Option func(*Store)

// WithClock makes the store tell the time by now, called once a request, from any goroutine; the default is time.Now.
// It may step back or forward as a machine's clock does, and must not call the store.
func WithClock(now func() time.Time) Option {
	if now == nil {
		panic("memorystore: WithClock needs a function")
	}
	return func(s *Store) { s.now = now }
}

// New makes an empty store.
func New(opts ...Option) *Store {
	s := &Store{now: time.Now, done: make(chan struct{})}
	for _, opt := range opts {
		opt(s)
	}
	return s
}

// Sync implements [store.Store].
func (s *Store) Sync(ctx context.Context, reports []store.Report) []store.Result {
	results := make([]store.Result, len(reports))
	err := s.enter(ctx, "Sync")
	for i := range reports {
		if err != nil {
			results[i].Err = err
			continue
		}
		results[i] = s.report(&reports[i])
	}
	return results
}

// report carries out one report.
func (s *Store) report(given *store.Report) (result store.Result) {
	r, err := given.Normalize()
	if err != nil {
		return store.Result{Err: err}
	}
	s.write(r.Name, true, func(m *machine.Machine, now int64) {
		result = m.Report(now, r)
	})
	return result
}

// Claim implements [store.Store].
func (s *Store) Claim(ctx context.Context, c store.Claim) (grant store.Grant, err error) {
	if err := s.enter(ctx, "Claim"); err != nil {
		return store.Grant{}, err
	}
	if c, err = c.Normalize(); err != nil {
		return store.Grant{}, err
	}
	s.write(c.Name, true, func(m *machine.Machine, now int64) {
		grant, err = m.Claim(now, c, rand.Int64N(limits.MaxSpread+1))
	})
	return grant, err
}

// Settle implements [store.Store].
func (s *Store) Settle(ctx context.Context, set store.Settlement) (store.Result, error) {
	if err := s.enter(ctx, "Settle"); err != nil {
		return store.Result{}, err
	}
	set, err := set.Normalize()
	if err != nil {
		return store.Result{}, err
	}
	result := store.Result{Snapshot: store.Snapshot{Name: set.Lease.Name}}
	s.write(set.Lease.Name, false, func(m *machine.Machine, now int64) {
		result = m.Settle(now, set)
	})
	return result, nil
}

// Command implements [store.Store].
func (s *Store) Command(ctx context.Context, c store.Command) (result store.Result, err error) {
	if err := s.enter(ctx, "Command"); err != nil {
		return store.Result{}, err
	}
	if c, err = c.Normalize(); err != nil {
		return store.Result{}, err
	}
	err = store.ErrUnknown
	s.write(c.Name, false, func(m *machine.Machine, now int64) {
		result, err = m.Command(now, c)
	})
	return result, err
}

// Read implements [store.Store].
func (s *Store) Read(ctx context.Context, names ...string) ([]store.Snapshot, error) {
	if err := s.enter(ctx, "Read"); err != nil {
		return nil, err
	}
	if len(names) == 0 {
		names = s.names()
	}
	var out []store.Snapshot
	for _, name := range names {
		s.read(name, func(m *machine.Machine, now int64) {
			if snapshot, ok := m.Snapshot(now, name); ok {
				out = append(out, snapshot)
			}
		})
	}
	return out, nil
}

// Versions implements [store.Store].
func (s *Store) Versions(ctx context.Context, names ...string) ([]store.Version, error) {
	if err := s.enter(ctx, "Versions"); err != nil {
		return nil, err
	}
	var out []store.Version
	for _, name := range names {
		s.read(name, func(m *machine.Machine, now int64) {
			if version, ok := m.Version(now, name); ok {
				out = append(out, version)
			}
		})
	}
	return out, nil
}

// Roster implements [store.Store].
func (s *Store) Roster(ctx context.Context, name string) (roster []store.Replica, err error) {
	if err := s.enter(ctx, "Roster"); err != nil {
		return nil, err
	}
	s.read(name, func(m *machine.Machine, now int64) { roster = m.Roster(now) })
	return roster, nil
}

// History implements [store.Store].
func (s *Store) History(ctx context.Context, name string, limit int) (history []store.Transition, err error) {
	if err := s.enter(ctx, "History"); err != nil {
		return nil, err
	}
	s.read(name, func(m *machine.Machine, now int64) { history = m.History(now, name, limit) })
	return history, nil
}

// Remove implements [store.Store].
func (s *Store) Remove(ctx context.Context, name string) error {
	if err := s.enter(ctx, "Remove"); err != nil {
		return err
	}
	s.write(name, false, func(m *machine.Machine, now int64) { m.Remove(now) })
	s.bury(name)
	return nil
}

// Lane implements [store.Store]: all names share the fate of this process, lane 0.
func (s *Store) Lane(string) int { return 0 }

// Info implements [store.Store].
func (s *Store) Info() store.Info { return store.Info{Kind: "memory"} }

// Ping implements [store.Pinger]: it fails only if the store was closed or ctx has ended.
func (s *Store) Ping(ctx context.Context) error { return s.enter(ctx, "Ping") }

// Close ends every Watch. It is idempotent.
func (s *Store) Close() error {
	if s.closed.CompareAndSwap(false, true) {
		close(s.done)
	}
	return nil
}

// enter is what every verb asks first.
func (s *Store) enter(ctx context.Context, verb string) error {
	if ctx == nil {
		panic("memorystore: " + verb + " needs a context; it was given nil")
	}
	if s.closed.Load() {
		return store.ErrClosed
	}
	return ctx.Err()
}

// names lists all names, in order.
func (s *Store) names() []string {
	var names []string
	s.entries.Range(func(name, _ any) bool {
		names = append(names, name.(string))
		return true
	})
	slices.SortFunc(names, strings.Compare)
	return names
}
