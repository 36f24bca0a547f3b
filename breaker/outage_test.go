package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
)

func TestWithoutTheStoreTheOwnVerdictRulesAndListenersHearOfIt(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		var heard events
		r := f.replica(breaker.WithPolicy(streak), breaker.WithListener(heard.hear))
		defer r.close()
		b := r.register(t, "tier")
		if st := r.Status(); !st.StoreUp || b.Status().Verdict != breaker.Fleet {
			t.Fatalf("%+v", st)
		}
		r.net.down.Store(true)
		time.Sleep(2900 * time.Millisecond)
		if b.Status().Verdict != breaker.Fleet {
			t.Fatal("stale too early")
		}
		time.Sleep(1200 * time.Millisecond)
		if st := r.Status(); st.StoreUp || st.SinceExchange < 3*time.Second || st.ExchangeErrors == 0 || b.Status().Verdict != breaker.Own {
			t.Fatalf("%+v", st)
		}
		times(5, func() { _ = b.Run(t.Context(), fail) })
		wantState(t, b, breaker.Open)
		if err := b.Run(t.Context(), succeed); refusal(err) != breaker.RefusedOpen {
			t.Fatal(err)
		}
		if after := b.Status().RetryAfter; after < 10*time.Second || after >= 15*time.Second {
			t.Fatalf("an own open period of %v; want 1 to 1.5 times OpenFor", after)
		}
		time.Sleep(15 * time.Second)
		times(2, func() {
			if err := b.Run(t.Context(), succeed); err != nil {
				t.Fatal(err)
			}
		})
		wantState(t, b, breaker.Closed)
		r.net.down.Store(false)
		time.Sleep(2 * time.Second)
		if st := r.Status(); !st.StoreUp || b.Status().Verdict != breaker.Fleet {
			t.Fatalf("%+v", st)
		}
		want := []breaker.EventKind{breaker.StoreLost, breaker.OwnTripped, breaker.OwnClosed, breaker.StoreBack}
		if got := heard.kinds(); !slices.Equal(got, want) {
			t.Fatalf("heard %v", heard.all())
		}
		if lost := heard.all()[0]; lost.Name != "" || !errors.Is(lost.Err, errNetwork) {
			t.Fatalf("%+v", lost)
		}
	})
}

func TestAnOpenFleetStaysOpenThroughAnOutageUntilItsTimeAndThenProbes(t *testing.T) {
	// A breaker that closed when its store fails would admit every call just when the network is bad.
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.replica(breaker.WithPolicy(streak))
		defer r.close()
		b := r.register(t, "tier")
		times(5, func() { _ = b.Run(t.Context(), fail) })
		time.Sleep(50 * time.Millisecond)
		r.net.hung.Store(true)
		time.Sleep(9 * time.Second)
		if err := b.Run(t.Context(), succeed); refusal(err) != breaker.RefusedOpen || b.Status().Verdict != breaker.Own {
			t.Fatalf("%v, %+v", err, b.Status())
		}
		time.Sleep(1100 * time.Millisecond)
		var inside atomic.Int64
		release := make(chan struct{})
		for range 50 {
			go func() {
				_ = b.Run(context.Background(), func(context.Context) error { inside.Add(1); <-release; return nil })
			}()
		}
		synctest.Wait()
		if n := inside.Load(); n != 2 {
			t.Fatalf("%d calls at a tier that nobody has seen recover; want 2 probes", n)
		}
		close(release)
		synctest.Wait()
		wantState(t, b, breaker.Closed)
	})
}

func TestALocalOpeningOutlastsTheOutageUntilItsOwnProbesCloseIt(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.replica(breaker.WithPolicy(streak))
		defer r.close()
		b := r.register(t, "tier")
		r.net.down.Store(true)
		time.Sleep(4 * time.Second)
		times(5, func() { _ = b.Run(t.Context(), fail) })
		time.Sleep(4 * time.Second) // what is pending is lost
		r.net.down.Store(false)
		time.Sleep(2 * time.Second)
		wantState(t, b, breaker.Open)
		if st := b.Status(); st.Verdict != breaker.Own || st.Fleet.State != breaker.Closed {
			t.Fatalf("%+v", st)
		}
		if roster, _ := f.now.Load().Roster(t.Context(), "tier"); len(roster) != 1 || !roster[0].OwnOpen {
			t.Fatalf("the roster does not show it: %+v", roster)
		}
		time.Sleep(10 * time.Second)
		p, err := b.Acquire(t.Context())
		if err != nil || !p.Probe() {
			t.Fatal(err)
		}
		p.Done(nil)
		_ = b.Run(t.Context(), succeed)
		wantState(t, b, breaker.Closed)
		if got := b.Status().Verdict; got != breaker.Fleet {
			t.Fatal(got)
		}
		if err := r.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := f.read("tier").Totals; got.Calls != 2 {
			t.Fatalf("own probes are calls to the fleet: %+v", got)
		}
	})
}

func TestALocalOpeningEndsWhenTheFleetsGenerationMoves(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.replica(breaker.WithPolicy(streak))
		defer r.close()
		b := r.register(t, "tier")
		r.net.down.Store(true)
		time.Sleep(4 * time.Second)
		times(5, func() { _ = b.Run(t.Context(), fail) })
		time.Sleep(4 * time.Second) // what is pending is lost
		r.net.down.Store(false)
		time.Sleep(2 * time.Second)
		wantState(t, b, breaker.Open)
		if _, err := b.Command(t.Context(), breaker.Command{Action: breaker.Reset, By: "oncall"}); err != nil {
			t.Fatal(err)
		}
		wantState(t, b, breaker.Closed)
	})
}

func TestAReplicaWithABrokenNetworkToTheTierIsolatesItselfAndLeavesTheFleetAlone(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		p := streak
		p.Reporters = 2
		a, b := f.replica(breaker.WithPolicy(p)), f.replica(breaker.WithPolicy(p))
		defer a.close()
		defer b.close()
		x, y := a.register(t, "tier"), b.register(t, "tier")
		for range 10 {
			_ = x.Run(t.Context(), fail)
			time.Sleep(30 * time.Millisecond)
			if err := y.Run(t.Context(), succeed); err != nil {
				t.Fatal(err)
			}
			time.Sleep(30 * time.Millisecond)
		}
		wantState(t, x, breaker.Open)
		wantState(t, y, breaker.Closed)
		if got := x.Status(); got.Verdict != breaker.Own || got.Fleet.State != breaker.Closed {
			t.Fatalf("%+v", got)
		}
	})
}

func TestAReplicaWhoseOwnVerdictTripsReportsAtOnce(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.replica(breaker.WithPolicy(streak), breaker.WithTiming(breaker.Timing{FlushInterval: time.Second}))
		defer r.close()
		b := r.register(t, "tier")
		times(5, func() { _ = b.Run(t.Context(), fail) })
		synctest.Wait()
		wantState(t, b, breaker.Open)
		if got := b.Status().Verdict; got != breaker.Fleet {
			t.Fatalf("%v", got)
		}
	})
}

func TestStoreDownDecidesWhoRulesInAnOutage(t *testing.T) {
	for _, c := range []struct {
		mode breaker.StoreDown
		want breaker.Refusal
	}{{breaker.OwnVerdict, breaker.RefusedOpen}, {breaker.AdmitAll, ""}, {breaker.RejectAll, breaker.RefusedStoreDown}} {
		inVirtualTime(t, func(t *testing.T) {
			f := newFleet(t)
			r := f.replica(breaker.WithPolicy(streak), breaker.WithStoreDown(c.mode))
			defer r.close()
			b := r.register(t, "tier")
			r.net.down.Store(true)
			time.Sleep(5 * time.Second)
			times(10, func() { _ = b.Run(t.Context(), fail) })
			if got := refusal(b.Run(t.Context(), succeed)); got != c.want {
				t.Fatalf("%v: refused for %q; want %q", c.mode, got, c.want)
			}
			time.Sleep(4 * time.Second)
			r.net.down.Store(false)
			time.Sleep(2 * time.Second)
			if c.mode != breaker.OwnVerdict {
				if err := b.Run(t.Context(), succeed); err != nil {
					t.Fatalf("%v: after the heal: %v", c.mode, err)
				}
			}
		})
	}
}

func TestAForcedModeHoldsThroughAnOutageUntilItsEnd(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.replica(breaker.WithPolicy(streak))
		defer r.close()
		b := r.register(t, "tier")
		if _, err := b.Command(t.Context(), breaker.Command{Action: breaker.ForceOpen, For: time.Minute, By: "oncall"}); err != nil {
			t.Fatal(err)
		}
		r.net.hung.Store(true)
		time.Sleep(59 * time.Second)
		err := b.Run(t.Context(), succeed)
		var open *breaker.OpenError
		if !errors.As(err, &open) || open.Refusal != breaker.RefusedForced || open.RetryAfter() > time.Second {
			t.Fatalf("%v", err)
		}
		time.Sleep(time.Second)
		p, err := b.Acquire(t.Context())
		if err != nil || !p.Probe() {
			t.Fatalf("a forced open must end in half-open: %v", err)
		}
		p.Done(nil)
	})
}

func TestTheEndOfATimedCommandIsToldToTheStoreAtOnce(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		var heard events
		r := f.replica(breaker.WithPolicy(streak), breaker.WithListener(heard.hear))
		defer r.close()
		b := r.register(t, "tier")
		if _, err := b.Command(t.Context(), breaker.Command{Action: breaker.ForceClosed, For: time.Minute, By: "oncall"}); err != nil {
			t.Fatal(err)
		}
		times(100, func() { _ = b.Run(t.Context(), fail) })
		wantState(t, b, breaker.Closed)
		time.Sleep(time.Minute + 10*time.Millisecond)
		if got := f.read("tier"); got.Mode != breaker.Auto || got.State != breaker.Closed {
			t.Fatalf("%+v", got)
		}
		times(5, func() { _ = b.Run(t.Context(), fail) })
		time.Sleep(30 * time.Millisecond)
		wantState(t, b, breaker.Open)
	})
}

func TestAForcedModeRulesTheOwnVerdictToo(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.replica(breaker.WithPolicy(streak))
		defer r.close()
		b := r.register(t, "tier")
		r.net.down.Store(true)
		time.Sleep(4 * time.Second)
		times(5, func() { _ = b.Run(t.Context(), fail) })
		wantState(t, b, breaker.Open)
		r.net.down.Store(false)
		if _, err := b.Command(t.Context(), breaker.Command{Action: breaker.ForceClosed, By: "oncall"}); err != nil {
			t.Fatal(err)
		}
		wantState(t, b, breaker.Closed)
		if err := b.Run(t.Context(), succeed); err != nil {
			t.Fatal(err)
		}
	})
}

func TestAStoreThatLostItsMemoryIsRepairedByAnyReplica(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		var heard events
		a := f.replica(breaker.WithPolicy(streak), breaker.WithListener(heard.hear))
		b := f.replica(breaker.WithPolicy(streak))
		defer a.close()
		defer b.close()
		x, y := a.register(t, "tier"), b.register(t, "tier")
		times(5, func() { _ = x.Run(t.Context(), fail) })
		time.Sleep(50 * time.Millisecond)
		if _, err := y.Command(t.Context(), breaker.Command{Action: breaker.ForceOpen, For: time.Hour, By: "oncall", Why: "INC-42"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		before := f.read("tier")
		f.wipe()
		time.Sleep(2 * time.Second)
		after := f.read("tier")
		if after.Generation != before.Generation || after.Rev != before.Rev || after.State != breaker.Open || after.Mode != breaker.ForcedOpen || after.ModeNote.Why != "INC-42" {
			t.Fatalf("before %+v\nafter %+v", before, after)
		}
		for what, took := range map[string]time.Duration{
			"the command": before.ModeNote.EndsIn - after.ModeNote.EndsIn, "the open time": before.RetryIn - after.RetryIn,
		} {
			if took < 1900*time.Millisecond || took > 2100*time.Millisecond {
				t.Errorf("%s is %v shorter after 2 s", what, took)
			}
		}
		time.Sleep(10 * time.Second) // by push, or else by the next sign of life
		if !slices.Contains(heard.kinds(), breaker.Repaired) {
			t.Fatalf("heard %v", heard.all())
		}
		wantState(t, x, breaker.Open)
	})
}

func TestTheFleetStateNeverGoesBack(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.replica(breaker.WithPolicy(streak))
		defer r.close()
		b := r.register(t, "tier")
		r.net.delay.Store(int64(40 * time.Millisecond))
		var last store.Version
		for i := range 400 {
			switch i % 40 {
			case 7:
				go func() {
					_, _ = b.Command(context.Background(), breaker.Command{Action: breaker.Trip, For: 50 * time.Millisecond, By: "x"})
				}()
			case 20:
				go func() {
					_, _ = b.Command(context.Background(), breaker.Command{Action: breaker.ForceClosed, For: 100 * time.Millisecond, By: "x"})
				}()
			case 30:
				f.wipe()
			}
			_ = b.Run(t.Context(), succeed)
			time.Sleep(7 * time.Millisecond)
			now := b.Status().Fleet
			if now.Generation < last.Generation || now.Rev < last.Rev {
				t.Fatalf("from %+v back to %d, %d", last, now.Generation, now.Rev)
			}
			last = store.Version{Generation: now.Generation, Rev: now.Rev}
		}
	})
}

func TestCloseReportsEverythingAndIsIdempotent(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.replica(breaker.WithPolicy(breaker.Policy{FailureRate: 1, MinCalls: 100}))
		b := r.register(t, "tier")
		r.net.delay.Store(int64(30 * time.Millisecond))
		for range 1000 {
			_ = b.Run(t.Context(), fail)
			_ = b.Run(t.Context(), succeed)
		}
		errs := make(chan error, 3)
		for range 3 {
			go func() { errs <- r.Close(context.Background()) }()
		}
		for range 3 {
			if err := <-errs; err != nil {
				t.Fatal(err)
			}
		}
		if got := f.read("tier").Totals; got.Calls != 2000 || got.Late != 0 {
			t.Fatalf("%+v", got)
		}
		if _, err := r.Register(t.Context(), "another"); !errors.Is(err, breaker.ErrClosed) {
			t.Fatal(err)
		}
		times(200, func() { _ = b.Run(t.Context(), fail) })
		wantState(t, b, breaker.Open) // it lives on with its own verdict
		if got := b.Status(); got.Verdict != breaker.Own || got.Pending != 0 {
			t.Fatalf("%+v", got)
		}
	})
}

func TestCloseComesBackInTimeAndSaysWhatItCouldNotReport(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.replica()
		b := r.register(t, "tier")
		r.net.hung.Store(true)
		times(10, func() { _ = b.Run(t.Context(), succeed) })
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		began := time.Now()
		err := r.Close(ctx)
		if err == nil || time.Since(began) > 500*time.Millisecond {
			t.Fatalf("%v after %v", err, time.Since(began))
		}
		if got := b.Status(); got.Lost != 10 || got.Pending != 0 {
			t.Fatalf("%+v", got)
		}
		if err := b.Run(t.Context(), succeed); err != nil {
			t.Fatal(err)
		}
	})
}

func TestCloseSaysWhatBecameTooOldUnderASlowStore(t *testing.T) {
	// Close dropped the outcomes that a slow store kept waiting for longer than StaleAfter, and returned nil.
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.replica(breaker.WithPolicy(breaker.Policy{FailureRate: 1, MinCalls: 100}))
		b := r.register(t, "tier")
		r.net.delay.Store(int64(800 * time.Millisecond))
		const outcomes = 2000 // eight reports
		for range outcomes / 2 {
			_ = b.Run(t.Context(), fail)
			_ = b.Run(t.Context(), succeed)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := r.Close(ctx)
		lost, counted := b.Status().Lost, f.read("tier").Totals.Calls
		if lost == 0 || lost+counted != outcomes {
			t.Fatalf("%d lost, %d counted", lost, counted)
		}
		if want := fmt.Sprintf("%d outcomes were not reported: they had waited for too long", lost); err == nil || err.Error() != want {
			t.Errorf("Close said %v; want %q", err, want)
		}
	})
}

func TestCloseReportsWhatCameBeforeItWhileCallsGoOn(t *testing.T) {
	// Calls that ended during the last exchange made Close return an error without a cause.
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.replica()
		r.net.delay.Store(int64(30 * time.Millisecond))
		b := r.register(t, "tier")
		stop, called := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(called)
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Millisecond):
					_ = b.Run(context.Background(), succeed)
				}
			}
		}()
		time.Sleep(time.Second + time.Millisecond/2)
		if err := r.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if got := f.read("tier").Totals; got.Calls != 1000 {
			t.Errorf("%+v", got)
		}
		if got := b.Status(); got.Lost != 0 || got.Pending != 0 {
			t.Errorf("lost %d, pending %d", got.Lost, got.Pending)
		}
		close(stop)
		<-called
	})
}

func TestAfterCloseTheOwnVerdictRulesWhateverStoreDownSays(t *testing.T) {
	for _, mode := range []breaker.StoreDown{breaker.OwnVerdict, breaker.AdmitAll, breaker.RejectAll} {
		inVirtualTime(t, func(t *testing.T) {
			r := newFleet(t).replica(breaker.WithPolicy(streak), breaker.WithStoreDown(mode))
			b := r.register(t, "tier")
			r.close()
			if err := b.Run(t.Context(), succeed); err != nil {
				t.Fatalf("%v: %v", mode, err)
			}
			times(5, func() { _ = b.Run(t.Context(), fail) })
			if got := refusal(b.Run(t.Context(), succeed)); got != breaker.RefusedOpen {
				t.Fatalf("%v: refused for %q", mode, got)
			}
		})
	}
}

func TestALaneThatIsAskedNothingIsNotLost(t *testing.T) {
	// A lane whose last breaker had been unregistered counted as lost, since it was asked nothing and so gave no answer.
	inVirtualTime(t, func(t *testing.T) {
		var heard events
		r := newFleet(t).replica(breaker.WithListener(heard.hear))
		defer r.close()
		r.register(t, "tier")
		time.Sleep(5 * time.Second)
		if err := r.Unregister("tier"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := r.Status(); len(heard.all()) != 0 || got.StoreLosses != 0 || !got.StoreUp {
			t.Fatalf("heard %v, lost %d times, up: %v", heard.all(), got.StoreLosses, got.StoreUp)
		}
		r.register(t, "tier")
		r.net.down.Store(true)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if got := heard.kinds(); !slices.Equal(got, []breaker.EventKind{breaker.StoreLost}) {
			t.Fatal(got)
		}
	})
}

func TestALostLaneWithoutBreakersHidesNoOtherLoss(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		var heard events
		s := twoLaneStore{remoteStore{newBackend(), &network{}}, &atomic.Bool{}}
		m, err := breaker.NewManager(s, breaker.WithListener(heard.hear))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { s.net.down.Store(false); _ = m.Close(context.Background()) }()
		_, _ = m.Register(t.Context(), "a")
		_, _ = m.Register(t.Context(), "b")
		s.hung.Store(true)
		time.Sleep(5 * time.Second)
		_ = m.Unregister("b") // the last one there
		s.net.down.Store(true)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		want := []breaker.EventKind{breaker.StoreLost, breaker.StoreBack, breaker.StoreLost}
		if got := heard.kinds(); !slices.Equal(got, want) || m.Status().StoreLosses != 2 {
			t.Fatal(got, m.Status().StoreLosses)
		}
	})
}

func TestALongFlushIntervalDoesNotFloodAStoreThatIsDown(t *testing.T) {
	// Its doublings overflowed, and the pause between two attempts fell to a millisecond.
	inVirtualTime(t, func(t *testing.T) {
		r := newFleet(t).replica(breaker.WithTiming(breaker.Timing{FlushInterval: 24 * time.Hour}))
		defer r.close()
		b := r.register(t, "tier")
		r.net.down.Store(true)
		ask := func() { _ = b.Run(t.Context(), succeed); time.Sleep(time.Second) }
		times(60, ask)
		before := r.net.syncs.Load() + r.net.reads.Load()
		times(60, ask)
		if got := r.net.syncs.Load() + r.net.reads.Load() - before; got > 600 {
			t.Fatalf("asked %d times a minute", got)
		}
	})
}

func TestThatTheStoreIsLostIsHeardBeforeWhatFollowsFromIt(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		var heard events
		f := newFleet(t)
		r := f.replica(breaker.WithListener(heard.hear))
		defer r.close()
		b := r.register(t, "tier", breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 1, OpenFor: time.Second, OpenForMax: time.Second}))
		_ = b.Run(t.Context(), fail)
		if err := r.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantState(t, b, breaker.Open)
		r.net.down.Store(true)
		time.Sleep(time.Minute) // the open time is long over once the store counts as lost: the local breaker takes over
		synctest.Wait()
		kinds := heard.kinds()
		lost, own := slices.Index(kinds, breaker.StoreLost), slices.Index(kinds, breaker.OwnTripped)
		if lost < 0 || own < 0 || lost > own {
			t.Errorf("heard were %v; want that the store is lost, and then what the replica makes of it", kinds)
		}
	})
}
