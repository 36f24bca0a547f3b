package scale

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

// nearby is a network as within one region.
var nearby = memorystore.Network{Delay: 200 * time.Microsecond, Jitter: 800 * time.Microsecond}

// warmUp fills every window with good calls, those of replicas that share nothing, too.
const warmUp = 15 * time.Second

// detection is how a fleet found out that its tier fails.
type detection struct {
	burnt float64 // failing calls that ran
	after float64 // seconds until the last replica refused
}

// detect simulates replicas with so many calls a second each, whose tier begins to fail with that share of the calls. It
// must be called in virtual time (testing/synctest).
func detect(t *testing.T, replicas int, share float64, shared bool, seed uint64) detection {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var calling sync.WaitGroup
	var failing atomic.Bool
	var burnt atomic.Uint64
	breakers := separateBreakers
	if shared {
		breakers = sharedBreakers
	}
	all, leave := breakers(t, replicas, seed)
	for i, b := range all {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		calling.Go(func() {
			const every = time.Second / callRate
			for sleep(ctx, every/2+time.Duration(rng.Int64N(int64(every)))) {
				_ = b.Run(ctx, func(context.Context) error {
					if failing.Load() && rng.Float64() < share {
						burnt.Add(1)
						return errTier
					}
					return nil
				})
			}
		})
	}
	sleep(ctx, warmUp)
	failing.Store(true)
	began := time.Now()
	for waiting := all; len(waiting) > 0; sleep(ctx, time.Millisecond) {
		waiting = closedOf(waiting)
		if time.Since(began) > 10*time.Minute {
			t.Fatalf("%d of %d replicas call after ten minutes", len(waiting), replicas)
		}
	}
	d := detection{float64(burnt.Load()), time.Since(began).Seconds()}
	stop()
	calling.Wait()
	leave()
	return d
}

func closedOf(all []*breaker.Breaker) (closed []*breaker.Breaker) {
	for _, b := range all {
		if b.State() == breaker.Closed {
			closed = append(closed, b)
		}
	}
	return closed
}

func separateBreakers(t *testing.T, n int, _ uint64) (all []*breaker.Breaker, leave func()) {
	t.Helper()
	for range n {
		b, err := breaker.New("tier", breaker.WithPolicy(store.FleetPolicy()))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	return all, func() {}
}

func sharedBreakers(t *testing.T, n int, seed uint64) (all []*breaker.Breaker, leave func()) {
	t.Helper()
	home := memorystore.New()
	managers := make([]*breaker.Manager, n)
	for i := range managers {
		link := budgeted{memorystore.NewLink(home)}
		network := nearby
		network.Seed = seed<<20 + uint64(i)
		link.Degrade(network)
		m, err := breaker.NewManager(link, breaker.WithReplica(fmt.Sprintf("web-%d", i)), breaker.WithPolicy(store.FleetPolicy()))
		if err != nil {
			t.Fatal(err)
		}
		managers[i] = m
		b, err := m.Register(t.Context(), "tier")
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	return all, func() {
		for _, m := range managers {
			_ = m.Close(context.Background())
		}
	}
}

// budgeted slows its replicas down as the Redis store does with its default budget.
type budgeted struct{ *memorystore.Link }

func (b budgeted) Sync(ctx context.Context, reports []store.Report) []store.Result {
	results := b.Link.Sync(ctx, reports)
	for i := range results {
		results[i].Again = min(time.Duration(results[i].Snapshot.Replicas)*time.Second/budget, time.Second)
	}
	return results
}

// budget is the Redis store's default, in scripts a second a breaker.
const budget = 500
