package breaker_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

var errTier = errors.New("the tier failed")

func succeed(context.Context) error { return nil }
func fail(context.Context) error    { return errTier }

// remoteStore makes a memory store look remote, with a network that takes a while, breaks or hangs. It is what a Redis store
// is to a Manager, in virtual time.
type remoteStore struct {
	*backend
	net *network
}

// backend holds what the replicas of a fleet share.
type backend struct {
	now atomic.Pointer[memorystore.Store]
}

func newBackend() *backend {
	b := &backend{}
	b.now.Store(memorystore.New())
	return b
}

// wipe makes the store lose its memory. Each replica that watches it is told of a gap.
func (b *backend) wipe() { _ = b.now.Swap(memorystore.New()).Close() }

func (remote remoteStore) store() *memorystore.Store { return remote.backend.now.Load() }

func (remote remoteStore) Roster(ctx context.Context, name string) ([]store.Replica, error) {
	return remote.store().Roster(ctx, name)
}

func (remote remoteStore) Remove(ctx context.Context, name string) error {
	return remote.store().Remove(ctx, name)
}
func (remote remoteStore) Lane(string) int { return 0 }
func (remote remoteStore) Close() error    { return nil }

// network is a replica's way to the store.
type network struct {
	delay  atomic.Int64 // of each exchange, half before and half after the store
	down   atomic.Bool  // every exchange fails, after the delay
	hung   atomic.Bool  // every exchange lasts until its context ends
	deaf   atomic.Bool  // pushes are lost
	lose   atomic.Bool  // answers are lost, requests arrive
	deny   atomic.Bool  // reports are answered, and refused
	blank  atomic.Int64 // how many histories are not answered from now on
	syncs  atomic.Int64
	reads  atomic.Int64
	claims atomic.Int64

	mu      sync.Mutex
	reports []store.Report
	again   time.Duration
}

var errNetwork = errors.New("connection refused")

func (n *network) wait(ctx context.Context, d time.Duration) error {
	if n.hung.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	if d > 0 {
		select {
		case <-time.After(d):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if n.down.Load() {
		return errNetwork
	}
	return ctx.Err()
}

// exchange makes one exchange: there, the work, and back.
func (n *network) exchange(ctx context.Context, work func() error) error {
	half := time.Duration(n.delay.Load()) / 2
	if err := n.wait(ctx, half); err != nil {
		return err
	}
	err := work()
	if n.lose.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	return errors.Join(err, n.wait(ctx, half))
}

func (remote remoteStore) Info() store.Info { return store.Info{Kind: "remote", Remote: true} }

func (remote remoteStore) Sync(ctx context.Context, reports []store.Report) (results []store.Result) {
	remote.net.syncs.Add(1)
	remote.net.mu.Lock()
	remote.net.reports = append(remote.net.reports, reports...)
	remote.net.mu.Unlock()
	err := remote.net.exchange(ctx, func() error { results = remote.store().Sync(ctx, reports); return nil })
	if err != nil {
		results = make([]store.Result, len(reports))
		for i := range results {
			results[i].Err = err
		}
	}
	remote.net.mu.Lock()
	defer remote.net.mu.Unlock()
	for i := range results {
		if remote.net.deny.Load() {
			results[i] = store.Result{Err: store.ErrInvalid}
		}
		results[i].Again = remote.net.again
	}
	return results
}

func (remote remoteStore) Claim(ctx context.Context, c store.Claim) (g store.Grant, err error) {
	remote.net.claims.Add(1)
	if e := remote.net.exchange(ctx, func() error { g, err = remote.store().Claim(ctx, c); return err }); e != nil {
		return store.Grant{}, e
	}
	return g, nil
}

func (remote remoteStore) Settle(ctx context.Context, s store.Settlement) (r store.Result, err error) {
	if e := remote.net.exchange(ctx, func() error { r, err = remote.store().Settle(ctx, s); return err }); e != nil {
		return store.Result{}, e
	}
	return r, nil
}

func (remote remoteStore) Command(ctx context.Context, c store.Command) (r store.Result, err error) {
	if e := remote.net.exchange(ctx, func() error { r, err = remote.store().Command(ctx, c); return err }); e != nil {
		return store.Result{}, e
	}
	return r, nil
}

func (remote remoteStore) Read(ctx context.Context, names ...string) (s []store.Snapshot, err error) {
	if e := remote.net.exchange(ctx, func() error { s, err = remote.store().Read(ctx, names...); return err }); e != nil {
		return nil, e
	}
	return s, nil
}

func (remote remoteStore) Versions(ctx context.Context, names ...string) (v []store.Version, err error) {
	remote.net.reads.Add(1)
	if e := remote.net.exchange(ctx, func() error { v, err = remote.store().Versions(ctx, names...); return err }); e != nil {
		return nil, e
	}
	return v, nil
}

func (remote remoteStore) History(ctx context.Context, name string, limit int) (h []store.Transition, err error) {
	if remote.net.blank.Add(-1) >= 0 {
		return nil, errNetwork
	}
	if e := remote.net.exchange(ctx, func() error { h, err = remote.store().History(ctx, name, limit); return err }); e != nil {
		return nil, e
	}
	return h, nil
}

func (remote remoteStore) Watch(ctx context.Context, fn func(store.Event)) error {
	return remote.store().Watch(ctx, func(e store.Event) {
		if !remote.net.deaf.Load() && !remote.net.down.Load() && !remote.net.hung.Load() {
			fn(e)
		}
	})
}

// fleet is a memory store that several replicas reach over networks of their own.
type fleet struct {
	*backend
	t *testing.T
}

func newFleet(t *testing.T) *fleet { return &fleet{newBackend(), t} }

// read is what the store holds of a breaker.
func (f *fleet) read(name string) store.Snapshot {
	f.t.Helper()
	s, err := f.now.Load().Read(f.t.Context(), name)
	if err != nil || len(s) != 1 {
		f.t.Fatalf("the store shows %d of %q, %v", len(s), name, err)
	}
	return s[0]
}

// replica is one process of a fleet.
type replica struct {
	*breaker.Manager
	net *network
}

// replica starts one, which the test must close.
func (f *fleet) replica(opts ...breaker.ManagerOption) *replica {
	f.t.Helper()
	net := &network{}
	m, err := breaker.NewManager(remoteStore{f.backend, net}, opts...)
	if err != nil {
		f.t.Fatal(err)
	}
	return &replica{m, net}
}

// close ends a replica whose network may be broken.
func (r *replica) close() {
	r.net.down.Store(false)
	r.net.hung.Store(false)
	r.net.lose.Store(false)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = r.Close(ctx)
}

// register registers a breaker, and fails the test if that fails.
func (r *replica) register(t *testing.T, name string, opts ...breaker.Option) *breaker.Breaker {
	t.Helper()
	b, err := r.Register(t.Context(), name, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// events gathers what a listener hears.
type events struct {
	mu   sync.Mutex
	seen []breaker.Event
}

func (e *events) hear(event breaker.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seen = append(e.seen, event)
}

func (e *events) all() []breaker.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]breaker.Event(nil), e.seen...)
}

func (e *events) kinds() (kinds []breaker.EventKind) {
	for _, event := range e.all() {
		kinds = append(kinds, event.Kind)
	}
	return kinds
}

// inVirtualTime runs a test in virtual time.
func inVirtualTime(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

func times(n int, f func()) {
	for range n {
		f()
	}
}

// wantState fails unless b is in the state.
func wantState(t *testing.T, b *breaker.Breaker, want breaker.State) {
	t.Helper()
	if got := b.State(); got != want {
		t.Fatalf("%s is %v; want %v; status %+v", b.Name(), got, want, b.Status())
	}
}

// refusal is why err refuses a call; empty: it refuses none.
func refusal(err error) breaker.Refusal {
	var open *breaker.OpenError
	if errors.As(err, &open) {
		return open.Refusal
	}
	return ""
}
