package fallback_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/fallback"
	"github.com/commontrip/commontrip/retry"
)

type key string

func TestGuardsRunOutermostFirst(t *testing.T) {
	var order []string
	mark := func(name string) guard {
		return func(ctx context.Context, fn func(context.Context) error) error {
			order = append(order, name)
			defer func() { order = append(order, "/"+name) }()
			return fn(context.WithValue(ctx, key(name), true))
		}
	}
	a := tier{Name: "a", Guards: []fallback.Guard{mark("health"), mark("retrier"), mark("breaker")}, Call: func(ctx context.Context, req string) (string, error) {
		order = append(order, "call")
		for _, name := range []string{"health", "retrier", "breaker"} {
			if ctx.Value(key(name)) == nil {
				t.Errorf("the context of guard %s did not reach the call", name)
			}
		}
		return req, nil
	}}
	res, err := mustNew(t, []tier{a}).Do(t.Context(), "x")
	if got := strings.Join(order, " "); res != "x" || err != nil || got != "health retrier breaker call /breaker /retrier /health" {
		t.Errorf("got %q, %v by %s", res, err, got)
	}
}

func TestRetrierInATierCallsOnUntilOneAttemptSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		again, err := retry.New(retry.Policy{})
		if err != nil {
			t.Fatal(err)
		}
		n, b := 0, &counter{}
		a := tier{Name: "a", Guards: []fallback.Guard{again, b}, Call: func(context.Context, string) (string, error) {
			if n++; n < 3 {
				return "attempt " + strconv.Itoa(n), errBoom
			}
			return "third", nil
		}}
		res, trace, err := mustNew(t, []tier{a, never(t, "b")}).Trace(t.Context(), "x")
		if res != "third" || err != nil || trace.Tier != "a" || len(trace.Attempts) != 0 || b.calls.Load() != 3 {
			t.Errorf("got %q, %v, %v; the breaker saw %d calls", res, trace, err, b.calls.Load())
		}
	})
}

func TestTierIsSkippedOnlyWhereNoAttemptEnteredCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		again, err := retry.New(retry.Policy{})
		if err != nil {
			t.Fatal(err)
		}
		trips := &counter{} // open from the first failure on
		entered := tier{Name: "a", Guards: []fallback.Guard{again, trips}, Call: func(context.Context, string) (string, error) {
			trips.open.Store(1)
			return "", errBoom
		}}
		c := mustNew(t, []tier{entered})
		for i, skipped := range []bool{false, true} {
			_, trace, err := c.Trace(t.Context(), "x")
			if len(trace.Attempts) != 1 || trace.Attempts[0].Skipped != skipped || !errors.Is(err, errRefused) {
				t.Errorf("call %d: %v, %v", i, trace, err)
			}
		}
	})
}

func TestGuardThatFailsTheCallAfterwardsFailsTheTier(t *testing.T) {
	strict := guard(func(ctx context.Context, fn func(context.Context) error) error {
		_ = fn(ctx)
		return errBoom
	})
	res, trace, err := mustNew(t, []tier{guarded(serving("a"), strict), serving("b")}).Trace(t.Context(), "x")
	if res != "b x" || err != nil || trace.Attempts[0].Skipped || !same(trace.Attempts[0].Err, errBoom) {
		t.Errorf("got %q, %v, %v", res, trace, err)
	}
}

func TestGuardThatClaimsASuccessWithoutAnAnswerIsAnError(t *testing.T) {
	claims := refusing(nil)
	swallows := guard(func(ctx context.Context, fn func(context.Context) error) error { _ = fn(ctx); return nil })
	for name, c := range map[string]struct {
		first   tier
		skipped bool
		also    error
	}{
		"it never called on":        {guarded(never(t, "a"), claims), true, fallback.ErrNoAnswer},
		"an inner one did not":      {guarded(never(t, "a"), &counter{}, claims), true, fallback.ErrNoAnswer},
		"it swallowed the error":    {guarded(failing("a", errBoom), swallows), false, errBoom},
		"it swallowed another's no": {guarded(never(t, "a"), swallows, refusing(errRefused)), true, fallback.ErrNoAnswer},
	} {
		res, trace, err := mustNew(t, []tier{c.first, serving("b")}).Trace(t.Context(), "x")
		if res != "b x" || err != nil || len(trace.Attempts) != 1 {
			t.Errorf("%s: got %q, %v, %v", name, res, trace, err)
			continue
		}
		if a := trace.Attempts[0]; a.Skipped != c.skipped || !errors.Is(a.Err, fallback.ErrNoAnswer) || !errors.Is(a.Err, c.also) {
			t.Errorf("%s: %v", name, a)
		}
	}
}

func TestLastSuccessIsTheAnswerThoughALaterCallFailed(t *testing.T) {
	thrice := guard(func(ctx context.Context, fn func(context.Context) error) error {
		_, _, _ = fn(ctx), fn(ctx), fn(ctx)
		return nil
	})
	n := 0
	a := guarded(tier{Name: "a", Call: func(context.Context, string) (string, error) {
		if n++; n == 3 {
			return "not this", errBoom
		}
		return "call " + strconv.Itoa(n), nil
	}}, thrice)
	if res, err := mustNew(t, []tier{a}).Do(t.Context(), "x"); res != "call 2" || err != nil {
		t.Errorf("got %q, %v", res, err)
	}
}

func TestGuardMayCallOnFromAnotherGoroutine(t *testing.T) {
	elsewhere := guard(func(ctx context.Context, fn func(context.Context) error) error {
		done := make(chan error)
		go func() { done <- fn(ctx) }()
		return <-done
	})
	if res, err := mustNew(t, []tier{guarded(serving("a"), elsewhere, elsewhere)}).Do(t.Context(), "x"); res != "a x" || err != nil {
		t.Errorf("got %q, %v", res, err)
	}
}

func TestHedgingGuardGetsEachOfItsCallsThroughTheInnerGuards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hedge := guard(func(ctx context.Context, fn func(context.Context) error) error {
			done := make(chan error, 2)
			for range 2 {
				go func() { done <- fn(ctx) }()
			}
			synctest.Wait() // for both to have called on
			return <-done
		})
		var n atomic.Int64
		b := &counter{}
		a := guarded(tier{Name: "a", Call: func(context.Context, string) (string, error) {
			if n.Add(1) == 1 {
				<-time.After(time.Hour)
				return "slow", nil
			}
			return "fast", nil
		}}, hedge, b)
		c := mustNew(t, []tier{a})
		if res, err := c.Do(t.Context(), "x"); res != "fast" || err != nil {
			t.Errorf("got %q, %v", res, err)
		}
		if res, err := c.Do(t.Context(), "x"); res != "fast" || err != nil { // while the slow one is still under way
			t.Errorf("got %q, %v", res, err)
		}
		<-time.After(2 * time.Hour)
		if b.calls.Load() != 4 {
			t.Errorf("the breaker saw %d calls", b.calls.Load())
		}
	})
}

// A guard that keeps the function it was given must not, in a later request, make calls, or answers, of its own.
func TestGuardThatCallsOnAfterItReturnedIsRefused(t *testing.T) {
	var kept []func(context.Context) error
	keeps := guard(func(ctx context.Context, fn func(context.Context) error) error {
		kept = append(kept, fn)
		return fn(ctx)
	})
	calls, b := 0, &counter{}
	a := tier{Name: "a", Guards: []fallback.Guard{keeps, b}, Call: func(_ context.Context, req string) (string, error) {
		calls++
		for _, late := range kept[:len(kept)-1] { // all of requests that are over, while this one is under way
			if err := late(t.Context()); err == nil || !strings.Contains(err.Error(), "after its tier had returned") {
				t.Errorf("a late call got %v", err)
			}
		}
		return req, nil
	}}
	c := mustNew(t, []tier{a})
	for i := range 20 {
		req := strconv.Itoa(i)
		if res, err := c.Do(t.Context(), req); res != req || err != nil {
			t.Errorf("request %s got %q, %v", req, res, err)
		}
	}
	if calls != 20 || b.calls.Load() != 20 {
		t.Errorf("%d calls, %d of them seen by the inner guard, want 20", calls, b.calls.Load())
	}
}

func TestGuardThatTurnsLateBetweenTwoGuardsReachesNoCall(t *testing.T) {
	reached, pass := make(chan struct{}), make(chan struct{})
	late := make(chan error)
	gate := guard(func(ctx context.Context, fn func(context.Context) error) error { // calls on when the request is over
		close(reached)
		<-pass
		return fn(ctx)
	})
	impatient := guard(func(ctx context.Context, fn func(context.Context) error) error {
		go func() { late <- fn(ctx) }()
		<-reached
		return errRefused
	})
	_, trace, err := mustNew(t, []tier{guarded(never(t, "a"), impatient, gate)}).Trace(t.Context(), "x")
	if err == nil || !trace.Attempts[0].Skipped {
		t.Errorf("got %v, %v", trace, err)
	}
	close(pass)
	if err := <-late; err == nil {
		t.Error("the late call succeeded")
	}
}

// The answer of an abandoned call could be taken for that of the request that is under way when it comes.
func TestAnswerThatComesTooLateIsDropped(t *testing.T) {
	type request struct {
		name     string
		finish   chan struct{}
		finished chan struct{}
	}
	abandon := guard(func(ctx context.Context, fn func(context.Context) error) error {
		entered := make(chan struct{})
		go func() { _ = fn(context.WithValue(ctx, key("entered"), entered)) }()
		<-entered
		return nil // claims a success
	})
	c, err := fallback.New([]fallback.Tier[request, string]{{
		Name:   "a",
		Guards: []fallback.Guard{abandon, guard(func(ctx context.Context, fn func(context.Context) error) error { return fn(ctx) })},
		Call: func(ctx context.Context, req request) (string, error) {
			close(ctx.Value(key("entered")).(chan struct{}))
			<-req.finish
			defer close(req.finished)
			return req.name, nil
		},
	}, {
		Name:   "b",
		Guards: []fallback.Guard{guard(func(ctx context.Context, fn func(context.Context) error) error { _ = fn(ctx); return nil })},
		Call: func(_ context.Context, req request) (string, error) {
			close(req.finish) // the first tier's call answers now, perhaps in a guardedCall that serves this one
			<-req.finished
			return "", errBoom
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		res, trace, err := c.Trace(t.Context(), request{"late", make(chan struct{}), make(chan struct{})})
		if res != "" || !errors.Is(err, fallback.ErrAllTiersFailed) || len(trace.Attempts) != 2 || !errors.Is(err, errBoom) {
			t.Fatalf("got %q, %v, %v", res, trace, err)
		}
	}
}

// Timeouts that abandon a call, hedges and calls after the end, many at once: each request gets its own answer.
func TestConcurrentRequestsNeverGetEachOthersAnswers(t *testing.T) {
	wild := guard(func(ctx context.Context, fn func(context.Context) error) error {
		done := make(chan error, 3)
		for range 1 + rand.IntN(3) {
			go func() { done <- fn(ctx) }()
		}
		if rand.IntN(4) == 0 {
			return errRefused
		}
		return <-done
	})
	call := func(_ context.Context, req string) (string, error) {
		if rand.IntN(4) == 0 {
			return "", fmt.Errorf("%w: %s", errBoom, req)
		}
		return req, nil
	}
	c := mustNew(t, []tier{
		{Name: "a", Call: call, Guards: []fallback.Guard{wild}},
		{Name: "b", Call: call, Guards: []fallback.Guard{&counter{}, wild}},
		{Name: "c", Call: func(_ context.Context, req string) (string, error) { return req, nil }},
	})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 500 {
				req := fmt.Sprintf("%d/%d", i, j)
				res, trace, err := c.Trace(t.Context(), req)
				if res != req || err != nil {
					t.Errorf("request %s got %q, %v", req, res, err)
				}
				for _, a := range trace.Attempts {
					if errors.Is(a.Err, errBoom) && !strings.HasSuffix(a.Err.Error(), ": "+req) {
						t.Errorf("request %s got another's error: %v", req, a.Err)
					}
				}
			}
		})
	}
	wg.Wait()
}
