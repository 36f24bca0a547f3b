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

// far makes a memory store look remote, with a network that takes a while, breaks or hangs. It is what a Redis store is
// to a Manager, inside a bubble of virtual time.
type far struct {
	*home
	net *network
}

// home is where a fleet's store is, until it loses its memory.
type home struct {
	now atomic.Pointer[memorystore.Store]
}

func newHome() *home {
	h := &home{}
	h.now.Store(memorystore.New())
	return h
}

// wipe makes the store forget everything. Who watches sees a gap.
func (h *home) wipe() { _ = h.now.Swap(memorystore.New()).Close() }

func (f far) store() *memorystore.Store { return f.home.now.Load() }

func (f far) Roster(ctx context.Context, name string) ([]store.Replica, error) {
	return f.store().Roster(ctx, name)
}

func (f far) Remove(ctx context.Context, name string) error { return f.store().Remove(ctx, name) }
func (f far) Lane(string) int                               { return 0 }
func (f far) Close() error                                  { return nil }

type network struct {
	delay  atomic.Int64 // of each exchange, half before and half after the store
	down   atomic.Bool  // every exchange fails, after the delay
	hung   atomic.Bool  // every exchange lasts until its context ends
	deaf   atomic.Bool  // pushes are lost
	lose   atomic.Bool  // answers are lost, requests arrive
	deny   atomic.Bool  // reports are answered, and refused
	blank  atomic.Int64 // so many histories are not answered
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

// trip makes one exchange: there, the work, and back.
func (n *network) trip(ctx context.Context, work func() error) error {
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

func (f far) Info() store.Info { return store.Info{Kind: "far", Remote: true} }

func (f far) Sync(ctx context.Context, reports []store.Report) (results []store.Result) {
	f.net.syncs.Add(1)
	f.net.mu.Lock()
	f.net.reports = append(f.net.reports, reports...)
	f.net.mu.Unlock()
	err := f.net.trip(ctx, func() error { results = f.store().Sync(ctx, reports); return nil })
	if err != nil {
		results = make([]store.Result, len(reports))
		for i := range results {
			results[i].Err = err
		}
	}
	f.net.mu.Lock()
	defer f.net.mu.Unlock()
	for i := range results {
		if f.net.deny.Load() {
			results[i] = store.Result{Err: store.ErrInvalid}
		}
		results[i].Again = f.net.again
	}
	return results
}

func (f far) Claim(ctx context.Context, c store.Claim) (g store.Grant, err error) {
	f.net.claims.Add(1)
	if e := f.net.trip(ctx, func() error { g, err = f.store().Claim(ctx, c); return err }); e != nil {
		return store.Grant{}, e
	}
	return g, nil
}

func (f far) Settle(ctx context.Context, s store.Settlement) (r store.Result, err error) {
	if e := f.net.trip(ctx, func() error { r, err = f.store().Settle(ctx, s); return err }); e != nil {
		return store.Result{}, e
	}
	return r, nil
}

func (f far) Command(ctx context.Context, c store.Command) (r store.Result, err error) {
	if e := f.net.trip(ctx, func() error { r, err = f.store().Command(ctx, c); return err }); e != nil {
		return store.Result{}, e
	}
	return r, nil
}

func (f far) Read(ctx context.Context, names ...string) (s []store.Snapshot, err error) {
	if e := f.net.trip(ctx, func() error { s, err = f.store().Read(ctx, names...); return err }); e != nil {
		return nil, e
	}
	return s, nil
}

func (f far) Versions(ctx context.Context, names ...string) (v []store.Version, err error) {
	f.net.reads.Add(1)
	if e := f.net.trip(ctx, func() error { v, err = f.store().Versions(ctx, names...); return err }); e != nil {
		return nil, e
	}
	return v, nil
}

func (f far) History(ctx context.Context, name string, limit int) (h []store.Transition, err error) {
	if f.net.blank.Add(-1) >= 0 {
		return nil, errNetwork
	}
	if e := f.net.trip(ctx, func() error { h, err = f.store().History(ctx, name, limit); return err }); e != nil {
		return nil, e
	}
	return h, nil
}

func (f far) Watch(ctx context.Context, fn func(store.Event)) error {
	return f.store().Watch(ctx, func(e store.Event) {
		if !f.net.deaf.Load() && !f.net.down.Load() && !f.net.hung.Load() {
			fn(e)
		}
	})
}

// fleet is a memory store that several replicas reach over networks of their own.
type fleet struct {
	*home
	t *testing.T
}

func newFleet(t *testing.T) *fleet { return &fleet{newHome(), t} }

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

// replica starts one. It is closed at the end of the test, unless the test closed it.
func (f *fleet) replica(opts ...breaker.ManagerOption) *replica {
	f.t.Helper()
	net := &network{}
	m, err := breaker.NewManager(far{f.home, net}, opts...)
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

// register registers and does not expect trouble.
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

// bubble runs a test in virtual time.
func bubble(t *testing.T, f func(t *testing.T)) {
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

// refusal is why err refuses a call; empty where it does not.
func refusal(err error) breaker.Refusal {
	var open *breaker.OpenError
	if errors.As(err, &open) {
		return open.Refusal
	}
	return ""
}
