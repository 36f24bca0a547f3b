package failsafeguard_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/adaptivelimiter"
	"github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/cachepolicy"
	failsafefallback "github.com/failsafe-go/failsafe-go/fallback"
	"github.com/failsafe-go/failsafe-go/hedgepolicy"
	"github.com/failsafe-go/failsafe-go/ratelimiter"
	"github.com/failsafe-go/failsafe-go/retrypolicy"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/failsafeguard"
	"github.com/commontrip/commontrip/fallback"
)

var errTier = errors.New("the tier failed")

func works(context.Context) error { return nil }
func fails(context.Context) error { return errTier }

// newBreaker opens after one failure.
func newBreaker(t testing.TB) *breaker.Breaker {
	t.Helper()
	b, err := breaker.New("tier", breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 1, OpenFor: time.Minute, ProbeSuccesses: 1}))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func newGuard(t testing.TB, policies ...failsafe.Policy[any]) *failsafeguard.Guard {
	t.Helper()
	g, err := failsafeguard.New(policies...)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// fullBulkhead has no place left.
func fullBulkhead(t testing.TB) bulkhead.Bulkhead[any] {
	t.Helper()
	places := bulkhead.New[any](1)
	if !places.TryAcquirePermit() {
		t.Fatal("a new bulkhead has no place")
	}
	return places
}

// spentLimiter has no token left for an hour.
func spentLimiter(t testing.TB) ratelimiter.RateLimiter[any] {
	t.Helper()
	tokens := ratelimiter.NewBursty[any](1, time.Hour)
	if !tokens.TryAcquirePermit() {
		t.Fatal("a new rate limiter has no token")
	}
	return tokens
}

// fullLimiter is at its limit of one.
func fullLimiter(t testing.TB) adaptivelimiter.AdaptiveLimiter[any] {
	t.Helper()
	limiter := adaptivelimiter.NewBuilder[any]().WithLimits(1, 1, 1).WithMaxWaitTime(0).Build()
	if _, ok := limiter.TryAcquirePermit(); !ok {
		t.Fatal("a new adaptive limiter has no place")
	}
	return limiter
}

func TestWhatAPolicyRefusesSaysNothingAboutTheTier(t *testing.T) {
	for name, c := range map[string]struct {
		policy failsafe.Policy[any]
		is     error
	}{
		"bulkhead":         {fullBulkhead(t), bulkhead.ErrFull},
		"rate limiter":     {spentLimiter(t), ratelimiter.ErrExceeded},
		"adaptive limiter": {fullLimiter(t), adaptivelimiter.ErrExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			card, g := newBreaker(t), newGuard(t, c.policy)
			err := card.Run(t.Context(), func(ctx context.Context) error { return g.Run(ctx, works) })
			if !errors.Is(err, c.is) || !breaker.IsRefusal(err) {
				t.Errorf("%v, a refusal: %v; want %v, which is one", err, breaker.IsRefusal(err), c.is)
			}
			if got := card.Status(); got.State != breaker.Closed || got.Totals.Ignored != 1 {
				t.Errorf("the breaker is %v, ignored %d calls; want closed, 1", got.State, got.Totals.Ignored)
			}
		})
	}
}

// The tier was not asked, so its breaker must not pay for the wait. context.DeadlineExceeded alone would count as a failure.
func TestADeadlineThatEndsTheWaitForAPlaceIsARefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		places := bulkhead.NewBuilder[any](1).WithMaxWaitTime(time.Hour).Build()
		if !places.TryAcquirePermit() {
			t.Fatal("no place")
		}
		card, g := newBreaker(t), newGuard(t, places)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := card.Run(ctx, func(ctx context.Context) error { return g.Run(ctx, works) })
		if !errors.Is(err, context.DeadlineExceeded) || !breaker.IsRefusal(err) || card.State() != breaker.Closed {
			t.Errorf("%v, a refusal: %v, the breaker is %v", err, breaker.IsRefusal(err), card.State())
		}
	})
}

func TestAContextThatHasEndedAsksNoPolicyAndNoTier(t *testing.T) {
	why := errors.New("the server stops")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	g := newGuard(t, bulkhead.NewBuilder[any](1).OnAcquired(func(failsafe.ExecutionEvent[any]) { t.Error("a place was taken") }).Build())
	err := g.Run(ctx, func(context.Context) error { t.Error("reached"); return nil })
	if !errors.Is(err, why) || !breaker.IsRefusal(err) {
		t.Errorf("%v, a refusal: %v; want the cause, as one", err, breaker.IsRefusal(err))
	}
}

// What several attempts say together: a refusal only if none of them reached the tier.
func TestOneAttemptThatReachedTheTierMakesTheWholeNoRefusal(t *testing.T) {
	refusal := breaker.NewOpenError("inner", breaker.RefusedOpen, time.Second)
	for name, c := range map[string]struct {
		answers []error
		refused bool
	}{
		"refused, refused": {[]error{refusal, refusal}, true},
		"failed, refused":  {[]error{errTier, refusal}, false},
		"refused, failed":  {[]error{refusal, errTier}, false},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuard(t, retrypolicy.NewBuilder[any]().WithMaxRetries(1).Build())
			n := 0
			err := g.Run(t.Context(), func(context.Context) error { n++; return c.answers[n-1] })
			if breaker.IsRefusal(err) != c.refused || !errors.Is(err, c.answers[1]) {
				t.Errorf("%v is a refusal: %v; want %v, around %v", err, !c.refused, c.refused, c.answers[1])
			}
		})
	}
}

// An attempt that still runs has reached the tier, although a later one that was refused ended the call.
func TestAnAttemptThatIsUnderWayHasReachedTheTier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, hedgepolicy.NewWithDelay[any](time.Second))
		var n atomic.Int32
		err := g.Run(t.Context(), func(ctx context.Context) error {
			if n.Add(1) == 1 {
				<-ctx.Done()
				return ctx.Err()
			}
			return breaker.NewOpenError("inner", breaker.RefusedOpen, time.Second)
		})
		if breaker.IsRefusal(err) || !errors.Is(err, breaker.ErrOpen) {
			t.Errorf("%v, a refusal: %v; want none", err, breaker.IsRefusal(err))
		}
	})
}

func TestAHedgeBringsTheWinnersValueAndTheBreakerInsideIgnoresTheLoser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		card, g := newBreaker(t), newGuard(t, hedgepolicy.NewWithDelay[any](time.Second))
		var n atomic.Int32
		v, err := failsafeguard.Do(t.Context(), g, func(ctx context.Context) (string, error) {
			return breaker.Do(ctx, card, func(ctx context.Context) (string, error) {
				if n.Add(1) == 1 {
					<-ctx.Done()
					return "late", ctx.Err()
				}
				return "second", nil
			})
		})
		synctest.Wait()
		if v != "second" || err != nil {
			t.Errorf("%q, %v; want the second attempt's", v, err)
		}
		if got := card.Status(); got.State != breaker.Closed || got.Totals.Ignored != 1 {
			t.Errorf("the breaker is %v, ignored %d; want closed, 1", got.State, got.Totals.Ignored)
		}
	})
}

// A hedge runs attempts on goroutines of its own: a panic there would end the process.
func TestAPanicGoesUpToTheCallerAndGivesItsPlaceBack(t *testing.T) {
	places := bulkhead.New[any](1)
	for name, g := range map[string]*failsafeguard.Guard{
		"bulkhead":       newGuard(t, places),
		"bulkhead/hedge": newGuard(t, places, hedgepolicy.NewWithDelay[any](time.Hour)),
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if got := recover(); got != any("boom") {
					t.Errorf("recovered %v; want what it panicked with", got)
				}
				if !places.TryAcquirePermit() {
					t.Error("the place is lost")
				}
				places.ReleasePermit()
			}()
			_ = g.Run(t.Context(), func(context.Context) error { panic("boom") })
		})
	}
}

func TestAnAnswerOfAPolicyHasTheTypeThatIsWanted(t *testing.T) {
	const cached = "cached"
	entries := cache{"key": cached}
	g := newGuard(t, cachepolicy.NewBuilder[any](entries).WithKey("key").Build())
	if v, err := failsafeguard.Do(t.Context(), g, func(context.Context) (string, error) { return "", errTier }); v != cached || err != nil {
		t.Errorf("%q, %v; want what the cache has", v, err)
	}
	_, err := failsafeguard.Do(t.Context(), g, func(context.Context) (int, error) { return 0, errTier })
	if err == nil || !strings.Contains(err.Error(), "answered with a string; want a int") {
		t.Errorf("%v; want an error that names both types", err)
	}
	if err := g.Run(t.Context(), fails); err != nil {
		t.Errorf("%v: a function without a value takes any answer", err)
	}
	nothing := newGuard(t, failsafefallback.NewWithResult[any](nil))
	if v, err := failsafeguard.Do(t.Context(), nothing, func(context.Context) (int, error) { return 1, errTier }); v != 0 || err != nil {
		t.Errorf("%d, %v; want the zero value of the fallback", v, err)
	}
}

type cache map[string]any

func (c cache) Get(key string) (any, bool) { v, ok := c[key]; return v, ok }
func (c cache) Set(key string, v any)      { c[key] = v }

func TestAGuardOfNothingIsAnError(t *testing.T) {
	if _, err := failsafeguard.New(); err == nil || !strings.Contains(err.Error(), "at least one") {
		t.Errorf("no policies: %v", err)
	}
	if _, err := failsafeguard.New(fullBulkhead(t), nil); err == nil || !strings.Contains(err.Error(), "policy 2 of 2 is nil") {
		t.Errorf("a nil policy: %v", err)
	}
}

// Hedges, a bulkhead and a breaker in a chain, called by many at once: the race detector looks on.
func TestAChainOfPoliciesAndABreakerUnderLoad(t *testing.T) {
	card := newBreaker(t)
	hedge := newGuard(t, hedgepolicy.NewWithDelay[any](time.Nanosecond))
	places := newGuard(t, bulkhead.NewBuilder[any](8).WithMaxWaitTime(time.Hour).Build())
	chain, err := fallback.New([]fallback.Tier[int, int]{{
		Name:   "tier",
		Guards: []fallback.Guard{places, hedge, card},
		Call:   func(_ context.Context, n int) (int, error) { return n * n, nil },
	}})
	if err != nil {
		t.Fatal(err)
	}
	var callers sync.WaitGroup
	for n := range 64 {
		callers.Go(func() {
			if got, err := chain.Do(t.Context(), n); got != n*n || err != nil {
				t.Errorf("%d squared: %d, %v", n, got, err)
			}
		})
	}
	callers.Wait()
	if got := card.State(); got != breaker.Closed {
		t.Errorf("the breaker is %v", got)
	}
}
