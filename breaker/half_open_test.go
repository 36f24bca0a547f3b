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

func TestALateSuccessOfAnEarlierGenerationMovesNothing(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		b := solo(t, breaker.WithPolicy(short))
		late, err := b.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		lateFailure, _ := b.Acquire(t.Context())
		times(3, func() { _ = b.Run(t.Context(), fail) })
		time.Sleep(time.Second)
		probe, err := b.Acquire(t.Context())
		if err != nil || !probe.Probe() {
			t.Fatalf("no probe: %v", err)
		}
		late.Done(nil)
		lateFailure.Done(errTier)
		wantState(t, b, breaker.HalfOpen)
		if _, err := b.Acquire(t.Context()); refusal(err) != breaker.RefusedProbing {
			t.Fatalf("a late result freed the probe's place: %v", err)
		}
		probe.Done(nil)
		wantState(t, b, breaker.Closed)
		s, _ := b.Snapshot(t.Context())
		if s.Totals.Late != 2 {
			t.Fatalf("%+v", s.Totals)
		}
	})
}

func TestAProbeOfAnEarlierRoundFreesNoPlaceOfTheNext(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		p := short
		p.Probes = 2
		b := halfOpen(t, p)
		first, _ := b.Acquire(t.Context())
		second, _ := b.Acquire(t.Context())
		first.Done(errTier)
		wantState(t, b, breaker.Open)
		time.Sleep(time.Second)
		third, err := b.Acquire(t.Context()) // the second still holds its place
		if err != nil || !third.Probe() {
			t.Fatal(err)
		}
		if _, err := b.Acquire(t.Context()); refusal(err) != breaker.RefusedProbing {
			t.Fatalf("more probes than places: %v", err)
		}
		second.Done(nil)
		wantState(t, b, breaker.HalfOpen)
		third.Done(nil)
		wantState(t, b, breaker.Closed)
	})
}

func TestOfAThousandCallsAtTheEndOfTheOpenTimeOnlyTheProbesGoThrough(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		p := short
		p.Probes, p.ProbeSuccesses = 3, 3
		b := halfOpen(t, p)
		var inside, refused atomic.Int64
		release := make(chan struct{})
		for range 1000 {
			go func() {
				err := b.Run(context.Background(), func(context.Context) error { inside.Add(1); <-release; return nil })
				if refusal(err) == breaker.RefusedProbing {
					refused.Add(1)
				}
			}()
		}
		synctest.Wait()
		if inside.Load() != 3 || refused.Load() != 997 {
			t.Fatalf("%d inside, %d refused", inside.Load(), refused.Load())
		}
		close(release)
		synctest.Wait()
		wantState(t, b, breaker.Closed)
	})
}

func TestARefusedProbeIsToldWhenToAskAgain(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		b := halfOpen(t, short)
		p, _ := b.Acquire(t.Context())
		_, err := b.Acquire(t.Context())
		var open *breaker.OpenError
		if !errors.As(err, &open) || open.Refusal != breaker.RefusedProbing || open.RetryAfter() <= 0 || open.RetryAfter() > 200*time.Millisecond {
			t.Fatalf("%v", err)
		}
		p.Record(breaker.Ignored) // gives its place back, at once
		p2, err := b.Acquire(t.Context())
		if err != nil || !p2.Probe() {
			t.Fatalf("the place was not given back: %v", err)
		}
		p2.Done(nil)
		wantState(t, b, breaker.Closed)
	})
}

func TestAnIgnoredProbeDecidesNothingAndGivesItsPlaceBack(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		b := halfOpen(t, short)
		for range 5 {
			ctx, cancel := context.WithCancel(t.Context())
			_ = b.Run(ctx, func(ctx context.Context) error { cancel(); return ctx.Err() })
			wantState(t, b, breaker.HalfOpen)
		}
		if err := b.Run(t.Context(), succeed); err != nil {
			t.Fatal(err)
		}
		wantState(t, b, breaker.Closed)
	})
}

func TestAProbeThatNeverComesBackFailsBeforeItsLeaseEnds(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		b := halfOpen(t, short)
		p, err := b.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		<-p.Context().Done()
		if got := time.Since(began); got != 9*time.Second {
			t.Fatalf("the probe's context ended after %v; want 90 %% of its lease", got)
		}
		if p.Context().Err() != context.DeadlineExceeded {
			t.Fatal(p.Context().Err())
		}
		synctest.Wait()
		wantState(t, b, breaker.Open)
		p.Done(nil) // too late
		wantState(t, b, breaker.Open)
		time.Sleep(time.Second)
		_ = b.Run(t.Context(), succeed)
		wantState(t, b, breaker.Closed)
	})
}

func TestASettledProbesContextStaysAlive(t *testing.T) {
	// If the context of a call ended with the call, a response's body could not be read afterwards.
	inVirtualTime(t, func(t *testing.T) {
		b := halfOpen(t, short)
		parent, cancel := context.WithCancel(t.Context())
		var body context.Context
		if err := b.Run(parent, func(ctx context.Context) error { body = ctx; return nil }); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if body.Err() != nil {
			t.Fatalf("the context of a settled probe ended: %v", body.Err())
		}
		cancel()
		if body.Err() != context.Canceled {
			t.Fatalf("the caller's cancellation does not reach the body: %v", body.Err())
		}
	})
}

func TestAFailedProbeReopensForTwiceTheTime(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		p := short
		p.OpenForMax = 3 * time.Second
		b := halfOpen(t, p)
		for _, want := range []time.Duration{2 * time.Second, 3 * time.Second, 3 * time.Second} {
			_ = b.Run(t.Context(), fail)
			wantState(t, b, breaker.Open)
			if got := b.Status().RetryAfter; got != want {
				t.Fatalf("open for %v; want %v", got, want)
			}
			time.Sleep(want)
		}
	})
}

func TestAnOperatorsResetWhileCallsAreInFlightIsNotTouchedByThem(t *testing.T) {
	b := solo(t, breaker.WithPolicy(short))
	var permits []*breaker.Permit
	for range 3 {
		p, err := b.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		permits = append(permits, &p)
	}
	if _, err := b.Command(t.Context(), breaker.Command{Action: breaker.Reset, By: "test"}); err != nil {
		t.Fatal(err)
	}
	for _, p := range permits {
		p.Done(errTier)
	}
	wantState(t, b, breaker.Closed)
}

func TestADryRunCountsAndProbesButRefusesNobody(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		p := short
		p.Observe = true
		var heard events
		b := solo(t, breaker.WithPolicy(p), breaker.WithListener(heard.hear))
		times(10, func() {
			if err := b.Run(t.Context(), fail); err != errTier {
				t.Fatal(err)
			}
		})
		if s, _ := b.Snapshot(t.Context()); s.State != breaker.Open {
			t.Fatalf("a dry run does not judge: %+v", s)
		}
		wantState(t, b, breaker.Closed)
		time.Sleep(time.Second)
		release := make(chan struct{})
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if err := b.Run(context.Background(), func(ctx context.Context) error {
					<-release
					return ctx.Err()
				}); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		close(release)
		wg.Wait()
		if s, _ := b.Snapshot(t.Context()); s.State != breaker.Closed || s.Reason != breaker.ByProbeSuccesses {
			t.Fatalf("a dry run does not probe: %+v", s)
		}
		if got := b.Status().Refused; len(got) != 0 {
			t.Fatalf("%v", got)
		}
	})
}

func TestADryRunCutsNoCallThatOutlastsItsLease(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		p := short
		p.Observe = true
		b := halfOpenObserved(t, p)
		if err := b.Run(t.Context(), func(ctx context.Context) error {
			time.Sleep(time.Minute)
			return ctx.Err()
		}); err != nil {
			t.Fatal(err)
		}
	})
}

func halfOpenObserved(t *testing.T, p breaker.Policy) *breaker.Breaker {
	b := solo(t, breaker.WithPolicy(p))
	times(3, func() { _ = b.Run(t.Context(), fail) })
	time.Sleep(p.OpenFor)
	return b
}

func TestARampLetsAGrowingShareThrough(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		p := short
		p.RampUp = 64 * time.Second
		b := halfOpen(t, p)
		_ = b.Run(t.Context(), succeed)
		wantState(t, b, breaker.Closed)
		if wait := b.Status().RetryAfter; wait != 0 {
			t.Errorf("the status of a closed breaker tells calls to wait for %v", wait)
		}
		share := func() (admitted int) {
			times(1000, func() {
				switch refusal(b.Run(t.Context(), succeed)) {
				case "":
					admitted++
				case breaker.RefusedRampUp:
				default:
					t.Fatal("refused for another reason")
				}
			})
			return admitted
		}
		if got := share(); got > 60 {
			t.Fatalf("%d of 1000 admitted at once; want about 16", got)
		}
		time.Sleep(32 * time.Second)
		if got := share(); got < 400 || got > 600 {
			t.Fatalf("%d of 1000 admitted half-way", got)
		}
		time.Sleep(32 * time.Second)
		if got := share(); got != 1000 {
			t.Fatalf("%d of 1000 admitted after the ramp", got)
		}
	})
}

func TestAResetNeedsNoRamp(t *testing.T) {
	p := short
	p.RampUp = time.Hour
	b := solo(t, breaker.WithPolicy(p))
	times(3, func() { _ = b.Run(t.Context(), fail) })
	if _, err := b.Command(t.Context(), breaker.Command{Action: breaker.Reset, By: "test"}); err != nil {
		t.Fatal(err)
	}
	times(100, func() {
		if err := b.Run(t.Context(), succeed); err != nil {
			t.Fatal(err)
		}
	})
}

func TestABreakerOutlivesItsLocalStore(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		s := memorystore.New()
		m, err := breaker.NewManager(s)
		if err != nil {
			t.Fatal(err)
		}
		b, err := m.Register(t.Context(), "tier", breaker.WithPolicy(short))
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		_ = s.Close()
		times(4, func() { _ = b.Run(t.Context(), fail) })
		wantState(t, b, breaker.Open)
		time.Sleep(2 * time.Second)
		if err := b.Run(t.Context(), succeed); err != nil {
			t.Fatal(err)
		}
		wantState(t, b, breaker.Closed)
	})
}

// leaselessStore grants no lease although it is half-open, and does not say when to ask again.
type leaselessStore struct{ remoteStore }

func (l leaselessStore) Claim(ctx context.Context, c store.Claim) (store.Grant, error) {
	g, err := l.remoteStore.Claim(ctx, c)
	g.Leases, g.RetryIn = nil, 0
	return g, err
}

func TestACallClaimsOnceWhateverAStoreAnswers(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		net := &network{}
		m, err := breaker.NewManager(leaselessStore{remoteStore{newBackend(), net}}, breaker.WithPolicy(streak))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = m.Close(context.Background()) }()
		b, _ := m.Register(t.Context(), "tier")
		times(5, func() { _ = b.Run(t.Context(), fail) })
		_ = m.Sync(t.Context())
		wantState(t, b, breaker.Open)
		time.Sleep(11 * time.Second)
		net.delay.Store(int64(80 * time.Millisecond))
		began := time.Now()
		err = b.Run(t.Context(), succeed)
		if took := time.Since(began); refusal(err) != breaker.RefusedProbing || took > 100*time.Millisecond || net.claims.Load() != 1 {
			t.Fatalf("%v after %v and %d claims", err, took, net.claims.Load())
		}
	})
}

func TestALeaseThatIsOverWhenItArrivesIsNoFailure(t *testing.T) {
	// The call was admitted with a context that had ended, and its failure opened the breaker again.
	inVirtualTime(t, func(t *testing.T) {
		p := streak
		p.ProbeLease = 50 * time.Millisecond
		r := newFleet(t).replica(breaker.WithPolicy(p))
		defer r.close()
		b := r.register(t, "tier")
		times(5, func() { _ = b.Run(t.Context(), fail) })
		_ = r.Sync(t.Context())
		wantState(t, b, breaker.Open)
		time.Sleep(11 * time.Second)
		r.net.delay.Store(int64(60 * time.Millisecond))
		if err := b.Run(t.Context(), succeed); refusal(err) != breaker.RefusedProbing {
			t.Fatal(err)
		}
		_ = r.Sync(t.Context())
		if got := b.Status().Totals.Failures; got != 5 {
			t.Fatalf("%d failures", got)
		}
		r.net.delay.Store(int64(10 * time.Millisecond))
		times(2, func() {
			time.Sleep(100 * time.Millisecond)
			_ = b.Run(t.Context(), succeed)
		})
		_ = r.Sync(t.Context())
		wantState(t, b, breaker.Closed)
	})
}

func TestAParkedLeaseIsNotUsedInALaterGeneration(t *testing.T) {
	// A call of the next half-open got the lease, and its success was not counted.
	inVirtualTime(t, func(t *testing.T) {
		r := newFleet(t).replica(breaker.WithPolicy(streak))
		defer r.close()
		b := r.register(t, "tier")
		times(5, func() { _ = b.Run(t.Context(), fail) })
		_ = r.Sync(t.Context())
		time.Sleep(11 * time.Second)
		r.net.delay.Store(int64(400 * time.Millisecond))
		if err := b.Run(t.Context(), succeed); refusal(err) != breaker.RefusedProbing {
			t.Fatal(err)
		}
		time.Sleep(350 * time.Millisecond) // its lease has come
		r.net.delay.Store(0)
		trip := breaker.Command{Action: breaker.Trip, For: 10 * time.Millisecond, By: "me"}
		if _, err := b.Command(t.Context(), trip); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		times(2, func() {
			_ = b.Run(t.Context(), succeed)
			synctest.Wait()
		})
		wantState(t, b, breaker.Closed)
	})
}
