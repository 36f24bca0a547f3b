package inprocess

import (
	"context"
	"testing"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	failsafefallback "github.com/failsafe-go/failsafe-go/fallback"
	"github.com/failsafe-go/failsafe-go/retrypolicy"

	"github.com/commontrip/commontrip/fallback"
	"github.com/commontrip/commontrip/retry"

	"github.com/commontrip/commontrip/breaker"
)

// compositions guard a call that succeeds by a fallback, around a retry, around a breaker.
func compositions(t testing.TB) []contender {
	chain := chainOf(t, newBreaker(t, breaker.Policy{}))
	executor := executorOf()
	return []contender{
		{layers, "commontrip", func(n int) {
			ctx := context.Background()
			for range n {
				_, _ = chain.Do(ctx, 1)
			}
		}, nil},
		{layers, "failsafe-go", func(n int) {
			for range n {
				_, _ = executor.Get(value)
			}
		}, nil},
	}
}

func chainOf(t testing.TB, first *breaker.Breaker) *fallback.Chain[int, int] {
	t.Helper()
	again, err := retry.New(retry.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	chain, err := fallback.New([]fallback.Tier[int, int]{
		{
			Name:   "first",
			Call:   func(context.Context, int) (int, error) { return value() },
			Guards: []fallback.Guard{again, first},
		},
		{Name: "second", Call: func(context.Context, int) (int, error) { return 0, nil }},
	})
	if err != nil {
		t.Fatal(err)
	}
	return chain
}

func executorOf() failsafe.Executor[int] {
	return failsafe.With[int](
		failsafefallback.NewWithResult(0),
		retrypolicy.NewBuilder[int]().WithMaxAttempts(3).WithBackoff(time.Second, time.Minute).Build(),
		circuitbreaker.NewBuilder[int]().WithFailureThresholdRatio(5, 100).WithDelay(time.Minute).Build(),
	)
}
