package storetest

import (
	"context"
	"sync"

	"github.com/commontrip/commontrip/store"
)

// bad is a store that does one thing wrong: its hooks change what goes into the honest store, and what comes out.
type bad struct {
	store.Store
	report     func(r *store.Report)
	result     func(r store.Report, out *store.Result)
	results    func(out []store.Result)
	claim      func(c *store.Claim)
	grant      func(c store.Claim, g *store.Grant)
	settlement func(s *store.Settlement)
	settled    func(out *store.Result)
	policy     func(p *store.Policy)
	before     func()
	command    func(c *store.Command)
	commanded  func(c store.Command, out *store.Result)
	read       func(names []string)
	versions   func(v []store.Version)
	roster     func(name string, r []store.Replica)
	history    func(h []store.Transition) []store.Transition
	watch      func(fn func(store.Event)) func(store.Event)
	remove     func(name string) error
}

func call[T any](hook func(*T), v *T) {
	if hook != nil {
		hook(v)
	}
}

func (b *bad) enter() {
	if b.before != nil {
		b.before()
	}
}

func (b *bad) Sync(ctx context.Context, reports []store.Report) []store.Result {
	b.enter()
	var out []store.Result
	for _, r := range reports {
		call(b.report, &r)
		call(b.policy, &r.Policy)
		result := b.Store.Sync(ctx, []store.Report{r})[0]
		if b.result != nil {
			b.result(r, &result)
		}
		out = append(out, result)
	}
	if b.results != nil {
		b.results(out)
	}
	return out
}

func (b *bad) Claim(ctx context.Context, c store.Claim) (store.Grant, error) {
	b.enter()
	call(b.claim, &c)
	call(b.policy, &c.Policy)
	g, err := b.Store.Claim(ctx, c)
	if b.grant != nil && err == nil {
		b.grant(c, &g)
	}
	return g, err
}

func (b *bad) Settle(ctx context.Context, s store.Settlement) (store.Result, error) {
	b.enter()
	call(b.settlement, &s)
	result, err := b.Store.Settle(ctx, s)
	call(b.settled, &result)
	return result, err
}

func (b *bad) Command(ctx context.Context, c store.Command) (store.Result, error) {
	b.enter()
	call(b.command, &c)
	call(b.policy, &c.Policy)
	result, err := b.Store.Command(ctx, c)
	if b.commanded != nil && err == nil {
		b.commanded(c, &result)
	}
	return result, err
}

func (b *bad) Read(ctx context.Context, names ...string) ([]store.Snapshot, error) {
	b.enter()
	if b.read != nil {
		b.read(names)
	}
	return b.Store.Read(ctx, names...)
}

func (b *bad) Versions(ctx context.Context, names ...string) ([]store.Version, error) {
	v, err := b.Store.Versions(ctx, names...)
	if b.versions != nil {
		b.versions(v)
	}
	return v, err
}

func (b *bad) Roster(ctx context.Context, name string) ([]store.Replica, error) {
	r, err := b.Store.Roster(ctx, name)
	if b.roster != nil {
		b.roster(name, r)
	}
	return r, err
}

func (b *bad) History(ctx context.Context, name string, limit int) ([]store.Transition, error) {
	h, err := b.Store.History(ctx, name, limit)
	if b.history != nil {
		h = b.history(h)
	}
	return h, err
}

func (b *bad) Watch(ctx context.Context, fn func(store.Event)) error {
	if b.watch != nil {
		fn = b.watch(fn)
	}
	return b.Store.Watch(ctx, fn)
}

func (b *bad) Remove(ctx context.Context, name string) error {
	if b.remove != nil {
		return b.remove(name)
	}
	return b.Store.Remove(ctx, name)
}

// now is the snapshot of a breaker in the honest store, or zero.
func (b *bad) now(name string) store.Snapshot {
	s, _ := b.Store.Read(context.Background(), name)
	if len(s) == 0 {
		return store.Snapshot{}
	}
	return s[0]
}

// order gives a command to the honest store.
func (b *bad) order(name string, a store.Action) store.Result {
	result, _ := b.Store.Command(context.Background(), store.Command{Name: name, Action: a, By: "faulty store"})
	return result
}

// memo is a map that several goroutines use.
type memo[K comparable, V any] struct {
	mu sync.Mutex
	m  map[K]V
}

func (m *memo[K, V]) put(k K, v V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.m == nil {
		m.m = map[K]V{}
	}
	m.m[k] = v
}

func (m *memo[K, V]) get(k K) (V, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.m[k]
	return v, ok
}
