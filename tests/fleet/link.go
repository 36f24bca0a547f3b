package fleet

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/commontrip/commontrip/store"
)

// Network is what lies between a replica and its store. Shares are 0..1.
type Network struct {
	MinDelay, MaxDelay time.Duration // of each way, drawn evenly; of a push too, so that pushes overtake each other
	LoseRequest        float64       // the store never sees it, the replica waits in vain
	LoseReply          float64       // the store carried it out, the replica waits in vain
	Double             float64       // the store is asked twice
	LosePush           float64       // without a resync: nobody notices
	DoublePush         float64
}

// Link is one replica's connection to a store, across a network. To the replica it is a remote store.
type Link struct {
	store.Store
	net    Network
	isCut  atomic.Bool
	Syncs  atomic.Uint64 // reports that reached the store
	Claims atomic.Uint64 // claims that reached the store

	mu  sync.Mutex
	rng *rand.Rand
}

// Connect gives a link to s. Two links with the same seed fail alike.
func Connect(s store.Store, net Network, seed uint64) *Link {
	return &Link{Store: s, net: net, rng: rand.New(rand.NewPCG(seed, 0))}
}

// Cut makes the network swallow everything, or ends that.
func (l *Link) Cut(cut bool) { l.isCut.Store(cut) }

// Info says that the store is remote.
func (l *Link) Info() store.Info { return store.Info{Kind: "simulated", Remote: true} }

// Close leaves the store behind the link open.
func (l *Link) Close() error { return nil }

// Sync carries reports across the network.
func (l *Link) Sync(ctx context.Context, reports []store.Report) []store.Result {
	results, err := exchange(ctx, l, func() ([]store.Result, error) {
		l.Syncs.Add(uint64(len(reports)))
		return l.Store.Sync(ctx, reports), nil
	})
	if err != nil {
		results = make([]store.Result, len(reports))
		for i := range results {
			results[i].Err = err
		}
	}
	return results
}

// Claim carries a claim across the network.
func (l *Link) Claim(ctx context.Context, c store.Claim) (store.Grant, error) {
	return exchange(ctx, l, func() (store.Grant, error) {
		l.Claims.Add(1)
		return l.Store.Claim(ctx, c)
	})
}

// Settle carries a settlement across the network.
func (l *Link) Settle(ctx context.Context, s store.Settlement) (store.Result, error) {
	return exchange(ctx, l, func() (store.Result, error) { return l.Store.Settle(ctx, s) })
}

// Command carries a command across the network.
func (l *Link) Command(ctx context.Context, c store.Command) (store.Result, error) {
	return exchange(ctx, l, func() (store.Result, error) { return l.Store.Command(ctx, c) })
}

// Read reads across the network.
func (l *Link) Read(ctx context.Context, names ...string) ([]store.Snapshot, error) {
	return exchange(ctx, l, func() ([]store.Snapshot, error) { return l.Store.Read(ctx, names...) })
}

// Versions reads across the network.
func (l *Link) Versions(ctx context.Context, names ...string) ([]store.Version, error) {
	return exchange(ctx, l, func() ([]store.Version, error) { return l.Store.Versions(ctx, names...) })
}

// History reads across the network.
func (l *Link) History(ctx context.Context, name string, limit int) ([]store.Transition, error) {
	return exchange(ctx, l, func() ([]store.Transition, error) { return l.Store.History(ctx, name, limit) })
}

// exchange sends a request and waits for its reply, or in vain until ctx ends.
func exchange[T any](ctx context.Context, l *Link, request func() (T, error)) (T, error) {
	var none T
	if err := wait(ctx, l.delay()); err != nil {
		return none, err
	}
	if l.isCut.Load() || l.chance(l.net.LoseRequest) {
		<-ctx.Done()
		return none, ctx.Err()
	}
	reply, err := request()
	if l.chance(l.net.Double) {
		reply, err = request()
	}
	if l.isCut.Load() || l.chance(l.net.LoseReply) {
		<-ctx.Done()
		return none, ctx.Err()
	}
	if err := wait(ctx, l.delay()); err != nil {
		return none, err
	}
	return reply, err
}

// Watch delivers pushes late, out of order, twice, or not at all.
func (l *Link) Watch(ctx context.Context, fn func(store.Event)) error {
	arrived := make(chan store.Event)
	var inFlight sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	delivered := make(chan struct{})
	go func() {
		defer close(delivered)
		for {
			select {
			case event := <-arrived:
				fn(event)
			case <-ctx.Done():
				return
			}
		}
	}()
	send := func(event store.Event) {
		inFlight.Go(func() {
			if wait(ctx, l.delay()) != nil {
				return
			}
			select {
			case arrived <- event:
			case <-ctx.Done():
			}
		})
	}
	err := l.Store.Watch(ctx, func(event store.Event) {
		if !event.Resync && (l.isCut.Load() || l.chance(l.net.LosePush)) {
			return
		}
		send(event)
		if l.chance(l.net.DoublePush) {
			send(event)
		}
	})
	cancel()
	inFlight.Wait()
	<-delivered
	return err
}

func (l *Link) chance(share float64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rng.Float64() < share
}

func (l *Link) delay() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.net.MinDelay + time.Duration(l.rng.Int64N(int64(l.net.MaxDelay-l.net.MinDelay)+1))
}

// wait takes no timer that is due at once: see the reporter of package breaker.
func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
