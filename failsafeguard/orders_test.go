package failsafeguard_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/adaptivelimiter"
	"github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/hedgepolicy"
	"github.com/failsafe-go/failsafe-go/ratelimiter"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/failsafe-go/failsafe-go/timeout"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/failsafeguard"
	"github.com/commontrip/commontrip/fallback"
	"github.com/commontrip/commontrip/health"
	"github.com/commontrip/commontrip/retry"
)

// Each example is a row of the table in docs/composition.md, by its name.

var ctx = context.Background()

// tripped is a breaker that an operator has opened.
func tripped() *breaker.Breaker {
	b := breakerNamed("card")
	if _, err := b.Command(ctx, breaker.Command{Action: breaker.ForceOpen, By: "oncall"}); err != nil {
		panic(err)
	}
	return b
}

func breakerNamed(name string) *breaker.Breaker { return must(breaker.New(name)) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// both runs a call through two guards.
func both(outside, inside fallback.Guard, call func(context.Context) error) error {
	return outside.Run(ctx, func(ctx context.Context) error { return inside.Run(ctx, call) })
}

// counted is what a breaker has counted.
func counted(b *breaker.Breaker) string {
	t := b.Status().Totals
	return fmt.Sprintf("%d calls, %d failures, %d ignored", t.Calls, t.Failures, t.Ignored)
}

func hangs(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

func Example_healthAroundBreaker() {
	card := breakerNamed("card")
	monitor := must(health.New(health.Config{DownAfter: 1}, []health.Check{{Name: "card", Run: fails}}))
	defer func() { _ = monitor.Close(ctx) }()
	up := must(monitor.Guard("card"))
	_, _ = monitor.Check(ctx, "card")
	fmt.Println(both(up, card, works))
	fmt.Println(counted(card))
	// Output:
	// health: card: tier is down
	// 0 calls, 0 failures, 0 ignored
}

func Example_retrierAroundBreaker() {
	card := breakerNamed("card")
	again := must(retry.New(retry.Policy{Attempts: 3, Delay: time.Millisecond}))
	_ = both(again, card, fails)
	fmt.Println(counted(card))
	// Output: 3 calls, 3 failures, 0 ignored
}

func Example_breakerAroundRetrier() {
	card := breakerNamed("card")
	again := must(retry.New(retry.Policy{Attempts: 3, Delay: time.Millisecond}))
	_ = both(card, again, fails)
	fmt.Println(counted(card))
	// Output: 1 calls, 1 failures, 0 ignored
}

func Example_bulkheadAroundBreaker() {
	taken := 0
	places := must(failsafeguard.New(bulkhead.NewBuilder[any](1).
		OnAcquired(func(failsafe.ExecutionEvent[any]) { taken++ }).Build()))
	fmt.Println(both(places, tripped(), works))
	fmt.Println("places taken:", taken)
	// Output:
	// circuit breaker refuses the call: card is forced-open (operator)
	// places taken: 1
}

func Example_breakerAroundBulkhead() {
	card, places := breakerNamed("card"), bulkhead.New[any](1)
	places.TryAcquirePermit() // another call has the only place
	err := both(card, must(failsafeguard.New(places)), works)
	fmt.Println(err, errors.Is(err, bulkhead.ErrFull), breaker.IsRefusal(err))
	fmt.Println(counted(card))
	// Output:
	// bulkhead full true true
	// 0 calls, 0 failures, 1 ignored
}

func Example_rateLimiterAroundBreaker() {
	tokens := ratelimiter.NewBursty[any](1, time.Hour)
	fmt.Println(both(must(failsafeguard.New(tokens)), tripped(), works))
	fmt.Println("a token is left:", tokens.TryAcquirePermit())
	// Output:
	// circuit breaker refuses the call: card is forced-open (operator)
	// a token is left: false
}

func Example_breakerAroundRateLimiter() {
	card, tokens := breakerNamed("card"), ratelimiter.NewBursty[any](1, time.Hour)
	for range 3 {
		fmt.Println(both(card, must(failsafeguard.New(tokens)), works))
	}
	fmt.Println(counted(card))
	// Output:
	// <nil>
	// rate limit exceeded
	// rate limit exceeded
	// 1 calls, 0 failures, 2 ignored
}

func Example_breakerAroundAdaptiveLimiter() {
	card := breakerNamed("card")
	limiter := adaptivelimiter.NewBuilder[any]().WithLimits(1, 1, 1).WithMaxWaitTime(0).Build()
	permit, _ := limiter.TryAcquirePermit() // another call fills the limit
	fmt.Println(both(card, must(failsafeguard.New(limiter)), works))
	permit.Drop()
	fmt.Println(both(card, must(failsafeguard.New(limiter)), works))
	fmt.Println(counted(card))
	// Output:
	// limit exceeded
	// <nil>
	// 1 calls, 0 failures, 1 ignored
}

func Example_hedgeAroundBreaker() {
	card := breakerNamed("card")
	hedge := must(failsafeguard.New(hedgepolicy.NewWithDelay[any](time.Millisecond)))
	attempts := make(chan int, 2)
	attempts <- 1
	attempts <- 2
	ended := make(chan struct{})
	served, err := failsafeguard.Do(ctx, hedge, func(ctx context.Context) (string, error) {
		n := <-attempts
		v, err := breaker.Do(ctx, card, func(ctx context.Context) (string, error) {
			if n == 1 {
				return "", hangs(ctx) // until it has lost
			}
			return "served by the second", nil
		})
		if n == 1 {
			close(ended)
		}
		return v, err
	})
	<-ended
	fmt.Println(served, err)
	fmt.Println(counted(card))
	// Output:
	// served by the second <nil>
	// 1 calls, 0 failures, 1 ignored
}

func Example_breakerAroundHedge() {
	card := breakerNamed("card")
	hedge := must(failsafeguard.New(hedgepolicy.NewWithDelay[any](time.Millisecond)))
	attempts := make(chan int, 2)
	attempts <- 1
	attempts <- 2
	err := both(card, hedge, func(ctx context.Context) error {
		if <-attempts == 1 {
			return hangs(ctx)
		}
		return nil
	})
	fmt.Println(err)
	fmt.Println(counted(card))
	// Output:
	// <nil>
	// 1 calls, 0 failures, 0 ignored
}

func Example_retrierAroundBulkhead() {
	tries := 0
	again := must(retry.New(retry.Policy{Attempts: 3, Delay: time.Hour}))
	places := bulkhead.NewBuilder[any](1).OnFull(func(failsafe.ExecutionEvent[any]) { tries++ }).Build()
	places.TryAcquirePermit()
	fmt.Println(both(again, must(failsafeguard.New(places)), works))
	fmt.Println("tries:", tries)
	// Output:
	// bulkhead full
	// tries: 1
}

func Example_breakerAroundBreaker() {
	route := breakerNamed("route")
	_ = both(route, tripped(), works)
	_ = both(route, breakerNamed("card"), fails)
	fmt.Println(counted(route))
	// Output: 1 calls, 1 failures, 1 ignored
}

func Example_breakerAroundChain() {
	route := breakerNamed("route")
	refuses := fallback.Tier[string, string]{Name: "card", Guards: []fallback.Guard{tripped()}, Call: echo}
	broken := fallback.Tier[string, string]{Name: "bank", Call: func(context.Context, string) (string, error) { return "", errTier }}
	for _, tiers := range [][]fallback.Tier[string, string]{{refuses}, {refuses, broken}} {
		chain := must(fallback.New(tiers))
		_, _ = breaker.Do(ctx, route, func(ctx context.Context) (string, error) { return chain.Do(ctx, "pay") })
	}
	fmt.Println(counted(route))
	// Output: 1 calls, 1 failures, 1 ignored
}

func echo(_ context.Context, s string) (string, error) { return s, nil }

func Example_chainAroundBulkhead() {
	places := bulkhead.New[any](1)
	places.TryAcquirePermit()
	chain := must(fallback.New([]fallback.Tier[string, string]{
		{Name: "fast", Guards: []fallback.Guard{must(failsafeguard.New(places))}, Call: echo},
		{Name: "slow", Call: echo},
	}))
	_, trace, err := chain.Trace(ctx, "pay")
	fmt.Println(trace.Tier, err)
	fmt.Println(trace.Attempts[0].Tier, "was skipped:", trace.Attempts[0].Skipped)
	// Output:
	// slow <nil>
	// fast was skipped: true
}

func Example_deadlineAroundBreaker() {
	card := breakerNamed("card")
	ctx, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	fmt.Println(card.Run(ctx, hangs))
	fmt.Println(counted(card))
	// Output:
	// context deadline exceeded
	// 1 calls, 1 failures, 0 ignored
}

func Example_timeoutAroundBreaker() {
	card := breakerNamed("card")
	second := must(failsafeguard.New(timeout.New[any](time.Millisecond)))
	fmt.Println(both(second, card, hangs))
	fmt.Println(counted(card)) // a tier that hangs opens nothing
	// Output:
	// timeout exceeded
	// 0 calls, 0 failures, 1 ignored
}

func Example_breakerAroundTimeout() {
	card := breakerNamed("card")
	second := must(failsafeguard.New(timeout.New[any](time.Millisecond)))
	fmt.Println(both(card, second, hangs))
	fmt.Println(counted(card))
	// Output:
	// timeout exceeded
	// 1 calls, 1 failures, 0 ignored
}

func Example_timeoutPolicyAroundBreakerPolicy() {
	card := breakerNamed("card")
	executor := failsafe.With[any](timeout.New[any](time.Millisecond), failsafeguard.Policy[any](card))
	fmt.Println(executor.RunWithExecution(func(e failsafe.Execution[any]) error { return hangs(e.Context()) }))
	fmt.Println(counted(card))
	// Output:
	// timeout exceeded
	// 1 calls, 1 failures, 0 ignored
}

func Example_retryPolicyAroundBreakerPolicy() {
	retries := retrypolicy.NewBuilder[any]().WithMaxRetries(9).AbortOnErrors(breaker.ErrOpen).Build()
	executor := failsafe.With[any](retries, failsafeguard.Policy[any](breakerNamed("card")))
	calls := 0
	err := executor.Run(func() error { calls++; return errTier })
	fmt.Println(calls, "calls reached the tier;", err)
	// Output: 5 calls reached the tier; circuit breaker refuses the call: card is open (consecutive-failures)
}

func ExampleNew() {
	_, err := failsafeguard.New()
	fmt.Println(err)
	// Output: failsafeguard: no policies; give at least one
}

func ExampleGuard_Run() {
	g := must(failsafeguard.New(bulkhead.New[any](100)))
	fmt.Println(g.Run(ctx, works))
	// Output: <nil>
}

func ExampleDo() {
	g := must(failsafeguard.New(hedgepolicy.NewWithDelay[any](time.Minute)))
	fmt.Println(failsafeguard.Do(ctx, g, func(context.Context) (int, error) { return 42, nil }))
	// Output: 42 <nil>
}

func ExamplePolicy() {
	executor := failsafe.With(failsafeguard.Policy[int](tripped()))
	_, err := executor.Get(func() (int, error) { return 42, nil })
	fmt.Println(err)
	// Output: circuit breaker refuses the call: card is forced-open (operator)
}
