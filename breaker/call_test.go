package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/breaker"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

// solo makes a breaker for one process.
func solo(t testing.TB, opts ...breaker.Option) *breaker.Breaker {
	t.Helper()
	b, err := breaker.New("tier", opts...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// short is a policy that opens soon, for a second.
var short = breaker.Policy{ConsecutiveFailures: 3, OpenFor: time.Second, Probes: 1, ProbeSuccesses: 1, ProbeLease: 10 * time.Second}

// halfOpen gives a breaker of that policy whose open time is over.
func halfOpen(t testing.TB, p breaker.Policy, opts ...breaker.Option) *breaker.Breaker {
	t.Helper()
	b := solo(t, append(opts, breaker.WithPolicy(p))...)
	times(3, func() { _ = b.Run(t.Context(), fail) })
	if b.State() != breaker.Open {
		t.Fatalf("not open after 3 failures: %+v", b.Status())
	}
	time.Sleep(p.OpenFor)
	return b
}

func TestABreakerWithoutAnyConfigurationOpensAndComesBack(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		b := solo(t)
		times(4, func() {
			if err := b.Run(t.Context(), fail); !errors.Is(err, errTier) {
				t.Fatalf("Run gives %v; want the call's own error", err)
			}
		})
		wantState(t, b, breaker.Closed)
		_ = b.Run(t.Context(), fail)
		wantState(t, b, breaker.Open)
		called := false
		err := b.Run(t.Context(), func(context.Context) error { called = true; return nil })
		var open *breaker.OpenError
		if called || !errors.Is(err, breaker.ErrOpen) || !errors.As(err, &open) {
			t.Fatalf("open: called %v, error %v", called, err)
		}
		if open.Name != "tier" || open.Refusal != breaker.RefusedOpen || open.Reason != breaker.ByConsecutiveFailures || open.RetryAfter() != time.Minute {
			t.Fatalf("%+v, retry after %v", open, open.RetryAfter())
		}
		time.Sleep(time.Minute - time.Nanosecond)
		if err := b.Run(t.Context(), succeed); refusal(err) != breaker.RefusedOpen {
			t.Fatalf("admitted before its time: %v", err)
		}
		time.Sleep(time.Nanosecond)
		wantState(t, b, breaker.Open)
		if err := b.Run(t.Context(), succeed); err != nil {
			t.Fatal(err)
		}
		wantState(t, b, breaker.HalfOpen)
		if err := b.Run(t.Context(), succeed); err != nil {
			t.Fatal(err)
		}
		wantState(t, b, breaker.Closed)
	})
}

func TestDoGivesTheCallsOwnValueAndErrorAndZeroWhenRefused(t *testing.T) {
	b := solo(t, breaker.WithPolicy(short))
	v, err := breaker.Do(t.Context(), b, func(context.Context) (int, error) { return 7, errTier })
	if v != 7 || err != errTier {
		t.Fatalf("Do = %v, %v", v, err)
	}
	times(3, func() { _ = b.Run(t.Context(), fail) })
	if v, err := breaker.Do(t.Context(), b, func(context.Context) (int, error) { return 7, nil }); v != 0 || !errors.Is(err, breaker.ErrOpen) {
		t.Fatalf("Do = %v, %v", v, err)
	}
}

func TestARateExactlyAtTheThresholdTripsAndOneBelowDoesNot(t *testing.T) {
	for _, c := range []struct {
		failures int
		want     breaker.State
	}{{49, breaker.Closed}, {50, breaker.Open}} {
		b := solo(t, breaker.WithPolicy(breaker.Policy{FailureRate: 0.5, MinCalls: 100, WindowCalls: 100}))
		times(100-c.failures, func() { _ = b.Run(t.Context(), succeed) })
		times(c.failures, func() { _ = b.Run(t.Context(), fail) })
		wantState(t, b, c.want)
	}
}

func TestWhatOneGoroutineSawInOrderIsJudgedInOrder(t *testing.T) {
	b := solo(t, breaker.WithPolicy(short))
	for range 50 {
		times(2, func() { _ = b.Run(t.Context(), fail) })
		_ = b.Run(t.Context(), succeed)
	}
	wantState(t, b, breaker.Closed)
	times(2, func() { _ = b.Run(t.Context(), fail) })
	wantState(t, b, breaker.Closed)
	_ = b.Run(t.Context(), fail)
	wantState(t, b, breaker.Open)
}

func TestConcurrentFailuresAreAllJudgedBeforeTheirCallsReturn(t *testing.T) {
	for range 50 {
		b := solo(t, breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 8}))
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() { _ = b.Run(t.Context(), fail) })
		}
		wg.Wait()
		wantState(t, b, breaker.Open)
	}
}

func TestIgnoredOutcomesBreakNoStreakAndEnterNoWindow(t *testing.T) {
	ignored := errors.New("not the tier's fault")
	b := solo(t, breaker.WithPolicy(short), breaker.WithIgnore(ignored))
	times(2, func() { _ = b.Run(t.Context(), fail) })
	times(10, func() {
		_ = b.Run(t.Context(), func(context.Context) error { return fmt.Errorf("wrapped: %w", errors.Join(errTier, ignored)) })
	})
	wantState(t, b, breaker.Closed)
	_ = b.Run(t.Context(), fail)
	wantState(t, b, breaker.Open)
	s, err := b.Snapshot(t.Context())
	if err != nil || s.Totals.Ignored != 10 || s.Totals.Calls != 3 {
		t.Fatalf("totals %+v, %v", s.Totals, err)
	}
}

func TestSlowSuccessesTripTheSlowCallRateAndEndAStreak(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		b := solo(t, breaker.WithPolicy(breaker.Policy{SlowCallRate: 0.5, SlowCallAfter: time.Second, MinCalls: 4, WindowCalls: 4}))
		slow := func(context.Context) error { time.Sleep(time.Second + time.Millisecond); return nil }
		onTime := func(context.Context) error { time.Sleep(time.Second); return nil }
		times(3, func() { _ = b.Run(t.Context(), onTime) })
		_ = b.Run(t.Context(), slow)
		wantState(t, b, breaker.Closed)
		_ = b.Run(t.Context(), slow)
		wantState(t, b, breaker.Open)
		if s, _ := b.Snapshot(t.Context()); s.Reason != breaker.BySlowCallRate || s.Totals.Slow != 2 {
			t.Fatalf("%+v", s)
		}
	})
}

func TestCallsLongerThanTheWindowStillCount(t *testing.T) {
	// A breaker that counts a call at the time when it began never sees calls that last longer than its window.
	inVirtualTime(t, func(t *testing.T) {
		b := solo(t, breaker.WithPolicy(breaker.Policy{WindowTime: time.Second, FailureRate: 0.5, MinCalls: 4}))
		long := func(context.Context) error { time.Sleep(3 * time.Second); return errTier }
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() { _ = b.Run(t.Context(), long) })
		}
		wg.Wait()
		wantState(t, b, breaker.Open)
	})
}

func TestATimeWindowKnowsTheAgeOfSuccesses(t *testing.T) {
	// Successes are only counted until something is reported. If all of them were as old as the failure after them, those
	// that have left the window would hide that failure.
	inVirtualTime(t, func(t *testing.T) {
		b := solo(t, breaker.WithPolicy(breaker.Policy{WindowTime: 10 * time.Second, FailureRate: 0.5, MinCalls: 4}))
		times(100, func() { _ = b.Run(t.Context(), succeed) })
		time.Sleep(15 * time.Second)
		times(4, func() { _ = b.Run(t.Context(), fail) })
		wantState(t, b, breaker.Open)
		s, _ := b.Snapshot(t.Context())
		if s.Totals.Calls != 104 {
			t.Fatalf("%+v", s.Totals)
		}
	})
	inVirtualTime(t, func(t *testing.T) {
		b := solo(t, breaker.WithPolicy(breaker.Policy{WindowTime: 10 * time.Second, FailureRate: 0.5, MinCalls: 4}))
		for range 20 { // ten a second; those of the last ten seconds stay
			times(10, func() { _ = b.Run(t.Context(), succeed) })
			time.Sleep(time.Second)
		}
		times(50, func() { _ = b.Run(t.Context(), fail) })
		wantState(t, b, breaker.Closed)
		s, _ := b.Snapshot(t.Context())
		if s.Window.Calls < 50+90 || s.Window.Calls > 50+100 {
			t.Fatalf("%+v", s.Window)
		}
	})
}

func TestAPanicCountsAsAFailureAndGoesOnUpWithItsValue(t *testing.T) {
	for _, verb := range []string{"Do", "Run"} {
		b := solo(t, breaker.WithPolicy(short))
		for range 3 {
			func() {
				defer func() {
					if v := recover(); v != "boom" {
						t.Fatalf("%s: recovered %v", verb, v)
					}
				}()
				if verb == "Do" {
					_, _ = breaker.Do(t.Context(), b, func(context.Context) (int, error) { panic("boom") })
				} else {
					_ = b.Run(t.Context(), func(context.Context) error { panic("boom") })
				}
			}()
		}
		wantState(t, b, breaker.Open)
		if s, _ := b.Snapshot(t.Context()); len(s.Errors) != 0 && s.Errors[0].Label != "panic" {
			t.Fatalf("%+v", s.Errors)
		}
	}
}

func TestGoexitCountsAsAFailureAndGivesItsProbeBack(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		b := halfOpen(t, short)
		exit := func() {
			done := make(chan struct{})
			go func() {
				defer close(done)
				_ = b.Run(context.Background(), func(context.Context) error { runtime.Goexit(); return nil })
			}()
			<-done
		}
		exit()
		wantState(t, b, breaker.Open) // the probe failed
		time.Sleep(time.Second)
		if err := b.Run(t.Context(), succeed); err != nil {
			t.Fatal(err)
		}
		wantState(t, b, breaker.Closed)
		times(3, exit)
		wantState(t, b, breaker.Open)
	})
}

func TestACancelledCallerIsIgnoredButADeadlineIsAFailure(t *testing.T) {
	b := solo(t, breaker.WithPolicy(short))
	cancelled, cancel := context.WithCancel(t.Context())
	times(5, func() {
		ctx, cancel := context.WithCancel(t.Context())
		_ = b.Run(ctx, func(ctx context.Context) error { cancel(); return ctx.Err() })
	})
	wantState(t, b, breaker.Closed)
	cancel()
	if err := b.Run(cancelled, succeed); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if s, _ := b.Snapshot(t.Context()); s.Totals.Ignored != 5 || s.Totals.Calls != 0 {
		t.Fatalf("%+v", s.Totals)
	}
	times(3, func() {
		ctx, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
		defer cancel()
		p, err := b.Acquire(context.WithoutCancel(ctx))
		if err != nil {
			t.Fatal(err)
		}
		p.Done(ctx.Err())
	})
	wantState(t, b, breaker.Open)
}

func TestACancellationThatIsNotTheCallersIsAFailure(t *testing.T) {
	b := solo(t, breaker.WithPolicy(short))
	times(3, func() { _ = b.Run(t.Context(), func(context.Context) error { return context.Canceled }) })
	wantState(t, b, breaker.Open)
}

func TestAnEndedContextIsToldBeforeARefusalAndCountsNothing(t *testing.T) {
	b := solo(t)
	if _, err := b.Command(t.Context(), breaker.Command{Action: breaker.ForceOpen, By: "test"}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Acquire(ctx); err != context.Canceled {
		t.Fatal(err)
	}
	if n := len(b.Status().Refused); n != 0 {
		t.Fatalf("%+v", b.Status().Refused)
	}
}

func TestAPanickingClassifierCountsAsAFailureAndHoldsNothing(t *testing.T) {
	var b *breaker.Breaker
	b = solo(t, breaker.WithPolicy(short), breaker.WithClassifier(func(context.Context, error) breaker.Outcome {
		_ = b.State() // calls back into the breaker
		panic("classifier")
	}))
	times(3, func() {
		if err := b.Run(t.Context(), succeed); err != nil {
			t.Fatal(err)
		}
	})
	wantState(t, b, breaker.Open)
}

func TestAClassifierSeesTheCallersContextAndErrPanic(t *testing.T) {
	type key struct{}
	var saw error
	b := solo(t, breaker.WithClassifier(func(ctx context.Context, err error) breaker.Outcome {
		if ctx.Value(key{}) != "caller" {
			t.Error("not the caller's context")
		}
		saw = err
		return breaker.Ignored
	}))
	func() {
		defer func() { _ = recover() }()
		_ = b.Run(context.WithValue(t.Context(), key{}, "caller"), func(context.Context) error { panic(1) })
	}()
	if saw != breaker.ErrPanic {
		t.Fatalf("saw %v", saw)
	}
}

func TestAClassifierThatForgetsItsValueDoesNotReportSuccess(t *testing.T) {
	b := solo(t, breaker.WithPolicy(short), breaker.WithClassifier(func(context.Context, error) (o breaker.Outcome) { return o }))
	times(3, func() { _ = b.Run(t.Context(), succeed) })
	wantState(t, b, breaker.Open)
}

func TestAPermitCountsOnceHoweverOftenItIsDone(t *testing.T) {
	ends := map[string]func(*breaker.Permit){
		"Done":           func(p *breaker.Permit) { p.Done(nil) },
		"Done, an error": func(p *breaker.Permit) { p.Done(errTier) },
		"Record":         func(p *breaker.Permit) { p.Record(breaker.Failure) },
	}
	for first, end := range ends {
		for second, again := range ends {
			b := solo(t, breaker.WithPolicy(short))
			p, err := b.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			end(&p)
			again(&p)
			if got := b.Status().Totals.Calls; got != 1 {
				t.Errorf("%s, then %s: %d calls counted", first, second, got)
			}
		}
	}
	b := solo(t, breaker.WithPolicy(short))
	p, err := b.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { p.Done(errTier) })
		wg.Go(func() { p.Record(breaker.Failure) })
	}
	wg.Wait()
	wantState(t, b, breaker.Closed)
	if got := b.Status().Totals.Calls; got != 1 {
		t.Fatalf("%d calls counted", got)
	}
	var zero breaker.Permit
	zero.Done(errTier)
	zero.Record(breaker.Failure)
	if zero.Probe() || zero.Context() == nil {
		t.Fatal("the zero permit is something")
	}
}

func TestRecordTakesWhatNoErrorCanSay(t *testing.T) {
	b := solo(t, breaker.WithPolicy(short))
	for _, o := range []breaker.Outcome{breaker.Success, breaker.Failure, breaker.Ignored, 0, 99} {
		p, err := b.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p.Record(o)
	}
	if got := b.Status().Totals; got.Calls != 4 || got.Failures != 3 || got.Ignored != 1 {
		t.Fatalf("%+v", got)
	}
}

func TestAClosedCallGetsTheCallersOwnContext(t *testing.T) {
	b := solo(t)
	ctx := t.Context()
	_ = b.Run(ctx, func(got context.Context) error {
		if got != ctx {
			t.Error("another context")
		}
		return nil
	})
}

func TestNilArgumentsPanicWithASentence(t *testing.T) {
	b := solo(t)
	m, err := breaker.NewManager(memorystore.New())
	if err != nil {
		t.Fatal(err)
	}
	var none *breaker.Breaker
	var noContext context.Context
	for name, call := range map[string]func(){
		"Do breaker":            func() { _, _ = breaker.Do(t.Context(), none, nothing) },
		"Do context":            func() { _, _ = breaker.Do(noContext, b, nothing) },
		"Do function":           func() { _, _ = breaker.Do[int](t.Context(), b, nil) },
		"Run breaker":           func() { _ = none.Run(t.Context(), succeed) },
		"Run context":           func() { _ = b.Run(noContext, succeed) },
		"Run function":          func() { _ = b.Run(t.Context(), nil) },
		"Acquire breaker":       func() { _, _ = none.Acquire(t.Context()) },
		"Acquire context":       func() { _, _ = b.Acquire(noContext) },
		"WithListener function": func() { breaker.WithListener(nil) },
		"Close context":         func() { _ = m.Close(noContext) },
		"Sync context":          func() { _ = m.Sync(noContext) },
		"Register context":      func() { _, _ = m.Register(noContext, "x") },
		"GetOrRegister context": func() { _, _ = m.GetOrRegister(noContext, "x") },
		"Snapshots context":     func() { _, _ = m.Snapshots(noContext) },
		"Command context":       func() { _, _ = m.Command(noContext, breaker.Command{}) },
		"Reset context":         func() { _ = m.Reset(noContext, "x") },
	} {
		func() {
			defer func() {
				verb, what, _ := strings.Cut(name, " ")
				if verb == "Reset" {
					verb = "Command"
				}
				if s, ok := recover().(string); !ok || !strings.Contains(s, verb) || !strings.Contains(s, what) {
					t.Errorf("%s: panicked with %q", name, s)
				}
			}()
			call()
		}()
	}
}

func TestTheHotPathDoesNotAllocate(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	closed, open := solo(t), solo(t)
	if _, err := open.Command(t.Context(), breaker.Command{Action: breaker.ForceOpen, By: "test"}); err != nil {
		t.Fatal(err)
	}
	slow := solo(t, breaker.WithPolicy(breaker.Policy{SlowCallAfter: time.Hour, SlowCallRate: 1}))
	for name, call := range map[string]func(){
		"Do":      func() { _, _ = breaker.Do(ctx, closed, nothing) },
		"Run":     func() { _ = closed.Run(ctx, succeed) },
		"Acquire": func() { p, _ := closed.Acquire(ctx); p.Done(nil) },
		"slow Do": func() { _, _ = breaker.Do(ctx, slow, nothing) },
		"refused": func() { _, _ = breaker.Do(ctx, open, nothing) },
	} {
		if n := testing.AllocsPerRun(1000, call); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestSuccessesCountedInParallelAreAllCounted(t *testing.T) {
	b := solo(t)
	const goroutines, each = 8, 5000
	var wg sync.WaitGroup
	var failures atomic.Int64
	for range goroutines {
		wg.Go(func() {
			for i := range each {
				if i%1000 == 999 {
					failures.Add(1)
					_ = b.Run(t.Context(), fail)
				} else {
					_ = b.Run(t.Context(), succeed)
				}
			}
		})
	}
	wg.Wait()
	s, err := b.Snapshot(t.Context())
	if err != nil || s.Totals.Calls != goroutines*each || s.Totals.Failures != uint64(failures.Load()) {
		t.Fatalf("%+v, %v", s.Totals, err)
	}
	if got := b.Status(); got.Totals.Calls != goroutines*each || got.Pending != 0 {
		t.Fatalf("%+v", got)
	}
}

func TestARefusalTellsWhenToAskAgainAsTimeGoesBy(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		b := solo(t, breaker.WithPolicy(short))
		times(3, func() { _ = b.Run(t.Context(), fail) })
		var open *breaker.OpenError
		errors.As(b.Run(t.Context(), succeed), &open)
		time.Sleep(400 * time.Millisecond)
		if got := open.RetryAfter(); got != 600*time.Millisecond {
			t.Fatalf("retry after %v", got)
		}
		var same *breaker.OpenError
		errors.As(b.Run(t.Context(), succeed), &same)
		if same != open {
			t.Fatal("each refusal makes an error of its own")
		}
		time.Sleep(time.Hour)
		if got := open.RetryAfter(); got != 0 {
			t.Fatalf("retry after %v", got)
		}
		synctest.Wait()
	})
}

func TestSuccessesOfATimeWindowAreNotLostHoweverLongNothingFails(t *testing.T) {
	// They waited, one run for each tenth of the window, until there were too many runs and the oldest were lost.
	inVirtualTime(t, func(t *testing.T) {
		b := solo(t, breaker.WithPolicy(breaker.Policy{WindowTime: time.Second}))
		times(5000, func() {
			_ = b.Run(t.Context(), succeed)
			time.Sleep(100 * time.Millisecond)
		})
		got := b.Status()
		if got.Lost != 0 || got.Pending > 300 || got.Fleet.Totals.Calls+uint64(got.Pending) != 5000 {
			t.Fatalf("lost %d, pending %d, reported %+v", got.Lost, got.Pending, got.Fleet.Totals)
		}
	})
}

func TestAClassifierThatExitsCountsAsAFailureAndHoldsNoProbe(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		var exits atomic.Bool
		b := solo(t, breaker.WithClassifier(func(ctx context.Context, err error) breaker.Outcome {
			if exits.Load() {
				runtime.Goexit()
			}
			return breaker.DefaultClassifier(ctx, err)
		}))
		times(5, func() { _ = b.Run(t.Context(), fail) })
		time.Sleep(time.Minute)
		exits.Store(true)
		go func() { _ = b.Run(context.Background(), succeed) }()
		synctest.Wait()
		if got := b.Status().Fleet; got.State != breaker.Open || got.Probing != 0 || got.Reason != breaker.ByProbeFailure {
			t.Fatalf("%v, %d probes on their way", got.State, got.Probing)
		}
	})
}

func TestALabelThatExitsCostsTheCallItsLabelAndNotItsOutcome(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		b := solo(t, breaker.WithErrorLabel(func(error) string { runtime.Goexit(); return "" }))
		for range 5 {
			go func() { _ = b.Run(context.Background(), fail) }()
		}
		synctest.Wait()
		if got := b.Status().Fleet; got.State != breaker.Open || got.Totals.Failures != 5 {
			t.Fatalf("%v after %d failures, want open after 5", got.State, got.Totals.Failures)
		}
	})
}
