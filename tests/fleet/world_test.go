package fleet

import (
	"context"
	"errors"
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

const tierName = "tier"

var errTier = errors.New("tier failed")

// world is a fleet of replicas that call one tier, in a bubble.
type world struct {
	t        *testing.T
	ctx      context.Context
	store    *memorystore.Store
	net      Network
	policy   store.Policy
	seed     uint64
	tier     tier
	replicas []*replica
	made     int
}

func newWorld(t *testing.T, seed uint64, net Network, policy store.Policy) *world {
	t.Helper()
	return &world{t: t, ctx: t.Context(), store: memorystore.New(), net: net, policy: policy, seed: seed}
}

// tier is what the fleet calls. Its ledger is the truth that everything else is compared with.
type tier struct {
	errorRate atomic.Uint64 // in 1/10000
	latency   atomic.Int64
	calls     atomic.Uint64
	failures  atomic.Uint64
	probes    atomic.Int64 // that ever arrived
	probing   atomic.Int64 // in flight
	mostProbe atomic.Int64 // in flight at once
}

func (tr *tier) fail(share float64) { tr.errorRate.Store(uint64(share * 10_000)) }

func (tr *tier) call(ctx context.Context, draw uint64, probe bool) error {
	tr.calls.Add(1)
	if probe {
		tr.probes.Add(1)
		now := tr.probing.Add(1)
		defer tr.probing.Add(-1)
		for most := tr.mostProbe.Load(); now > most && !tr.mostProbe.CompareAndSwap(most, now); most = tr.mostProbe.Load() {
		}
	}
	if err := wait(ctx, time.Duration(tr.latency.Load())); err != nil {
		tr.failures.Add(1)
		return err
	}
	if draw < tr.errorRate.Load() {
		tr.failures.Add(1)
		return errTier
	}
	return nil
}

// replica is one Manager, its link to the store, and what its listener heard.
type replica struct {
	w       *world
	link    *Link
	manager *breaker.Manager
	breaker *breaker.Breaker
	rng     *rand.Rand
	stop    context.CancelFunc
	done    sync.WaitGroup

	mu    sync.Mutex
	heard []store.Transition
	kinds map[breaker.EventKind]int
	bad   []string // broken promises
	last  breaker.Status
}

// join adds a replica that calls the tier every so often, until it leaves or the test ends.
func (w *world) join(every time.Duration) *replica {
	w.t.Helper()
	w.made++
	seed := w.seed<<20 + uint64(w.made)
	r := &replica{
		w: w, link: Connect(w.store, w.net, seed), rng: rand.New(rand.NewPCG(seed, 1)),
		kinds: map[breaker.EventKind]int{},
	}
	var err error
	r.manager, err = breaker.NewManager(r.link, breaker.WithReplica(fmt.Sprintf("web-%d", w.made)),
		breaker.WithPolicy(w.policy), breaker.WithListener(r.hear))
	if err != nil {
		w.t.Fatal(err)
	}
	if r.breaker, err = r.manager.Register(w.ctx, tierName); err != nil {
		w.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(w.ctx)
	r.stop = stop
	r.done.Go(func() {
		for wait(ctx, every/2+time.Duration(r.rng.Int64N(int64(every)))) == nil {
			r.call(ctx)
		}
	})
	w.replicas = append(w.replicas, r)
	return r
}

// leave stops the replica's calls and closes its Manager, which reports what is pending.
func (r *replica) leave() {
	r.w.t.Helper()
	r.stop()
	r.done.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := r.manager.Close(ctx); err != nil && r.w.net == (Network{}) {
		r.w.t.Errorf("%s: Close: %v", r.manager.Replica(), err)
	}
	r.look()
}

func (r *replica) call(ctx context.Context) {
	permit, err := r.breaker.Acquire(ctx)
	if err != nil {
		return
	}
	permit.Done(r.w.tier.call(permit.Context(), r.rng.Uint64N(10_000), permit.Probe()))
	r.look()
}

// look holds the replica to what it may never do.
func (r *replica) look() {
	status := r.breaker.Status()
	r.mu.Lock()
	defer r.mu.Unlock()
	if status.Fleet.Generation < r.last.Fleet.Generation || status.Fleet.Rev < r.last.Fleet.Rev {
		r.bad = append(r.bad, fmt.Sprintf("its view went back from %d/%d to %d/%d",
			r.last.Fleet.Generation, r.last.Fleet.Rev, status.Fleet.Generation, status.Fleet.Rev))
	}
	r.last = status
}

func (r *replica) hear(e breaker.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kinds[e.Kind]++
	if e.Kind != breaker.Transitioned && e.Kind != breaker.Repaired {
		return
	}
	if n := len(r.heard); n > 0 && r.heard[n-1].Generation >= e.Transition.Generation {
		r.bad = append(r.bad, fmt.Sprintf("it heard of generation %d after %d", e.Transition.Generation, r.heard[n-1].Generation))
	}
	r.heard = append(r.heard, e.Transition)
}

// truth is what the store says.
func (w *world) truth() store.Snapshot {
	w.t.Helper()
	snapshots, err := w.store.Read(context.Background(), tierName)
	if err != nil || len(snapshots) != 1 {
		w.t.Fatalf("Read gave %v, %v", snapshots, err)
	}
	return snapshots[0]
}

// pass lets virtual time go by.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	if err := wait(w.ctx, d); err != nil {
		w.t.Fatal(err)
	}
}

// verify holds the fleet to its promises, after the network healed.
func (w *world) verify() {
	w.t.Helper()
	truth := w.truth()
	for _, r := range w.replicas {
		r.mu.Lock()
		for _, bad := range r.bad {
			w.t.Errorf("%s: %s", r.manager.Replica(), bad)
		}
		r.mu.Unlock()
	}
	if most, budget := w.tier.mostProbe.Load(), int64(w.policy.Probes); most > budget {
		w.t.Errorf("%d probes reached the tier at once, the budget is %d", most, budget)
	}
	var lost uint64
	for _, r := range w.replicas {
		lost += r.breaker.Status().Lost
	}
	produced, probes := w.tier.calls.Load(), uint64(w.tier.probes.Load())
	counted := truth.Totals.Calls + truth.Totals.Ignored + truth.Totals.Late
	if counted > produced {
		w.t.Errorf("%d outcomes are counted, %d calls were made: some count twice", counted, produced)
	}
	if produced > counted+lost+probes {
		w.t.Errorf("%d calls were made, %d are counted, %d said to be lost, %d were probes: some vanished",
			produced, counted, lost, probes)
	}
}
