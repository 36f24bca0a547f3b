package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
)

// streak is a fleet's policy under which it is easy to say what happens.
var streak = breaker.Policy{ConsecutiveFailures: 5, OpenFor: 10 * time.Second, Probes: 2, ProbeSuccesses: 2, ProbeLease: 5 * time.Second}

func TestEveryReplicaSeesOneTripAndIsToldOfItOnceWithItsOrigin(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		const n = 5
		heard := make([]events, n)
		replicas := make([]*replica, n)
		breakers := make([]*breaker.Breaker, n)
		for i := range n {
			replicas[i] = f.replica(breaker.WithReplica(fmt.Sprint("web-", i)), breaker.WithListener(heard[i].hear), breaker.WithPolicy(streak))
			defer replicas[i].close()
			breakers[i] = replicas[i].register(t, "tier")
		}
		times(5, func() { _ = breakers[2].Run(t.Context(), fail) })
		time.Sleep(50 * time.Millisecond)
		for i, b := range breakers {
			wantState(t, b, breaker.Open)
			if err := b.Run(t.Context(), succeed); refusal(err) != breaker.RefusedOpen {
				t.Fatal(err)
			}
			seen := heard[i].all()
			if len(seen) != 1 || seen[0].Kind != breaker.Transitioned || seen[0].Transition.To != breaker.Open || seen[0].Transition.Cause != replicas[2].Replica() {
				t.Fatalf("replica %d heard %v", i, seen)
			}
			if w := seen[0].Transition.Window; w.Failures != 5 || w.Consecutive != 5 {
				t.Fatalf("the event does not carry the counts that caused it: %+v", w)
			}
		}
	})
}

func TestAnOutcomeWaitsAtMostTheFlushInterval(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.replica(breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 1000}))
		defer r.close()
		b := r.register(t, "tier")
		for i := range 50 {
			if i%2 == 0 {
				_ = b.Run(t.Context(), succeed)
			} else {
				_ = b.Run(t.Context(), fail)
			}
			time.Sleep(20 * time.Millisecond)
			synctest.Wait()
			if got := f.read("tier").Totals.Calls; got != uint64(i+1) {
				t.Fatalf("after 20 ms the store has counted %d of %d", got, i+1)
			}
			time.Sleep(time.Duration(i) * time.Millisecond)
		}
	})
}

func TestAStoreThatAsksForPatienceIsReportedToLessOften(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.replica()
		defer r.close()
		r.net.again = 500 * time.Millisecond
		b := r.register(t, "tier")
		before := r.net.syncs.Load()
		began := time.Now()
		for time.Since(began) < 10*time.Second {
			_ = b.Run(t.Context(), succeed)
			time.Sleep(time.Millisecond)
		}
		if n := r.net.syncs.Load() - before; n < 18 || n > 22 {
			t.Fatalf("%d reports in 10 s; want about 20", n)
		}
	})
}

// The largest fleets report once a second, which is also how often a breaker in use is compared with the store.
func TestAReportThatComesInTimeIsTheComparison(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		r := newFleet(t).replica()
		defer r.close()
		r.net.again = time.Second
		b := r.register(t, "t")
		call := func() { _ = b.Run(t.Context(), succeed); time.Sleep(50 * time.Millisecond) }
		times(40, call) // the first answer says how long to wait
		syncs, reads := r.net.syncs.Load(), r.net.reads.Load()
		times(400, call)
		syncs, reads = r.net.syncs.Load()-syncs, r.net.reads.Load()-reads
		if syncs < 19 || syncs > 21 || reads != 0 {
			t.Fatalf("%d reports and %d comparisons in 20 s; want about 20, and none", syncs, reads)
		}
	})
}

func TestAReportWhoseAnswerIsLostIsCountedOnce(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.replica(breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 1000}))
		defer r.close()
		b := r.register(t, "tier")
		r.net.lose.Store(true)
		times(7, func() { _ = b.Run(t.Context(), fail) })
		time.Sleep(1500 * time.Millisecond)
		r.net.lose.Store(false)
		times(3, func() { _ = b.Run(t.Context(), fail) })
		if err := r.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := f.read("tier").Totals; got.Calls != 10 || got.Late != 0 {
			t.Fatalf("10 calls are counted as %+v", got)
		}
		if got := b.Status(); got.Lost != 0 || got.Pending != 0 {
			t.Fatalf("%+v", got)
		}
	})
}

func TestOutcomesOlderThanStaleAfterAreLostAndSaidToBe(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.replica(breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 1000}))
		defer r.close()
		b := r.register(t, "tier")
		r.net.down.Store(true)
		times(7, func() { _ = b.Run(t.Context(), fail) })
		time.Sleep(10 * time.Second)
		r.net.down.Store(false)
		times(3, func() { _ = b.Run(t.Context(), fail) })
		if err := r.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := b.Status(); got.Lost != 7 || got.Pending != 0 {
			t.Fatalf("lost %d, pending %d; want 7, 0", got.Lost, got.Pending)
		}
		if got := f.read("tier").Totals.Calls; got != 3 {
			t.Fatalf("the store has counted %d", got)
		}
	})
}

func TestPendingOutcomesAreBounded(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.replica(breaker.WithPolicy(breaker.Policy{FailureRate: 1, MinCalls: 100}), breaker.WithStoreDown(breaker.AdmitAll))
		defer r.close()
		b := r.register(t, "tier")
		r.net.hung.Store(true)
		for range 6000 {
			_ = b.Run(t.Context(), fail)
			_ = b.Run(t.Context(), succeed)
		}
		got := b.Status()
		if got.Pending > 4096+store.MaxRuns || uint64(got.Pending)+got.Lost != 12000 {
			t.Fatalf("pending %d, lost %d", got.Pending, got.Lost)
		}
		r.net.hung.Store(false)
		if err := r.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := b.Status(); f.read("tier").Totals.Calls+got.Lost != 12000 {
			t.Fatalf("%d counted, %d lost", f.read("tier").Totals.Calls, got.Lost)
		}
	})
}

func TestACallNeverWaitsForAStoreThatHangs(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.replica(breaker.WithPolicy(streak))
		defer r.close()
		b := r.register(t, "tier")
		r.net.hung.Store(true)
		began := time.Now()
		for range 100 {
			if err := b.Run(t.Context(), succeed); err != nil {
				t.Fatal(err)
			}
		}
		if waited := time.Since(began); waited != 0 {
			t.Fatalf("100 calls waited %v", waited)
		}
	})
}

func TestAClaimHoldsOneCallForTheClaimTimeoutAndRefusesTheOthers(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.replica(breaker.WithPolicy(streak))
		defer r.close()
		b := r.register(t, "tier")
		times(5, func() { _ = b.Run(t.Context(), fail) })
		time.Sleep(11 * time.Second)
		r.net.hung.Store(true)
		began := time.Now()
		var wg sync.WaitGroup
		waits := make(chan time.Duration, 10)
		for range 10 {
			wg.Go(func() {
				if err := b.Run(context.Background(), succeed); refusal(err) != breaker.RefusedProbing {
					t.Error(err)
				}
				waits <- time.Since(began)
			})
		}
		wg.Wait()
		close(waits)
		waited := 0
		for w := range waits {
			if w >= 100*time.Millisecond { // not ClaimTimeout itself: outside of virtual time timers are late
				t.Errorf("a call waited %v", w)
			}
			if w > 0 {
				waited++
			}
		}
		if waited != 1 {
			t.Errorf("%d calls waited; want 1", waited)
		}
	})
}

func TestAStoreSlowerThanTheClaimTimeoutStillGetsItsProbes(t *testing.T) {
	// A lease that comes after its call has gone is kept for the next call. Otherwise a slow store would keep the breaker open
	// for ever.
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.replica(breaker.WithPolicy(streak))
		defer r.close()
		b := r.register(t, "tier")
		r.net.delay.Store(int64(300 * time.Millisecond))
		times(5, func() { _ = b.Run(t.Context(), fail) })
		time.Sleep(11 * time.Second)
		for range 100 {
			_ = b.Run(t.Context(), succeed)
			time.Sleep(100 * time.Millisecond)
		}
		wantState(t, b, breaker.Closed)
	})
}

func TestALeaseThatNoCallComesForIsGivenBack(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		p := streak
		p.Probes = 1
		r := f.replica(breaker.WithPolicy(p))
		defer r.close()
		b := r.register(t, "tier")
		r.net.delay.Store(int64(300 * time.Millisecond))
		times(5, func() { _ = b.Run(t.Context(), fail) })
		time.Sleep(11 * time.Second)
		if err := b.Run(t.Context(), succeed); refusal(err) != breaker.RefusedProbing {
			t.Fatal(err)
		}
		time.Sleep(4 * time.Second) // less than the lease
		if got := f.read("tier"); got.State != breaker.HalfOpen || got.Probing != 0 {
			t.Fatalf("%v, %d probing", got.State, got.Probing)
		}
	})
}

func TestNeverMoreProbesThanPlacesInTheWholeFleet(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		var breakers []*breaker.Breaker
		for range 8 {
			r := f.replica(breaker.WithPolicy(streak))
			defer r.close()
			r.net.delay.Store(int64(5 * time.Millisecond))
			breakers = append(breakers, r.register(t, "tier"))
		}
		times(5, func() { _ = breakers[0].Run(t.Context(), fail) })
		time.Sleep(9 * time.Second)
		var mu sync.Mutex
		inside, most := 0, 0
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for _, b := range breakers {
			for range 5 {
				wg.Go(func() {
					for {
						select {
						case <-stop:
							return
						case <-time.After(15 * time.Millisecond):
						}
						_ = b.Run(context.Background(), func(context.Context) error {
							mu.Lock()
							if inside++; b.State() == breaker.HalfOpen {
								most = max(most, inside)
							}
							mu.Unlock()
							time.Sleep(200 * time.Millisecond)
							mu.Lock()
							inside--
							mu.Unlock()
							return errTier
						})
					}
				})
			}
		}
		time.Sleep(30 * time.Second)
		close(stop)
		wg.Wait()
		if most != 2 {
			t.Fatalf("at most %d calls at the tier while half-open; want 2", most)
		}
	})
}

func TestSuccessfulProbesOfAnyReplicaCloseTheFleet(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		a, b := f.replica(breaker.WithPolicy(streak)), f.replica(breaker.WithPolicy(streak))
		defer a.close()
		defer b.close()
		x, y := a.register(t, "tier"), b.register(t, "tier")
		times(5, func() { _ = x.Run(t.Context(), fail) })
		time.Sleep(10*time.Second + 100*time.Millisecond)
		if err := x.Run(t.Context(), succeed); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
		if err := y.Run(t.Context(), succeed); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
		wantState(t, x, breaker.Closed)
		wantState(t, y, breaker.Closed)
	})
}

func TestALostPushIsNoticedAtTheNextRefresh(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		var heard events
		a := f.replica(breaker.WithPolicy(streak))
		b := f.replica(breaker.WithPolicy(streak), breaker.WithListener(heard.hear))
		defer a.close()
		defer b.close()
		x, y := a.register(t, "tier"), b.register(t, "tier")
		b.net.deaf.Store(true)
		_ = y.Run(t.Context(), succeed) // in use
		time.Sleep(time.Second)
		times(5, func() { _ = x.Run(t.Context(), fail) })
		time.Sleep(1100 * time.Millisecond)
		wantState(t, y, breaker.Open)
		time.Sleep(9 * time.Second)
		times(2, func() { _ = x.Run(t.Context(), succeed); time.Sleep(10 * time.Millisecond) })
		wantState(t, x, breaker.Closed)
		time.Sleep(1100 * time.Millisecond)
		wantState(t, y, breaker.Closed)
		var path []breaker.State
		for _, e := range heard.all() {
			path = append(path, e.Transition.To)
		}
		if want := []breaker.State{breaker.Open, breaker.HalfOpen, breaker.Closed}; !slices.Equal(path, want) {
			t.Fatalf("heard %v; want %v", path, want)
		}
	})
}

func TestAnIdleBreakerIsReadSeldomAndItsNextCallAsksAtOnce(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		a, b := f.replica(breaker.WithPolicy(streak)), f.replica(breaker.WithPolicy(streak))
		defer a.close()
		defer b.close()
		x, y := a.register(t, "tier"), b.register(t, "tier")
		b.net.deaf.Store(true)
		time.Sleep(25 * time.Second)
		b.net.syncs.Store(0)
		time.Sleep(time.Minute)
		if n := b.net.syncs.Load(); n < 5 || n > 8 {
			t.Fatalf("an idle breaker gave %d signs of life in a minute", n)
		}
		times(5, func() { _ = x.Run(t.Context(), fail) })
		time.Sleep(20 * time.Millisecond)
		_ = y.Run(t.Context(), succeed) // admitted by what is known
		synctest.Wait()
		wantState(t, y, breaker.Open)
	})
}

func TestAReplicaThatStartsLateHasTheFleetsVerdictBeforeItsFirstCall(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		a, b := f.replica(breaker.WithPolicy(streak)), f.replica(breaker.WithPolicy(streak))
		defer a.close()
		defer b.close()
		x := a.register(t, "tier")
		times(5, func() { _ = x.Run(t.Context(), fail) })
		time.Sleep(50 * time.Millisecond)
		b.net.delay.Store(int64(200 * time.Millisecond))
		y := b.register(t, "tier")
		if err := y.Run(t.Context(), succeed); refusal(err) != breaker.RefusedOpen {
			t.Fatal(err)
		}
	})
}

func TestAReplicaStartsOnItsOwnWhenTheStoreIsAway(t *testing.T) {
	for _, how := range []string{"down", "hung"} {
		inVirtualTime(t, func(t *testing.T) {
			f := newFleet(t)
			var heard events
			r := f.replica(breaker.WithPolicy(streak), breaker.WithListener(heard.hear))
			defer r.close()
			r.net.down.Store(how == "down")
			r.net.hung.Store(how == "hung")
			began := time.Now()
			b := r.register(t, "tier")
			if waited := time.Since(began); waited != time.Second {
				t.Fatalf("%s: Register took %v", how, waited)
			}
			st := b.Status()
			if st.Verdict != breaker.Own || st.State != breaker.Closed || r.Status().StoreUp {
				t.Fatalf("%s: %+v", how, st)
			}
			times(5, func() { _ = b.Run(t.Context(), fail) })
			wantState(t, b, breaker.Open)
			synctest.Wait()
			if got := heard.kinds(); !slices.Equal(got, []breaker.EventKind{breaker.StoreLost, breaker.OwnTripped}) {
				t.Fatalf("%s: heard %v", how, heard.all())
			}
		})
	}
}

func TestAThousandRegistersShareExchanges(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.replica()
		defer r.close()
		r.net.delay.Store(int64(10 * time.Millisecond))
		var wg sync.WaitGroup
		began := time.Now()
		for i := range 1000 {
			wg.Go(func() { _, _ = r.Register(context.Background(), fmt.Sprint("tier-", i)) })
		}
		wg.Wait()
		if took, n := time.Since(began), r.net.syncs.Load(); took > 100*time.Millisecond || n > 10 {
			t.Fatalf("%v, %d exchanges", took, n)
		}
	})
}

func TestSyncReportsAllThatWaitsAndTakesOverTheFleetState(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		a, b := f.replica(breaker.WithPolicy(streak)), f.replica(breaker.WithPolicy(streak))
		defer a.close()
		defer b.close()
		x, y := a.register(t, "tier"), b.register(t, "tier")
		b.net.deaf.Store(true)
		times(5, func() { _ = x.Run(t.Context(), fail) })
		if err := errors.Join(a.Sync(t.Context()), b.Sync(t.Context())); err != nil {
			t.Fatal(err)
		}
		wantState(t, x, breaker.Open)
		wantState(t, y, breaker.Open)
		if x.Status().Pending != 0 {
			t.Fatalf("%+v", x.Status())
		}
		b.net.down.Store(true)
		began := time.Now()
		if err := b.Sync(t.Context()); !errors.Is(err, errNetwork) || time.Since(began) > 3*time.Second {
			t.Fatalf("%v after %v", err, time.Since(began))
		}
	})
}

func TestANewPolicyIsAnnouncedAndTheLastToStartWins(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		var heard events
		a := f.replica(breaker.WithPolicy(streak), breaker.WithListener(heard.hear))
		p := streak
		p.ConsecutiveFailures = 2
		b := f.replica(breaker.WithPolicy(p))
		defer a.close()
		defer b.close()
		x, y := a.register(t, "tier"), b.register(t, "tier")
		_ = x.Run(t.Context(), succeed)
		time.Sleep(1200 * time.Millisecond)
		if got := x.Status().Fleet.Policy.ConsecutiveFailures; got != 2 {
			t.Fatalf("%d", got)
		}
		if !slices.Contains(heard.kinds(), breaker.PolicyConflict) {
			t.Fatalf("nobody was told of the conflict: %v", heard.all())
		}
		times(2, func() { _ = y.Run(t.Context(), fail) })
		time.Sleep(50 * time.Millisecond)
		wantState(t, x, breaker.Open)
	})
}

func TestAnUnregisteredBreakersOutcomesAreReportedAndItMayComeBack(t *testing.T) {
	// If a replica uses the numbers of its earlier reports again, the store takes the reports for repeats and skips them.
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.replica(breaker.WithPolicy(streak))
		defer r.close()
		for i := range 3 {
			b := r.register(t, "tier")
			times(i+1, func() { _ = b.Run(t.Context(), fail); _ = b.Run(t.Context(), succeed) })
			if err := r.Unregister("tier"); err != nil {
				t.Fatal(err)
			}
		}
		if got := f.read("tier").Totals; got.Calls != 12 {
			t.Fatalf("%+v", got)
		}
		if err := r.Unregister("tier"); !errors.Is(err, store.ErrUnknown) {
			t.Fatal(err)
		}
		if len(r.Names()) != 0 {
			t.Fatal(r.Names())
		}
	})
}

func TestRegisteringTwiceIsAnErrorAndGetOrRegisterIsNot(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.replica()
		defer r.close()
		var wg sync.WaitGroup
		got := make([]*breaker.Breaker, 20)
		for i := range got {
			wg.Go(func() { got[i], _ = r.GetOrRegister(context.Background(), "tier") })
		}
		wg.Wait()
		for _, b := range got {
			if b == nil || b != got[0] {
				t.Fatal("two breakers of one name")
			}
		}
		if _, err := r.Register(t.Context(), "tier"); !errors.Is(err, breaker.ErrRegistered) {
			t.Fatal(err)
		}
		if b, ok := r.Breaker("tier"); !ok || b != got[0] {
			t.Fatal("not found")
		}
	})
}

// A forced mode that ends by its time while the store is away leaves what an operator ordered below it.
func TestATripBelowATimedForceHoldsAfterItThoughTheStoreIsAway(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.replica()
		defer r.close()
		b := r.register(t, "tier")
		for _, c := range []store.Command{
			{Action: store.ForceOpen, For: time.Second},
			{Action: store.Trip, For: 10 * time.Second},
		} {
			c.By = "oncall"
			if _, err := b.Command(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		r.net.down.Store(true)
		time.Sleep(2 * time.Second)
		wantState(t, b, breaker.Open)
		if err := b.Run(t.Context(), succeed); refusal(err) != breaker.RefusedOpen {
			t.Errorf("%v; want a refusal of an open breaker", err)
		}
	})
}
