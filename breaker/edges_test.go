package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

// Late outcomes of many generations went one generation a report, and those of now waited behind them: a dead tier was found
// after 3 s.
func TestLateOutcomesOfManyGenerationsDoNotHoldUpThoseOfNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.replica(breaker.WithPolicy(streak))
		defer r.close()
		b := r.register(t, "tier")
		var streams []*breaker.Permit
		for range 60 {
			for range 50 {
				p, err := b.Acquire(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				streams = append(streams, &p)
			}
			if _, err := b.Command(t.Context(), breaker.Command{Action: breaker.Reset, By: "oncall"}); err != nil {
				t.Fatal(err)
			}
		}
		for _, p := range streams {
			p.Done(errTier)
		}
		times(5, func() { _ = b.Run(t.Context(), fail) })
		began := time.Now()
		for b.State() == breaker.Closed && time.Since(began) < time.Minute {
			time.Sleep(10 * time.Millisecond)
		}
		if took := time.Since(began); took > 100*time.Millisecond {
			t.Errorf("the dead tier was found after %v", took)
		}
		time.Sleep(time.Second)
		if st := b.Status(); st.Lost != 0 || st.Pending != 0 || f.read("tier").Totals.Late != 3000 {
			t.Errorf("lost %d, pending %d, late in the store %d of 3000", st.Lost, st.Pending, f.read("tier").Totals.Late)
		}
	})
}

// An exchange that began during Unregister spent a number of the next breaker's of that name: that one's first report was
// taken for one that came twice.
func TestABreakerThatIsRegisteredAgainLosesNoOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.replica(breaker.WithPolicy(streak))
		defer r.close()
		r.net.delay.Store(int64(7 * time.Millisecond))
		made := atomic.Int64{}
		ctx, stop := context.WithCancel(t.Context())
		var callers sync.WaitGroup
		for range 4 {
			callers.Go(func() {
				for ctx.Err() == nil {
					if b, err := r.GetOrRegister(t.Context(), "tier"); err == nil && b.Registered() {
						p, err := b.Acquire(t.Context())
						if err == nil {
							p.Record(breaker.Success)
							made.Add(1)
						}
					}
					time.Sleep(time.Millisecond)
				}
			})
		}
		for range 50 {
			time.Sleep(23 * time.Millisecond)
			if err := r.Unregister("tier"); err != nil && !errors.Is(err, store.ErrUnknown) {
				t.Fatal(err)
			}
		}
		stop()
		callers.Wait()
		b, err := r.GetOrRegister(t.Context(), "tier")
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Sync(t.Context())
		totals := f.read("tier").Totals
		// Calls that were under way when their breaker had closed its outbox are its own.
		if got := totals.Calls + totals.Late; got > uint64(made.Load()) || uint64(made.Load())-got > 50*4 || b.Status().Lost != 0 {
			t.Errorf("the store counts %d of %d outcomes", got, made.Load())
		}
	})
}

// GetOrRegister gave out a breaker that was being unregistered: alone for ever, deaf to an operator's command.
func TestABreakerThatIsBeingUnregisteredIsNotGivenOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.replica(breaker.WithPolicy(streak))
		defer r.close()
		old := r.register(t, "tier")
		r.net.delay.Store(int64(100 * time.Millisecond))
		gone := make(chan error)
		go func() { gone <- r.Unregister("tier") }()
		time.Sleep(10 * time.Millisecond)
		if _, ok := r.Breaker("tier"); ok {
			t.Error("it is found")
		}
		b, err := r.GetOrRegister(t.Context(), "tier")
		if err != nil || b == old || !b.Registered() || old.Registered() {
			t.Fatalf("the old one: %v, registered %v; %v", b == old, b.Registered(), err)
		}
		if err := <-gone; err != nil {
			t.Fatal(err)
		}
		if _, err := b.Command(t.Context(), breaker.Command{Action: breaker.ForceOpen, By: "oncall"}); err != nil {
			t.Fatal(err)
		}
		wantState(t, b, breaker.Open)
	})
}

// An orderly end with a probe under way kept its place until the lease ended: 30 s in which other replicas were refused.
func TestAProbeThatOutlivesItsManagerGivesItsPlaceBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		p := streak
		p.Probes, p.ProbeSuccesses, p.ProbeLease = 1, 1, time.Minute
		r := f.replica(breaker.WithPolicy(p))
		b := r.register(t, "tier")
		times(5, func() { _ = b.Run(t.Context(), fail) })
		time.Sleep(11 * time.Second)
		probe, err := b.Acquire(t.Context())
		if err != nil || !probe.Probe() {
			t.Fatal(err)
		}
		if err := r.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := f.read("tier").Probing; got != 1 {
			t.Fatalf("%d places are taken while the probe runs; want 1", got)
		}
		probe.Done(nil)
		time.Sleep(100 * time.Millisecond)
		if got := f.read("tier"); got.Probing != 0 || got.State != breaker.Closed {
			t.Fatalf("%d places are taken, %v", got.Probing, got.State)
		}
	})
}

// With less than a call a second and a store that answers later than ClaimTimeout, each lease came too late for its call and
// was gone before the next one: the breaker never closed.
func TestABreakerOnASlowStoreWithRareCallsClosesAgain(t *testing.T) {
	for _, delay := range []time.Duration{5, 50, 110, 300, 900} {
		t.Run(fmt.Sprintf("%d ms", delay), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				p := streak
				p.ProbeLease = 30 * time.Second
				r := f.replica(breaker.WithPolicy(p))
				defer r.close()
				b := r.register(t, "tier")
				r.net.delay.Store(int64(delay * time.Millisecond))
				times(5, func() { _ = b.Run(t.Context(), fail) })
				time.Sleep(15 * time.Second)
				for range 20 {
					_ = b.Run(t.Context(), succeed)
					time.Sleep(3 * time.Second)
				}
				wantState(t, b, breaker.Closed)
			})
		})
	}
}

// A replica whose own verdict does not count reported at once at each trip of it: 100 scripts a second for one sick replica.
func TestAnOwnVerdictThatDoesNotCountHurriesNoReport(t *testing.T) {
	for name, p := range map[string]breaker.Policy{
		"a dry run":    {ConsecutiveFailures: 5, Reporters: 2, Observe: true},
		"one reporter": {ConsecutiveFailures: 5, FailureRate: 0.9, MinCalls: 10000, WindowCalls: 10000, ConsecutiveFor: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				r := f.replica(breaker.WithPolicy(p))
				defer r.close()
				b := r.register(t, "tier")
				for range 3 { // others, so that this one is no quorum
					o := f.replica(breaker.WithPolicy(p))
					defer o.close()
					_ = o.register(t, "tier").Run(t.Context(), succeed)
				}
				r.net.mu.Lock()
				r.net.again = time.Second
				r.net.mu.Unlock()
				_ = b.Run(t.Context(), succeed)
				time.Sleep(2 * time.Second)
				before := r.net.syncs.Load()
				for range 1000 {
					_ = b.Run(t.Context(), fail)
					time.Sleep(10 * time.Millisecond)
				}
				if got := r.net.syncs.Load() - before; got > 12 {
					t.Errorf("%d reports in 10 s; the store asked for one a second", got)
				}
			})
		})
	}
}

// Claims knew no budget: 400 replicas whose places were taken asked 3066 times a second.
func TestClaimsKeepToWhatTheStoreAsksFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		p := streak
		p.Probes, p.ProbeLease = 1, time.Minute
		holder, r := f.replica(breaker.WithPolicy(p)), f.replica(breaker.WithPolicy(p))
		defer holder.close()
		defer r.close()
		h, b := holder.register(t, "tier"), r.register(t, "tier")
		r.net.mu.Lock()
		r.net.again = 800 * time.Millisecond
		r.net.mu.Unlock()
		times(5, func() { _ = h.Run(t.Context(), fail) })
		time.Sleep(11 * time.Second)
		probe, err := h.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer probe.Done(nil)
		_ = b.Run(t.Context(), succeed)
		time.Sleep(2 * time.Second)
		before := r.net.claims.Load()
		for range 1000 {
			_ = b.Run(t.Context(), succeed)
			time.Sleep(10 * time.Millisecond)
		}
		if got := r.net.claims.Load() - before; got < 5 || got > 13 {
			t.Errorf("%d claims in 10 s; want one in 0.8 to 1.2 s", got)
		}
	})
}

// Each command made every replica of a big fleet read the history in the same instant.
func TestAFleetReadsWhatACommandMovedOverTheTimeTheStoreAsksFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		var mu sync.Mutex
		var asked []time.Time
		var first *breaker.Breaker
		for range 20 {
			r := f.replica(breaker.WithPolicy(streak), breaker.WithListener(func(breaker.Event) {
				mu.Lock()
				defer mu.Unlock()
				asked = append(asked, time.Now())
			}))
			defer r.close()
			r.net.again = 600 * time.Millisecond
			if b := r.register(t, "tier"); first == nil {
				first = b
			}
		}
		time.Sleep(5 * time.Second)
		if _, err := first.Command(t.Context(), breaker.Command{Action: breaker.ForceOpen, By: "oncall"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		slices.SortFunc(asked, time.Time.Compare)
		if len(asked) != 20 {
			t.Fatalf("%d of 20 replicas heard", len(asked))
		}
		if spread := asked[18].Sub(asked[1]); spread < 100*time.Millisecond {
			t.Errorf("18 of 20 replicas read the history within %v", spread)
		}
	})
}

// With the store away, each Register waited for StartTimeout in turn: 60 of them took a minute.
func TestOnlyTheFirstRegisterWaitsForAStoreThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.replica()
		defer r.close()
		r.net.hung.Store(true)
		began := time.Now()
		for i := range 60 {
			r.register(t, fmt.Sprint("tier", i))
		}
		if took := time.Since(began); took > 1100*time.Millisecond {
			t.Errorf("60 breakers were registered in %v", took)
		}
		r.net.hung.Store(false)
		time.Sleep(3 * time.Second)
		for _, st := range r.Status().Breakers {
			if st.Verdict != breaker.Fleet {
				t.Fatalf("%s does not know the fleet's verdict", st.Name)
			}
		}
	})
}

// Sync, Close and ResetAll made one exchange a breaker, one after the other: 1000 breakers at 10 ms took 10 s.
func TestAThousandBreakersShareTheExchangesOfSyncResetAllAndClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.replica()
		var registering sync.WaitGroup
		for i := range 1000 {
			registering.Go(func() { r.register(t, fmt.Sprint("tier", i)) })
		}
		registering.Wait()
		r.net.delay.Store(int64(10 * time.Millisecond))
		for name, verb := range map[string]func(context.Context) error{"Sync": r.Sync, "ResetAll": r.ResetAll, "Close": r.Close} {
			if name == "Close" {
				continue // last
			}
			began := time.Now()
			if err := verb(t.Context()); err != nil {
				t.Fatal(name, err)
			}
			if took := time.Since(began); took > 500*time.Millisecond {
				t.Errorf("%s took %v", name, took)
			}
		}
		began := time.Now()
		if err := r.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 500*time.Millisecond {
			t.Errorf("Close took %v", took)
		}
	})
}

// A Close that is called inside a listener waited for that listener, until its context ended.
func TestAListenerMayCloseItsManager(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		var r *replica
		closed := make(chan time.Duration, 1)
		r = f.replica(breaker.WithPolicy(streak), breaker.WithListener(func(e breaker.Event) {
			if e.Kind == breaker.Transitioned {
				ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
				defer cancel()
				began := time.Now()
				_ = r.Close(ctx)
				closed <- time.Since(began)
			}
		}))
		b := r.register(t, "tier")
		times(5, func() { _ = b.Run(t.Context(), fail) })
		if took := <-closed; took > time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// A replica that started or stopped while a breaker was open past its time said that the store went away.
func TestAReplicaThatStartsOrStopsBesideAnOpenBreakerSaysNothingOfTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		other := f.replica(breaker.WithPolicy(streak))
		defer other.close()
		b := other.register(t, "tier")
		times(5, func() { _ = b.Run(t.Context(), fail) })
		time.Sleep(30 * time.Second) // open past its time: nobody calls
		var heard events
		r := f.replica(breaker.WithPolicy(streak), breaker.WithListener(heard.hear))
		x := r.register(t, "tier")
		if x.Status().Verdict != breaker.Fleet || x.State() == breaker.Closed {
			t.Fatalf("%+v", x.Status())
		}
		if err := r.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := heard.all(); len(got) != 0 || len(x.Status().Events) != 0 {
			t.Fatalf("heard %v, counted %v", got, x.Status().Events)
		}
		if x.State() == breaker.Closed {
			t.Error("it admits everybody, though the tier is down as far as it knows")
		}
	})
}

// Own verdicts' events carried the private clock of the replica's machine: the year 2019.
func TestAnOwnVerdictsEventHasTheTimeOfDayAndTheFleetsGeneration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		var heard events
		r := f.replica(breaker.WithPolicy(streak), breaker.WithListener(heard.hear))
		defer r.close()
		b := r.register(t, "tier")
		r.net.down.Store(true)
		time.Sleep(5 * time.Second)
		times(5, func() { _ = b.Run(t.Context(), fail) })
		synctest.Wait()
		got := heard.all()
		last := got[len(got)-1]
		if last.Kind != breaker.OwnTripped || !last.Transition.At.Equal(time.Now()) ||
			last.Transition.Generation != b.Status().Fleet.Generation || last.Transition.To != breaker.Open {
			t.Fatalf("%+v", last)
		}
	})
}

// Unregister of the last breaker of a store that was away said that the store is back.
func TestTheLastBreakerThatGoesSaysNothingOfAStoreThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		var heard events
		r := f.replica(breaker.WithListener(heard.hear))
		defer r.close()
		r.register(t, "tier")
		r.net.down.Store(true)
		time.Sleep(5 * time.Second)
		_ = r.Unregister("tier")
		synctest.Wait()
		if got := heard.kinds(); !slices.Equal(got, []breaker.EventKind{breaker.StoreLost}) {
			t.Fatal(got)
		}
	})
}

// What a local store's breaker refused reached the store with the next outcome only: 0 for as long as it was open.
func TestASnapshotOfALocalStoreHasTheCallsThatWereRefused(t *testing.T) {
	b, err := breaker.New("tier", breaker.WithPolicy(streak))
	if err != nil {
		t.Fatal(err)
	}
	times(5, func() { _ = b.Run(t.Context(), fail) })
	times(7, func() { _ = b.Run(t.Context(), succeed) })
	s, err := b.Snapshot(t.Context())
	if err != nil || s.State != breaker.Open || s.Totals.Rejected != 7 {
		t.Fatalf("%v: %d refused, want 7; %v", s.State, s.Totals.Rejected, err)
	}
}

// A dry run on a local store booked the successes that waited as late: the claim of a probe moved the generation first.
func TestWhatWaitsIsReportedBeforeAClaimMovesTheGeneration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := breaker.New("tier", breaker.WithPolicy(breaker.Policy{
			ConsecutiveFailures: 1, OpenFor: time.Second, Probes: 1, ProbeSuccesses: 1, Observe: true,
		}))
		if err != nil {
			t.Fatal(err)
		}
		_ = b.Run(t.Context(), fail)
		times(5, func() { _ = b.Run(t.Context(), succeed) })
		time.Sleep(1100 * time.Millisecond)
		_ = b.Run(t.Context(), succeed) // the probe
		s, err := b.Snapshot(t.Context())
		if err != nil || s.Totals.Calls != 7 || s.Totals.Late != 0 {
			t.Fatalf("calls %d, late %d; want 7 and 0; %v", s.Totals.Calls, s.Totals.Late, err)
		}
	})
}

// Every breaker of a lane said that the store fails for it alone, at the moment when the store came back and another exchange
// was answered before its own.
func TestBreakersThatFailedWithTheirLaneComeBackWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		var heard events
		r := f.replica(breaker.WithPolicy(streak), breaker.WithListener(heard.hear))
		defer r.close()
		for i := range 40 {
			b := r.register(t, fmt.Sprint("tier", i))
			_ = b.Run(t.Context(), succeed)
		}
		b, _ := r.Breaker("tier0")
		r.net.down.Store(true)
		for range 50 {
			for i := range 40 {
				b, _ := r.Breaker(fmt.Sprint("tier", i))
				_ = b.Run(t.Context(), succeed)
			}
			time.Sleep(100 * time.Millisecond)
		}
		r.net.down.Store(false)
		if _, err := b.Command(t.Context(), breaker.Command{Action: breaker.Reset, By: "oncall"}); err != nil { // answered first
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		for _, e := range heard.all() {
			if e.Name != "" && (e.Kind == breaker.StoreLost || e.Kind == breaker.StoreBack) {
				t.Fatalf("%v; status %+v", e, b.Status())
			}
		}
	})
}

// A command that the store answers is the sign that the store is back: a breaker that did not know it yet took over the state
// that the store had just told.
func TestACommandThatIsTheFirstAnswerAfterAnOutageIsTakenFromALiveStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		var heard events
		r := f.replica(breaker.WithListener(heard.hear), breaker.WithPolicy(store.Policy{ConsecutiveFailures: 3, Reporters: 1, OpenFor: time.Minute}))
		defer r.close()
		b := r.register(t, "tier")
		if _, err := b.Command(t.Context(), breaker.Command{Action: breaker.ForceOpen, By: "op"}); err != nil {
			t.Fatal(err)
		}
		r.net.deaf.Store(true) // only the answer tells
		r.net.down.Store(true)
		time.Sleep(5 * time.Second)
		r.net.down.Store(false)
		if _, err := b.Command(t.Context(), breaker.Command{Action: breaker.Lift, By: "op"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if slices.Contains(heard.kinds(), breaker.OwnTripped) || b.Status().Verdict != breaker.Fleet {
			t.Errorf("heard %v, verdict %v", heard.kinds(), b.Status().Verdict)
		}
	})
}

// slowClaims is a local store whose claims take a moment.
type slowClaims struct{ *memorystore.Store }

func (s slowClaims) Claim(ctx context.Context, c store.Claim) (store.Grant, error) {
	for end := time.Now().Add(1200 * time.Microsecond); time.Now().Before(end); {
	}
	return s.Store.Claim(ctx, c)
}

// Under a timed policy each answer moved the time of the next decision a little, and calls that waited for their turn to claim
// were refused as if what holds had changed.
func TestEveryCallGetsAFreePlaceUnderATimedPolicy(t *testing.T) {
	m, err := breaker.NewManager(slowClaims{memorystore.New()})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close(context.Background())
	p := store.Policy{ConsecutiveFailures: 1, OpenFor: time.Millisecond, Probes: 100, ProbeSuccesses: 100, ProbeLease: time.Hour}
	b, err := m.Register(t.Context(), "tier", breaker.WithPolicy(p))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Command(t.Context(), breaker.Command{Action: breaker.Retune, Policy: p, For: time.Hour, By: "op"}); err != nil {
		t.Fatal(err)
	}
	_ = b.Run(t.Context(), fail)
	for { // until it is half-open
		if first, err := b.Acquire(t.Context()); err == nil {
			defer first.Record(breaker.Ignored)
			break
		}
	}
	var refused atomic.Int64
	var callers sync.WaitGroup
	for range 40 {
		callers.Go(func() {
			if _, err := b.Acquire(t.Context()); err != nil {
				refused.Add(1)
			}
		})
	}
	callers.Wait()
	if n := refused.Load(); n > 0 {
		t.Errorf("%d of 40 calls were refused while 99 places were free", n)
	}
}

func TestTheCauseOfAnEndedContextIsInTheError(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		errShift := errors.New("the shift is over")
		f := newFleet(t)
		r := f.replica()
		defer r.close()
		b := r.register(t, "tier", breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 1, OpenFor: time.Second}))
		_ = b.Run(t.Context(), fail)
		if err := r.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantState(t, b, breaker.Open)
		time.Sleep(2 * time.Second)

		during, stop := context.WithCancelCause(t.Context())
		defer stop(nil)
		r.net.hung.Store(true)
		time.AfterFunc(time.Millisecond, func() { stop(errShift) })
		errs := map[string]error{"a claim that waits": b.Run(during, succeed)}
		ended := during // from here on
		_, errs["Do"] = breaker.Do(ended, b, func(context.Context) (int, error) { return 0, nil })
		errs["Run"] = b.Run(ended, succeed)
		_, errs["Acquire"] = b.Acquire(ended)
		_, errs["Register"] = r.Register(ended, "other")
		errs["Sync"] = r.Sync(ended)
		_, errs["Command"] = b.Command(ended, breaker.Command{Action: breaker.Trip, By: "test"})
		_, errs["Command of a Manager"] = r.Command(ended, breaker.Command{Name: "other", Action: breaker.Trip, By: "test"})
		_, errs["Snapshot"] = b.Snapshot(ended)
		_, errs["Snapshots"] = r.Snapshots(ended)
		errs["Close"] = r.Close(ended)
		for what, err := range errs {
			if !errors.Is(err, errShift) || !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v; want the context's error and its cause", what, err)
			}
		}
	})
}
