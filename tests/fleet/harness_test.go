package fleet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/internal/lab/tier"
	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

const tierName = "tier"

// harness is a fleet of replicas that call one tier, in virtual time.
type harness struct {
	t        *testing.T
	ctx      context.Context
	store    *memorystore.Store
	net      memorystore.Network
	policy   store.Policy
	seed     uint64
	tier     tier.Tier
	opened   atomic.Int64 // when the store opened, in Unix ns; 0 while it is not open
	trips    atomic.Uint64
	replicas []*replica
	made     int
}

func newHarness(t *testing.T, seed uint64, net memorystore.Network, policy store.Policy) *harness {
	t.Helper()
	h := &harness{t: t, ctx: t.Context(), store: memorystore.New(), net: net, policy: policy, seed: seed}
	h.tier.CountsOnly = true
	go func() { _ = h.store.Watch(h.ctx, h.witness) }()
	return h
}

// witness sees what the store itself does, across no network.
func (h *harness) witness(e store.Event) {
	switch {
	case e.Resync:
	case e.Transition.To == breaker.Open:
		h.opened.Store(e.Transition.At.UnixNano())
		h.trips.Add(1)
	default:
		h.opened.Store(0)
	}
}

// link is a replica's way to the store, and what the replica asked by it.
type link struct {
	*memorystore.Link
	reports, claims atomic.Uint64
}

func (l *link) Sync(ctx context.Context, reports []store.Report) []store.Result {
	l.reports.Add(uint64(len(reports)))
	return l.Link.Sync(ctx, reports)
}

func (l *link) Claim(ctx context.Context, c store.Claim) (store.Grant, error) {
	l.claims.Add(1)
	return l.Link.Claim(ctx, c)
}

// replica is one Manager, its link to the store, and what its listener heard.
type replica struct {
	h       *harness
	link    *link
	cuts    uint64 // of the network
	isCut   bool   // guarded by mu
	manager *breaker.Manager
	breaker *breaker.Breaker
	rng     *rand.Rand
	seed    uint64
	ctx     context.Context // ends when it leaves
	stop    context.CancelFunc
	done    sync.WaitGroup

	mu     sync.Mutex
	healed time.Time // when its network last came back
	heard  store.Transition
	bad    []string // broken promises
	last   breaker.Status
	tally  tally
}

// repaired is when a lost push has been made up for, where no answer is lost on top: a RefreshInterval and one exchange.
const repaired = 2 * time.Second

// tally is what one replica, or all of them, saw.
type tally struct {
	trips     int           // heard of
	missed    int           // times that a transition was told which does not follow the one told before
	back      int           // times that a view or what was told went back
	behind    time.Duration // the longest from a trip to its being told, where the network was not cut
	late      int           // trips told later than repaired after
	overshoot int           // calls that reached the tier while the store was open, where the network was not cut
	longest   time.Duration // and the longest after the trip
}

func (s *tally) add(o tally) {
	s.trips += o.trips
	s.missed += o.missed
	s.back += o.back
	s.behind = max(s.behind, o.behind)
	s.late += o.late
	s.overshoot += o.overshoot
	s.longest = max(s.longest, o.longest)
}

// join adds a replica that calls the tier every so often, until it leaves or the test ends.
func (h *harness) join(every time.Duration) *replica {
	h.t.Helper()
	h.made++
	seed := h.seed<<20 + uint64(h.made)
	r := &replica{h: h, link: &link{Link: memorystore.NewLink(h.store)}, rng: rand.New(rand.NewPCG(seed, 1)), seed: seed}
	r.link.Degrade(r.network())
	var err error
	r.manager, err = breaker.NewManager(r.link, breaker.WithReplica(fmt.Sprintf("web-%d", h.made)),
		breaker.WithPolicy(h.policy), breaker.WithListener(r.hear))
	if err != nil {
		h.t.Fatal(err)
	}
	if r.breaker, err = r.manager.Register(h.ctx, tierName); err != nil {
		h.t.Fatal(err)
	}
	r.ctx, r.stop = context.WithCancel(h.ctx)
	r.done.Go(func() {
		for sleep(r.ctx, every/2+time.Duration(r.rng.Int64N(int64(every)))) == nil {
			r.call(r.ctx)
		}
	})
	h.replicas = append(h.replicas, r)
	return r
}

// network is the replica's own, which draws anew after each cut.
func (r *replica) network() memorystore.Network {
	net := r.h.net
	net.Seed = r.seed + r.cuts<<40
	return net
}

// leave stops the replica's calls and closes its Manager, which reports what is pending.
func (r *replica) leave() {
	r.h.t.Helper()
	r.stop()
	r.done.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := r.manager.Close(ctx); err != nil && r.h.net == (memorystore.Network{}) {
		r.h.t.Errorf("%s: Close: %v", r.manager.Replica(), err)
	}
	r.look()
}

func (r *replica) call(ctx context.Context) {
	permit, err := r.breaker.Acquire(ctx)
	if err != nil {
		return
	}
	if opened := r.h.opened.Load(); opened != 0 && !permit.Probe() {
		r.shoot(time.Unix(0, opened))
	}
	permit.Done(r.h.tier.CallDrawn(permit.Context(), tier.Caller{Probe: permit.Probe()}, r.rng.Float64()))
	r.look()
}

// shoot counts a call that reaches the tier although the store has opened: nobody could tell the replica in time.
func (r *replica) shoot(opened time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.isCutSince(opened) {
		r.tally.overshoot++
		r.tally.longest = max(r.tally.longest, time.Since(opened))
	}
}

// isCutSince reports whether the network was cut at that time, or is. r.mu is held.
func (r *replica) isCutSince(at time.Time) bool { return r.isCut || at.Before(r.healed) }

// cut takes the replica's network away for a while. Nobody is told when it is back: what was lost is lost.
func (r *replica) cut(d time.Duration) {
	r.mu.Lock()
	r.isCut = true
	r.mu.Unlock()
	r.link.Degrade(memorystore.Network{LoseRequest: 1, LosePush: 1})
	r.h.pass(d)
	r.cuts++
	r.link.Degrade(r.network())
	r.mu.Lock()
	defer r.mu.Unlock()
	r.isCut, r.healed = false, time.Now()
}

// look holds the replica to what it may never do.
func (r *replica) look() {
	status := r.breaker.Status()
	r.mu.Lock()
	defer r.mu.Unlock()
	if status.Fleet.Generation < r.last.Fleet.Generation || status.Fleet.Rev < r.last.Fleet.Rev {
		r.tally.back++
		r.bad = append(r.bad, fmt.Sprintf("its view went back from %d/%d to %d/%d",
			r.last.Fleet.Generation, r.last.Fleet.Rev, status.Fleet.Generation, status.Fleet.Rev))
	}
	r.last = status
}

func (r *replica) hear(e breaker.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.Kind != breaker.Transitioned && e.Kind != breaker.Repaired {
		return
	}
	now, before := e.Transition, r.heard
	r.heard = now
	switch {
	case before.Generation == 0:
	case now.Generation <= before.Generation:
		r.tally.back++
		r.bad = append(r.bad, fmt.Sprintf("it heard of generation %d after %d", now.Generation, before.Generation))
	case now.Prev != before.Generation || now.From != before.To:
		r.tally.missed++
		r.bad = append(r.bad, fmt.Sprintf("it heard of generation %d, which follows %d, after %d", now.Generation, now.Prev, before.Generation))
	}
	if now.To != breaker.Open {
		return
	}
	r.tally.trips++
	if r.isCutSince(now.At) {
		return
	}
	behind := time.Since(now.At)
	r.tally.behind = max(r.tally.behind, behind)
	if behind > repaired {
		r.tally.late++
	}
}

// truth is what the store says.
func (h *harness) truth() store.Snapshot {
	h.t.Helper()
	snapshots, err := h.store.Read(context.Background(), tierName)
	if err != nil || len(snapshots) != 1 {
		h.t.Fatalf("Read gave %v, %v", snapshots, err)
	}
	return snapshots[0]
}

// pass lets virtual time go by.
func (h *harness) pass(d time.Duration) {
	h.t.Helper()
	if err := sleep(h.ctx, d); err != nil {
		h.t.Fatal(err)
	}
}

// claims is how many reached the store.
func (h *harness) claims() (n uint64) {
	for _, r := range h.replicas {
		n += r.link.claims.Load()
	}
	return n
}

// here gives the replicas that have not left.
func (h *harness) here() []*replica {
	return slices.DeleteFunc(slices.Clone(h.replicas), func(r *replica) bool { return r.ctx.Err() != nil })
}

// agree holds all replicas that are there to one view, the store's.
func (h *harness) agree() (others int) {
	h.t.Helper()
	truth := h.truth()
	for _, r := range h.here() {
		view := r.breaker.Status().Fleet
		if view.Generation != truth.Generation || view.State != truth.State {
			others++
			h.t.Errorf("%s holds %v, generation %d; the store is %v, generation %d",
				r.manager.Replica(), view.State, view.Generation, truth.State, truth.Generation)
		}
	}
	return others
}

// verify holds the fleet to its promises, after the network healed, and sums up what its replicas saw.
func (h *harness) verify() (sum tally) {
	h.t.Helper()
	truth := h.truth()
	for _, r := range h.replicas {
		r.mu.Lock()
		for _, bad := range r.bad {
			h.t.Errorf("%s: %s", r.manager.Replica(), bad)
		}
		sum.add(r.tally)
		r.mu.Unlock()
	}
	if most, budget := h.tier.MostProbes(), h.policy.Probes; most > budget {
		h.t.Errorf("%d probes reached the tier at once, the budget is %d", most, budget)
	}
	var lost uint64
	for _, r := range h.replicas {
		lost += r.breaker.Status().Lost
	}
	called := h.tier.Count()
	produced, probes := uint64(called.Calls), uint64(called.Probes)
	counted := truth.Totals.Calls + truth.Totals.Ignored + truth.Totals.Late
	if counted > produced {
		h.t.Errorf("%d outcomes are counted, %d calls were made: some count twice", counted, produced)
	}
	if produced > counted+lost+probes {
		h.t.Errorf("%d calls were made, %d are counted, %d said to be lost, %d were probes: some vanished",
			produced, counted, lost, probes)
	}
	return sum
}

// sleep lets virtual time go by. It takes no timer that is due at once, see the reporter of package breaker.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
