package storetest

import (
	"context"
	"flag"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

// faultyStores are stores that do one thing wrong, each with the law that finds it.
var faultyStores = []struct {
	name string
	law  string
	make func(now func() time.Time) store.Store
}{
	{"counts a resent report twice", "a report sent again counts nothing", faulty(func(b *bad) {
		var seq atomic.Uint64
		b.report = func(r *store.Report) { r.Seq = seq.Add(1) }
	})},
	{"judges successes", "a success never trips", faulty(func(b *bad) {
		b.result = func(r store.Report, out *store.Result) {
			t, p := out.Snapshot.Window, out.Snapshot.Policy
			if out.Snapshot.State == store.Closed && p.FailureRate > 0 && t.Calls >= p.MinCalls &&
				float64(t.Failures) >= p.FailureRate*float64(t.Calls) {
				*out = b.order(r.Name, store.Trip)
			}
		}
	})},
	{"trips above the rate only", "a rate trips exactly at its threshold", faulty(func(b *bad) {
		b.policy = func(p *store.Policy) {
			if p.FailureRate > 0 && p.FailureRate < 1 {
				p.FailureRate += 0.0001
			}
		}
	})},
	{"rounds rates to the nearest", "a share of calls is reached by that share", faulty(func(b *bad) {
		b.policy = func(p *store.Policy) { p.FailureRate = math.Round(p.FailureRate*10_000) / 10_000 }
	})},
	{"trips after the streak only", "a streak trips at its length", faulty(func(b *bad) {
		b.policy = func(p *store.Policy) {
			if p.ConsecutiveFailures > 0 {
				p.ConsecutiveFailures++
			}
		}
	})},
	{"ends no lease", "a lease ends by itself", faulty(func(b *bad) {
		b.policy = func(p *store.Policy) { p.ProbeLease = day }
	})},
	{"lets anyone settle", "only its holder settles a lease", faulty(func(b *bad) {
		var holders memo[string, string]
		b.grant = func(c store.Claim, g *store.Grant) {
			for _, l := range g.Leases {
				holders.put(l.ID, c.Replica)
			}
		}
		b.settlement = func(s *store.Settlement) {
			if holder, ok := holders.get(s.Lease.ID); ok {
				s.Replica = holder
			}
		}
	})},
	{"reads no lease's generation", "a settlement for another generation settles nothing", faulty(func(b *bad) {
		b.settlement = func(s *store.Settlement) { s.Lease.Generation = b.now(s.Lease.Name).Generation }
	})},
	{"counts no probe of an older round", "a probe that ends after its half-open is late", faulty(func(b *bad) {
		b.settlement = func(s *store.Settlement) {
			if b.now(s.Lease.Name).Generation != s.Lease.Generation {
				s.Lease.ID = "" // so that nothing changes but the place, which ends by itself
			}
		}
	})},
	{"settles a lease after its end", "settling too late changes nothing", faulty(func(b *bad) {
		b.settlement = func(s *store.Settlement) {
			if now := b.now(s.Lease.Name); now.State == store.HalfOpen && now.Probing == 0 && s.Outcome == store.Failure {
				b.order(s.Lease.Name, store.Trip)
			}
		}
	})},
	{"lets keys expire", "what stands without end stands", expiring},
	{"adopts a lower generation", "a lower or equal Known moves nothing", faulty(func(b *bad) {
		b.report = func(r *store.Report) {
			if own := b.now(r.Name).Generation; r.Known.Generation > 0 && r.Known.Generation <= own {
				r.Known.Generation = own + 1
			}
		}
	})},
	{"pushes before the commit", "a push comes after the commit", hasty},
	{"judges late outcomes", "an outcome is late when it is older than MaxAge", faulty(func(b *bad) {
		b.report = func(r *store.Report) { r.MaxAge = 1000 * day }
	})},
	{"judges outcomes of any generation", "an outcome of another generation is late", faulty(func(b *bad) {
		b.report = func(r *store.Report) { r.Generation = b.now(r.Name).Generation }
	})},
	{"takes failures first", "a verdict does not depend on how outcomes are cut into reports", faulty(func(b *bad) {
		b.report = func(r *store.Report) {
			r.Runs = slices.Clone(r.Runs)
			slices.SortStableFunc(r.Runs, func(x, y store.Run) int {
				return int(y.Outcome&store.Failure) - int(x.Outcome&store.Failure)
			})
		}
	})},
	{"loses commands in a repair", "a standing force comes back with its note", faulty(func(b *bad) {
		b.report = func(r *store.Report) { r.Known.Mode = store.Auto }
	})},
	{"cuts an adopted open time", "an adopted open time is not cut by the policy", faulty(func(b *bad) {
		b.report = func(r *store.Report) { r.Known.RetryIn = min(r.Known.RetryIn, r.Policy.WithDefaults().OpenForMax) }
	})},
	{"protects lost leases once", "what protects lost leases outlives a second loss", faulty(func(b *bad) {
		b.report = func(r *store.Report) {
			if r.Known.Reason == store.ByRepair {
				r.Known.RetryIn = min(r.Known.RetryIn, r.Policy.WithDefaults().OpenForMax)
			}
		}
	})},
	{"hears no commander", "a command brings what its commander knows", faulty(func(b *bad) {
		b.command = func(c *store.Command) { c.Known = store.Known{} }
	})},
	{"takes what comes too late", "a report that comes too late is refused", faulty(func(b *bad) {
		b.report = func(r *store.Report) {
			if r.SentAt.Before(start.Add(-maxAge)) {
				r.SentAt = time.Time{}
			}
		}
	})},
	{"reads ages as they were sent", "the way of a report is part of its outcomes' age", faulty(func(b *bad) {
		b.report = func(r *store.Report) {
			if r.SentAt.After(start.Add(-maxAge)) {
				r.SentAt = time.Time{}
			}
		}
	})},
	{"forgets numbers with each slice", "a number is remembered for as long as its report is sent again", func(now func() time.Time) store.Store {
		b := &bad{Store: memorystore.New(memorystore.WithClock(now))}
		b.report = func(r *store.Report) { r.Replica += now().Truncate(30 * sec).String() }
		return b
	}},
	{"does not say how old a state is", "a snapshot tells the store's clock", faulty(func(b *bad) {
		b.result = func(_ store.Report, out *store.Result) { out.Snapshot.Age = 0 }
	})},
	{"repairs nothing", "a store that lost an open verdict takes it back", faulty(func(b *bad) {
		b.report = func(r *store.Report) { r.Known = store.Known{} }
	})},
	{"believes any Known", "a Known from beyond tomorrow is refused", faulty(func(b *bad) {
		b.report = func(r *store.Report) {
			if tomorrow := uint64(start.Add(day).UnixMilli()); r.Known.Generation < store.MaxNumber {
				r.Known.Generation = min(r.Known.Generation, tomorrow)
			}
		}
	})},
	{"digs no grave", "what was removed is not repaired back", forgetful},
	{"takes every policy as announced", "the first policy becomes the fleet's and stays", faulty(func(b *bad) {
		b.report = func(r *store.Report) { r.Announce = true }
	})},
	{"moves on by reading", "reading makes no transition", faulty(func(b *bad) {
		b.read = func(names []string) {
			for _, name := range names {
				_, _ = b.Store.Claim(context.Background(), store.Claim{Name: name, ID: "reader", Replica: "reader", Want: 1})
			}
		}
	})},
	{"signs life by reading", "reading is no sign of life", faulty(func(b *bad) {
		b.read = func(names []string) {
			for _, name := range names {
				if b.now(name).Name != "" {
					b.Store.Sync(context.Background(), []store.Report{{Name: name, Replica: "a", Policy: b.now(name).Policy}})
				}
			}
		}
	})},
	{"asks one replica only", "one sick replica does not trip the fleet", faulty(func(b *bad) {
		b.policy = func(p *store.Policy) { p.Reporters = 1 }
	})},
	{"has a budget of probes a replica", "the budget of probes is the fleet's", faulty(func(b *bad) {
		var own memo[string, bool]
		b.grant = func(c store.Claim, g *store.Grant) {
			if _, had := own.get(c.Replica); !had && len(g.Leases) == 0 && g.Snapshot.State == store.HalfOpen {
				g.Leases = []store.Lease{{Name: c.Name, ID: "own-" + c.Replica, Generation: g.Snapshot.Generation, For: sec}}
			}
			own.put(c.Replica, true)
		}
	})},
	{"leases again for a resent claim", "a claim sent twice returns the same leases", faulty(func(b *bad) {
		var n atomic.Uint64
		b.claim = func(c *store.Claim) { c.ID += numberText(n.Add(1)) }
	})},
	{"waits for its clock to catch up", "a step back lengthens no deadline", func(now func() time.Time) store.Store {
		var newest atomic.Int64
		return memorystore.New(memorystore.WithClock(func() time.Time {
			newest.Store(max(newest.Load(), now().UnixNano()))
			return time.Unix(0, newest.Load())
		}))
	}},
	{"tells all that they made the trip", "at most one caller is told that it made a transition", faulty(func(b *bad) {
		b.result = func(r store.Report, out *store.Result) {
			if h, _ := b.Store.History(context.Background(), r.Name, 1); len(h) > 0 && out.Made == nil {
				out.Made = &h[0]
			}
		}
	})},
	{"lets the herd in after a force", "lifting force open lets only probes through", faulty(func(b *bad) {
		b.commanded = func(c store.Command, out *store.Result) {
			if c.Action == store.Lift && out.Snapshot.State == store.HalfOpen {
				*out = b.order(c.Name, store.Reset)
			}
		}
	})},
	{"lifts an open time with the force", "what is open below a force stays open after it", faulty(func(b *bad) {
		b.command = func(c *store.Command) {
			if now := b.now(c.Name); c.Action == store.Lift && now.State == store.Open {
				b.order(c.Name, store.Reset)
			}
		}
	})},
	{"forgets a reset below a force", "a reset below a force is kept after it", faulty(func(b *bad) {
		b.commanded = func(c store.Command, out *store.Result) {
			if c.Action == store.Reset && out.Snapshot.Mode == store.ForcedOpen {
				*out = b.order(c.Name, store.ForceOpen)
			}
		}
	})},
	{"forgets the backoff at the close", "the backoff is forgotten after a close that lasted", faulty(func(b *bad) {
		b.settled = func(out *store.Result) {
			if out.Snapshot.State == store.Closed && out.Made != nil {
				*out = b.order(out.Snapshot.Name, store.Reset)
			}
		}
	})},
	{"knows no backoff", "each round of failed probes doubles the open time", faulty(func(b *bad) {
		b.policy = func(p *store.Policy) { p.OpenForMax = 0 }
	})},
	{"doubles the open time at most twenty times", "doubling reaches the longest open time", faulty(func(b *bad) {
		b.policy = func(p *store.Policy) {
			if p.OpenForMax > 0 {
				p.OpenForMax = min(p.OpenForMax, p.OpenFor<<20)
			}
		}
	})},
	{"takes ignored for success", "an ignored outcome says nothing", faulty(func(b *bad) {
		b.report = func(r *store.Report) {
			r.Runs = slices.Clone(r.Runs)
			for i := range r.Runs {
				if r.Runs[i].Outcome == store.Ignored {
					r.Runs[i].Outcome = store.Success
				}
			}
		}
	})},
	{"reopens for a slow probe", "a slow probe that succeeds is a success", faulty(func(b *bad) {
		b.settlement = func(s *store.Settlement) {
			if s.Slow {
				s.Outcome = store.Failure
			}
		}
	})},
	{"leaves out slow calls that were given up", "a slow call that was given up counts as slow", faulty(func(b *bad) {
		b.report = func(r *store.Report) {
			r.Runs = slices.Clone(r.Runs)
			for i := range r.Runs {
				r.Runs[i].Slow = r.Runs[i].Slow && r.Runs[i].Outcome != store.Ignored
			}
		}
	})},
	{"leaves out slow probes that were given up", "a slow probe that was given up is a slow one", faulty(func(b *bad) {
		b.settlement = func(s *store.Settlement) { s.Slow = s.Slow && s.Outcome != store.Ignored }
	})},
	{"takes a slow probe for a good one", "a slow probe fails if slow calls are judged", faulty(func(b *bad) {
		b.settlement = func(s *store.Settlement) { s.Slow = false }
	})},
	{"bans nobody for a slow probe", "a slow probe is its replica's failed one", faulty(func(b *bad) {
		b.settlement = func(s *store.Settlement) {
			if s.Slow && s.Outcome == store.Success {
				s.Outcome, s.Slow = store.Ignored, false
			}
		}
	})},
	{"keeps an ignored probe's place", "an ignored probe gives its place back", faulty(func(b *bad) {
		b.settlement = func(s *store.Settlement) {
			if s.Outcome == store.Ignored {
				s.Lease.ID = "kept"
			}
		}
	})},
	{"puts outcomes into the bucket of their arrival", "an outcome falls into the bucket of when it finished", faulty(func(b *bad) {
		b.report = func(r *store.Report) {
			r.Runs = slices.Clone(r.Runs)
			for i := range r.Runs {
				if r.Runs[i].Age <= r.MaxAge {
					r.Runs[i].Age = 0
				}
			}
		}
	})},
	{"lets no streak age", "a streak's failures age with a window of time", faulty(func(b *bad) {
		var rows memo[string, int]
		b.result = func(r store.Report, out *store.Result) {
			n, _ := rows.get(r.Name)
			for _, run := range r.Runs {
				if n += run.Count; run.Outcome != store.Failure {
					n = 0
				}
			}
			if s := out.Snapshot; s.State == store.Closed && s.Policy.ConsecutiveFor == 0 && n >= s.Policy.ConsecutiveFailures && n > 0 {
				*out = b.order(r.Name, store.Trip)
				n = 0
			}
			rows.put(r.Name, n)
		}
	})},
	{"lets a streak last from its very first failure", "a streak lasts from the first failure that counts", faulty(func(b *bad) {
		b.policy = func(p *store.Policy) { p.ConsecutiveFor = 0 }
	})},
	{"lets no streak's reporters age", "a streak's reporters age with a window of time", faulty(func(b *bad) {
		b.policy = func(p *store.Policy) { p.Reporters = 1 }
	})},
	{"half-opens by itself", "open stays open to all but a claim", faulty(func(b *bad) {
		b.report = func(r *store.Report) {
			if s := b.now(r.Name); s.State == store.Open && s.RetryIn == 0 && s.Mode == store.Auto {
				_, _ = b.Store.Claim(context.Background(), store.Claim{Name: r.Name, ID: "itself", Replica: "itself", Want: 1})
			}
		}
	})},
	{"spreads one report's error", "one report's error is its own", faulty(func(b *bad) {
		b.results = func(out []store.Result) {
			for _, result := range out {
				if result.Err != nil {
					for i := range out {
						out[i] = store.Result{Err: result.Err}
					}
				}
			}
		}
	})},
	{"answers in another order", "a Sync answers each report in order", faulty(func(b *bad) {
		b.results = func(out []store.Result) { slices.Reverse(out) }
	})},
	{"loses the rev", "versions are the snapshot's numbers", faulty(func(b *bad) {
		b.versions = func(v []store.Version) {
			for i := range v {
				v[i].Rev = 0
			}
		}
	})},
	{"hands out its own slices", "a reader may do with an answer what it likes", faulty(func(b *bad) {
		var cache memo[uint64, []store.Transition]
		b.history = func(h []store.Transition) []store.Transition {
			if len(h) == 0 {
				return h
			}
			if old, ok := cache.get(h[0].Generation); ok && len(old) == len(h) && old[0].Rev == h[0].Rev {
				return old
			}
			cache.put(h[0].Generation, h)
			return h
		}
	})},
	{"forgets what began an outage", "what began an outage is kept", faulty(func(b *bad) {
		b.history = func(h []store.Transition) []store.Transition { return h[:min(len(h), 50)] }
	})},
	{"tells what began an outage that is over", "what began an outage is kept", faulty(func(b *bad) {
		var began memo[string, store.Transition]
		b.history = func(h []store.Transition) []store.Transition {
			if len(h) > 50 {
				began.put(tier, h[50])
			} else if old, ok := began.get(tier); ok && len(h) == 50 {
				return append(h, old)
			}
			return h
		}
	})},
	{"tells of no policy that differs", "a roster tells the policy that differs", faulty(func(b *bad) {
		b.roster = func(_ string, r []store.Replica) {
			for i := range r {
				r[i].Policy, r[i].Agreed = store.Policy{}, store.Policy{}
			}
		}
	})},
	{"compares with the policy in force", "a roster tells the policy that differs", faulty(func(b *bad) {
		b.roster = func(name string, r []store.Replica) {
			for i := range r {
				if r[i].Conflict {
					r[i].Agreed = b.now(name).Policy
				}
			}
		}
	})},
	{"begins a watch in the middle", "a watch begins with a Resync", faulty(func(b *bad) {
		b.watch = func(fn func(store.Event)) func(store.Event) {
			return func(e store.Event) {
				if !e.Resync {
					fn(e)
				}
			}
		}
	})},
	{"tells a new watch what was before", "a watch begins with a Resync", faulty(func(b *bad) {
		b.watch = func(fn func(store.Event)) func(store.Event) {
			return func(e store.Event) {
				fn(e)
				if e.Resync {
					before, _ := b.Store.History(context.Background(), tier, 1)
					for _, t := range before {
						fn(store.Event{Transition: t})
					}
				}
			}
		}
	})},
	{"pushes twice", "every watcher is told each transition once, in order", faulty(func(b *bad) {
		b.watch = func(fn func(store.Event)) func(store.Event) {
			return func(e store.Event) { fn(e); fn(e) }
		}
	})},
	{"pushes no commands", "what is written to the history is pushed", faulty(func(b *bad) {
		b.watch = func(fn func(store.Event)) func(store.Event) {
			return func(e store.Event) {
				if e.Transition.Action == 0 {
					fn(e)
				}
			}
		}
	})},
	{"folds names", "any good name is a breaker's", faulty(func(b *bad) {
		b.report = func(r *store.Report) { r.Name = strings.ToLower(r.Name) }
		b.command = func(c *store.Command) { c.Name = strings.ToLower(c.Name) }
		b.read = func(names []string) {
			for i := range names {
				names[i] = strings.ToLower(names[i])
			}
		}
	})},
}

func faulty(spoil func(*bad)) func(now func() time.Time) store.Store {
	return func(now func() time.Time) store.Store {
		b := &bad{Store: memorystore.New(memorystore.WithClock(now))}
		spoil(b)
		return b
	}
}

// expiring forgets everything that was not touched for 24 h, commands without end included.
func expiring(now func() time.Time) store.Store {
	b := &bad{Store: memorystore.New(memorystore.WithClock(now))}
	var mu sync.Mutex
	touched := now()
	b.before = func() {
		mu.Lock()
		defer mu.Unlock()
		if now().Sub(touched) > day {
			b.Store = memorystore.New(memorystore.WithClock(now))
		}
		touched = now()
	}
	return b
}

// forgetful removes without a trace.
func forgetful(now func() time.Time) store.Store {
	b := &bad{Store: memorystore.New(memorystore.WithClock(now))}
	b.remove = func(string) error {
		b.Store = memorystore.New(memorystore.WithClock(now))
		return nil
	}
	return b
}

// hasty tells its watchers of a command before those who read can see it.
func hasty(now func() time.Time) store.Store {
	b := &bad{Store: memorystore.New(memorystore.WithClock(now))}
	var (
		mu    sync.Mutex
		tell  func(store.Event)
		stale []store.Version
	)
	b.watch = func(fn func(store.Event)) func(store.Event) {
		tell = fn
		return func(e store.Event) {
			if e.Resync {
				fn(e)
			}
		}
	}
	b.command = func(c *store.Command) {
		mu.Lock()
		defer mu.Unlock()
		stale, _ = b.Store.Versions(context.Background(), c.Name)
	}
	b.commanded = func(_ store.Command, out *store.Result) {
		if tell != nil && out.Made != nil {
			tell(store.Event{Transition: *out.Made, Snapshot: out.Snapshot})
		}
		mu.Lock()
		defer mu.Unlock()
		stale = nil
	}
	b.versions = func(v []store.Version) {
		mu.Lock()
		defer mu.Unlock()
		copy(v, stale)
	}
	return b
}

func TestEachFaultyStoreBreaksItsLaw(t *testing.T) {
	hurry(t, "500")
	laws := Laws()
	for _, s := range faultyStores {
		t.Run(s.name, func(t *testing.T) {
			var own bool
			var others []string
			for _, law := range laws {
				mine := strings.HasSuffix(law.Name, " "+s.law)
				if !mine && (testing.Short() || strings.HasPrefix(law.Name, propertyTopic+".")) {
					continue
				}
				failed, said := judge(t, law, InProcess(s.make))
				switch {
				case mine:
					own = failed
					if failed && !strings.Contains(said, law.Why) {
						t.Errorf("law %q failed without saying why:\n%s", law.Name, said)
					}
				case failed:
					others = append(others, law.Name)
				}
			}
			if !own {
				t.Errorf("a store that %s passes the law %q; others that it breaks: %q", s.name, s.law, others)
			}
			t.Logf("%d laws more are broken: %q", len(others), others)
		})
	}
}

func TestTheHonestStorePassesEveryLaw(t *testing.T) {
	for _, law := range Laws() {
		failed, said := judge(t, law, InProcess(faulty(func(*bad) {})))
		if failed {
			t.Errorf("an honest store breaks law %q:\n%s", law.Name, said)
		}
	}
}

// A store without handles may give itself each time, and begin again if it is to forget.
func TestAHarnessMayGiveOneHandle(t *testing.T) {
	for _, law := range Laws() {
		var only store.Store
		var clock func() time.Time
		failed, said := judge(t, law, Harness{
			Open: func(_ testing.TB, now func() time.Time) store.Store {
				clock = now
				if only == nil {
					only = memorystore.New(memorystore.WithClock(now))
				}
				return only
			},
			Wipe: func(testing.TB) { only = memorystore.New(memorystore.WithClock(clock)) },
		})
		if failed {
			t.Errorf("law %q:\n%s", law.Name, said)
		}
	}
}

func TestRandomHistoriesFindFaultyStoresToo(t *testing.T) {
	if testing.Short() {
		t.Skip("the laws find them in -short")
	}
	hurry(t, "50")
	laws := Laws()
	model := laws[len(laws)-1]
	var missed []string
	for _, s := range faultyStores {
		failed, said := judge(t, model, InProcess(s.make))
		if !failed {
			missed = append(missed, s.name)
		} else if !strings.Contains(said, "the last answer of this scenario is the pure machine's") {
			t.Errorf("a store that %s fails, but prints no scenario:\n%s", s.name, said)
		}
	}
	t.Logf("random histories found %d of %d faulty stores; not those that only %q", len(faultyStores)-len(missed), len(faultyStores), missed)
	if len(faultyStores)-len(missed) < 20 {
		t.Errorf("random histories find too few of the faulty stores; they miss %q", missed)
	}
}

// hurry makes laws wait less, and rapid shrink little and write no files, for stores that are meant to fail.
func hurry(t *testing.T, checks string) {
	t.Helper()
	old := patient
	patient = 100 * ms
	t.Cleanup(func() { patient = old })
	for name, value := range map[string]string{"rapid.nofailfile": "true", "rapid.shrinktime": "100ms", "rapid.checks": checks} {
		f := flag.Lookup(name)
		was := f.Value.String()
		t.Cleanup(func() { _ = f.Value.Set(was) })
		if err := f.Value.Set(value); err != nil {
			t.Fatal(err)
		}
	}
}

// propertyTopic is the number of the topic of random histories, the last one.
var propertyTopic = func() string {
	laws := Laws()
	number, _, _ := strings.Cut(laws[len(laws)-1].Name, ".")
	return number
}()
