package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/internal/lab/tier"
	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
)

// Tier is what a fleet calls behind the breaker of that name. It counts what reaches it.
type Tier struct {
	tier.Tier
	Name string
}

// Fleet is replicas in this process that call the same tiers. Each has a Manager, and a store with connections of its own.
type Fleet struct {
	t        testing.TB
	Replicas []*Replica
	tiers    map[string]*Tier
	closing  sync.Once
}

// Replica is one of a fleet.
type Replica struct {
	Name    string // its display name
	Manager *breaker.Manager
	Store   store.Store
	leases  *leases
	tiers   map[string]*Tier

	mu       sync.Mutex
	breakers map[string]*breaker.Breaker
	seen     map[string]store.Version // the last that its view held
	heard    map[string]uint64        // the generation of the last transition that it was told
	events   []breaker.Event          // that its listener was told
	bad      []string                 // views that went back
	failed   []error                  // calls that came back with what is neither a refusal nor the tier's
	made     int                      // calls
	longest  time.Duration            // of what a call took beside the tier
}

// New makes a fleet; open gives replica i its store, and options, if it is not nil, what else its Manager wants. It ends with
// the test, or with Close.
func New(t testing.TB, size int, open func(i int) (store.Store, error), options func(i int) []breaker.ManagerOption) *Fleet {
	t.Helper()
	f := &Fleet{t: t, tiers: map[string]*Tier{}}
	for i := range size {
		if err := f.join(i, open, options); err != nil {
			f.Close()
			t.Fatal(err)
		}
	}
	t.Cleanup(f.Close) // before what open made ends
	return f
}

func (f *Fleet) join(i int, open func(i int) (store.Store, error), options func(i int) []breaker.ManagerOption) error {
	s, err := open(i)
	if err != nil {
		return err
	}
	r := &Replica{
		Name: fmt.Sprintf("web-%d", i), Store: s, leases: newLeases(s), tiers: f.tiers, breakers: map[string]*breaker.Breaker{},
		seen: map[string]store.Version{}, heard: map[string]uint64{},
	}
	own := []breaker.ManagerOption{breaker.WithReplica(r.Name), breaker.WithListener(r.hear)}
	if options != nil {
		own = append(own, options(i)...)
	}
	if r.Manager, err = breaker.NewManager(r.leases, own...); err != nil {
		return errors.Join(err, s.Close())
	}
	f.Replicas = append(f.Replicas, r)
	return nil
}

// Close ends the replicas.
func (f *Fleet) Close() {
	f.closing.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		var all sync.WaitGroup
		for _, r := range f.Replicas {
			all.Go(func() {
				_ = r.Manager.Close(ctx) // a store that is down by now may keep it from reporting
				_ = r.Store.Close()
			})
		}
		all.Wait()
	})
}

// Register makes every replica call a tier of that name. Not to be called while they Work.
func (f *Fleet) Register(name string, policy store.Policy) *Tier {
	f.t.Helper()
	return f.RegisterEach(name, func(int) store.Policy { return policy })
}

// RegisterEach is Register with a policy for each replica.
func (f *Fleet) RegisterEach(name string, policy func(i int) store.Policy) *Tier {
	f.t.Helper()
	tr := &Tier{Name: name}
	tr.CountsOnly = true
	f.tiers[name] = tr
	for i, r := range f.Replicas {
		b, err := r.Manager.Register(context.Background(), name, breaker.WithPolicy(policy(i)))
		if err != nil {
			f.t.Fatal(err)
		}
		r.mu.Lock()
		r.breakers[name] = b
		r.mu.Unlock()
	}
	return tr
}

// Tier is the one of that name.
func (f *Fleet) Tier(name string) *Tier { return f.tiers[name] }

// Tiers gives the names of the tiers, in order.
func (f *Fleet) Tiers() []string { return slices.Sorted(maps.Keys(f.tiers)) }

// Toll is what a fleet's calls came to.
type Toll struct {
	Calls   int           // made
	Failed  int           // of the calls: with what is neither a refusal nor the tier's
	Back    int           // views that went back
	Longest time.Duration // that a call took beside its tier
}

// Toll sums up the calls so far.
func (f *Fleet) Toll() (sum Toll) {
	for _, r := range f.Replicas {
		r.mu.Lock()
		sum.Calls, sum.Failed, sum.Back = sum.Calls+r.made, sum.Failed+len(r.failed), sum.Back+len(r.bad)
		sum.Longest = max(sum.Longest, r.longest)
		r.mu.Unlock()
	}
	return sum
}

// Breaker is the replica's breaker of a tier.
func (r *Replica) Breaker(name string) *breaker.Breaker {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.breakers[name]
}

// Call makes one call to a tier, and says whether it got there.
func (r *Replica) Call(name string) (admitted bool) {
	var inTier time.Duration
	b, start := r.Breaker(name), time.Now()
	permit, err := b.Acquire(context.Background())
	if err == nil {
		admitted = true
		called := time.Now()
		fleets := permit.Probe() && r.leases.use(name)
		failure := r.tiers[name].Call(permit.Context(), tier.Caller{Probe: permit.Probe(), Own: permit.Probe() && !fleets})
		if fleets {
			r.leases.leave(name)
		}
		inTier = time.Since(called)
		permit.Done(failure)
	}
	took := time.Since(start) - inTier
	r.look(name)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil && !errors.Is(err, breaker.ErrOpen) {
		r.failed = append(r.failed, err)
	}
	r.made++
	r.longest = max(r.longest, took)
	return admitted
}

// look holds the replica to what it may never do.
func (r *Replica) look(name string) {
	r.mu.Lock() // first: a status that is taken later must not be seen earlier
	defer r.mu.Unlock()
	now, last := r.breakers[name].Status().Fleet, r.seen[name]
	if now.Generation < last.Generation || now.Rev < last.Rev {
		r.bad = append(r.bad, fmt.Sprintf("%s's view of %s went back from %d/%d to %d/%d", r.Manager.Replica(), name,
			last.Generation, last.Rev, now.Generation, now.Rev))
	}
	r.seen[name] = store.Version{Generation: now.Generation, Rev: now.Rev}
}

// Events gives the events that match, as the replica's listener was told.
func (r *Replica) Events(match func(breaker.Event) bool) (matching []breaker.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if match(e) {
			matching = append(matching, e)
		}
	}
	return matching
}

// Count counts those events.
func (r *Replica) Count(match func(breaker.Event) bool) int { return len(r.Events(match)) }

func (r *Replica) hear(e breaker.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
	if e.Kind != breaker.Transitioned && e.Kind != breaker.Repaired {
		return
	}
	if e.Transition.Generation < r.heard[e.Name] { // the end of a retuned policy makes no generation
		r.bad = append(r.bad, fmt.Sprintf("%s was told of generation %d of %s after %d", r.Manager.Replica(),
			e.Transition.Generation, e.Name, r.heard[e.Name]))
	}
	r.heard[e.Name] = e.Transition.Generation
}

// Work lets some replicas call some tiers, each in turn after a pause, until rest is called.
func Work(replicas []*Replica, every time.Duration, tiers ...string) (rest func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for _, r := range replicas {
		for _, name := range tiers {
			all.Go(func() {
				tick := time.NewTicker(every)
				defer tick.Stop()
				for {
					select {
					case <-tick.C:
						r.Call(name)
					case <-ctx.Done():
						return
					}
				}
			})
		}
	}
	return sync.OnceFunc(func() {
		cancel()
		all.Wait()
	})
}

// Command gives a command through a replica, again if the store does not answer in time.
func (r *Replica) Command(t testing.TB, c store.Command) store.Snapshot {
	t.Helper()
	c.By = "operator"
	var s store.Snapshot
	await.Eventually(t, "a command is carried out", func() string {
		var err error
		if s, err = r.Manager.Command(context.Background(), c); err != nil {
			t.Logf("%v of %s: %v", c.Action, c.Name, err)
			return err.Error()
		}
		return ""
	})
	return s
}

// All waits until what some replicas know of a tier is as wanted.
func All(t testing.TB, what string, replicas []*Replica, name string, wanted func(breaker.Status) bool) time.Duration {
	t.Helper()
	return await.Eventually(t, what, func() (missing string) {
		for _, r := range replicas {
			if s := r.Breaker(name).Status(); !wanted(s) {
				missing += fmt.Sprintf("%s holds %s as %v by %v, mode %v, generation %d, rev %d; ", r.Manager.Replica(), name,
					s.State, s.Verdict, s.Mode, s.Fleet.Generation, s.Fleet.Rev)
			}
		}
		return missing
	})
}

// Converge waits until the store and all replicas hold one state, generation, mode and rev of every tier. It tells how
// long that took, and what the store holds.
func (f *Fleet) Converge(truth store.Store) (took time.Duration, held map[string]store.Snapshot) {
	f.t.Helper()
	took = await.Eventually(f.t, "the store and all replicas hold one view", func() (missing string) {
		var err error
		if held, err = f.Read(truth); err != nil {
			return err.Error()
		}
		for _, r := range f.Replicas {
			if !r.Manager.Status().StoreUp {
				missing += r.Manager.Replica() + " has no store; "
			}
			for name, want := range held {
				s := r.Breaker(name).Status().Fleet
				if s.State != want.State || s.Generation != want.Generation || s.Mode != want.Mode || s.Rev != want.Rev {
					missing += fmt.Sprintf("%s holds %s as %v %v %d/%d, the store as %v %v %d/%d; ", r.Manager.Replica(), name,
						s.State, s.Mode, s.Generation, s.Rev, want.State, want.Mode, want.Generation, want.Rev)
				}
			}
		}
		return missing
	})
	return took, held
}

// Read gives what a store holds of every tier, by name.
func (f *Fleet) Read(truth store.Store) (map[string]store.Snapshot, error) {
	names := f.Tiers()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	all, err := truth.Read(ctx, names...)
	if err != nil {
		return nil, err
	}
	if len(all) != len(names) {
		return nil, fmt.Errorf("the store shows %d of %d breakers", len(all), len(names))
	}
	held := map[string]store.Snapshot{}
	for _, s := range all {
		held[s.Name] = s
	}
	return held, nil
}

// Refresh is the default of breaker.Timing: what a scenario allows twice of until all hold one view.
const Refresh = time.Second

// Tally holds a fleet to what no scenario may break, and adds that to the scenario. It is to be called once a scenario.
func (f *Fleet) Tally(scenario *scoreboard.Scenario) { Tally(f.t, scenario, f) }

// Tally holds several fleets of one row to it.
func Tally(t testing.TB, scenario *scoreboard.Scenario, fleets ...*Fleet) {
	t.Helper()
	var all Toll
	for _, f := range fleets {
		one := f.Toll()
		all.Failed, all.Back, all.Longest = all.Failed+one.Failed, all.Back+one.Back, max(all.Longest, one.Longest)
		for _, r := range f.Replicas {
			r.mu.Lock()
			for _, bad := range r.bad {
				t.Error(bad)
			}
			for _, err := range r.failed[:min(len(r.failed), 3)] {
				t.Errorf("%s: a call got %v", r.Name, err)
			}
			r.mu.Unlock()
		}
	}
	scenario.Zero("views that went back", all.Back)
	scenario.Zero("errors to calls", all.Failed)
	scenario.Report("longest that a call took beside its tier", all.Longest)
}
