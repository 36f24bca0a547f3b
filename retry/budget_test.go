package retry_test

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/retry"
)

func mustBudget(tb testing.TB, ratio float64, perSecond int) *retry.Budget {
	tb.Helper()
	b, err := retry.NewBudget(ratio, perSecond)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// spend makes calls that always fail, want one extra attempt each after a nanosecond, and returns how many got it.
func spend(t *testing.T, b *retry.Budget, calls int) (extra int) {
	t.Helper()
	r := mustNew(t, retry.Policy{Attempts: 2, Delay: 1, Jitter: retry.NoJitter}, retry.WithBudget(b))
	for range calls {
		made := 0
		e := exhausted(t, r.Run(t.Context(), func(context.Context) error { made++; return errBoom }))
		switch {
		case made == 1 && e.Cause == retry.ByBudget && e.Attempts == 1 && same(e.Last, errBoom):
		case made == 2 && e.Cause == retry.ByAttempts:
			extra++
		default:
			t.Fatalf("%d attempts, then %+v", made, *e)
		}
	}
	return extra
}

func succeed(t *testing.T, b *retry.Budget, calls int) {
	t.Helper()
	r := mustNew(t, retry.Policy{}, retry.WithBudget(b))
	for range calls {
		if err := r.Run(t.Context(), func(context.Context) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
}

// In other libraries a spent budget refused the call itself.
func TestSpentBudgetSuppressesOnlyTheExtraAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustBudget(t, 0, 0)
		if extra := spend(t, b, 1000); extra != 0 { // spend checks that each call was made once
			t.Errorf("%d extra attempts", extra)
		}
		succeed(t, b, 1000)
	})
}

func TestExtraAttemptsAreAtMostRatioOfCallsAndPerSecond(t *testing.T) {
	for _, c := range []struct {
		ratio     float64
		perSecond int
		calls     int
		want      int
	}{
		{0.1, 0, 100, 10},
		{0.1, 3, 100, 13},
		{0, 5, 100, 5},
		{1, 0, 100, 100},
		{0.29, 0, 100, 29}, // which is 28.999999999999996 in floating point
		{0.0001, 0, 10_000, 1},
		{100, 0, 10, 10}, // no more than are wanted
	} {
		synctest.Test(t, func(t *testing.T) {
			if extra := spend(t, mustBudget(t, c.ratio, c.perSecond), c.calls); extra != c.want {
				t.Errorf("ratio %v, %d a second: %d calls made %d extra attempts, want %d", c.ratio, c.perSecond, c.calls, extra, c.want)
			}
		})
	}
}

func TestCallsThatSucceedPayForThoseThatFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustBudget(t, 0.2, 0)
		succeed(t, b, 100)
		if extra := spend(t, b, 50); extra != 30 { // of 150 calls
			t.Errorf("%d extra attempts", extra)
		}
	})
}

func TestClockRefillsTheBudgetUpToOneSecondsWorth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustBudget(t, 0, 10)
		for _, step := range []struct {
			after time.Duration
			want  int
		}{
			{0, 10}, {0, 0}, {99 * time.Millisecond, 0}, {time.Millisecond, 1}, {500 * time.Millisecond, 5}, {time.Hour, 10}, {time.Second, 10},
		} {
			<-time.After(step.after)
			if extra := spend(t, b, 20); extra != step.want {
				t.Errorf("%v later: %d extra attempts, want %d", step.after, extra, step.want)
			}
		}
	})
}

func TestWhatCallsEarnedIsGoneAfterTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for wait, want := range map[time.Duration]int{8 * time.Second: 100, 10 * time.Second: 0} {
			b := mustBudget(t, 0.1, 0)
			succeed(t, b, 1000)
			<-time.After(wait)
			r := mustNew(t, retry.Policy{Attempts: 100, Delay: 1, Multiplier: 1, Jitter: retry.NoJitter}, retry.WithBudget(b))
			made := 0
			_ = r.Run(t.Context(), func(context.Context) error { made++; return errBoom })
			// the call itself earns a tenth
			if extra := made - 1; extra != min(want, 99) {
				t.Errorf("%v later: %d extra attempts, want %d", wait, extra, want)
			}
		}
	})
}

func TestExtraAttemptsStayWithinTheBudgetOverALongOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const seconds, calls = 60, 200
		b := mustBudget(t, 0.1, 5)
		extra := 0
		for range seconds {
			extra += spend(t, b, calls)
			<-time.After(time.Second)
		}
		if most, least := seconds*(calls/10+5), seconds*calls/10; extra > most || extra < least {
			t.Errorf("%d extra attempts, want %d to %d", extra, least, most)
		}
	})
}

func TestBudgetIsSharedBetweenRetriersAndCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const callers, calls = 16, 500
		b := mustBudget(t, 0.05, 7)
		var attempts atomic.Int64
		var wg sync.WaitGroup
		for range callers {
			r := mustNew(t, retry.Policy{Attempts: 5, Delay: 1, Jitter: retry.NoJitter}, retry.WithBudget(b))
			wg.Go(func() {
				for range calls {
					_ = r.Run(t.Context(), func(context.Context) error { attempts.Add(1); return errBoom })
				}
			})
		}
		wg.Wait()
		// all within a second: each call wants four extra attempts, so that every one allowed is made
		if extra := attempts.Load() - callers*calls; extra != callers*calls/20+7 {
			t.Errorf("%d extra attempts, want %d", extra, callers*calls/20+7)
		}
	})
}

func TestBudgetIsNotSpentWhereNoAttemptFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustBudget(t, 0, 1)
		for _, r := range []*retry.Retrier{
			mustNew(t, retry.Policy{Attempts: 1}, retry.WithBudget(b)),
			mustNew(t, retry.Policy{MaxElapsed: 1, Jitter: retry.NoJitter}, retry.WithBudget(b)),
			mustNew(t, retry.Policy{}, retry.WithBudget(b), retry.WithRetryIf(func(error) bool { return false })),
		} {
			_ = r.Run(t.Context(), fail)
		}
		if extra := spend(t, b, 2); extra != 1 {
			t.Errorf("%d extra attempts left, want 1", extra)
		}
	})
}

func TestBadBudgetsAreRefused(t *testing.T) {
	for _, c := range []struct {
		ratio     float64
		perSecond int
		field     string
	}{
		{-0.1, 0, "ratio"},
		{math.NaN(), 0, "ratio"},
		{math.Inf(1), 0, "ratio"},
		{101, 0, "ratio"},
		{0, -1, "perSecond"},
		{0, 1_000_001, "perSecond"},
		{-1, -1, "ratio"},
	} {
		b, err := retry.NewBudget(c.ratio, c.perSecond)
		if e, ok := errors.AsType[*retry.PolicyError](err); b != nil || !ok || e.Field != c.field || e.Value == "" || e.Range == "" {
			t.Errorf("NewBudget(%v, %v): %v, %v", c.ratio, c.perSecond, b, err)
		}
	}
}

func TestZeroBudgetAllowsNoExtraAttempt(t *testing.T) {
	if extra := spend(t, new(retry.Budget), 10); extra != 0 {
		t.Errorf("%d extra attempts", extra)
	}
}
