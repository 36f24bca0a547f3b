package peers

import (
	"context"
	"testing"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	failsafefallback "github.com/failsafe-go/failsafe-go/fallback"
	"github.com/failsafe-go/failsafe-go/retrypolicy"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/fallback"
	"github.com/commontrip/commontrip/retry"
)

// BenchmarkComposition guards a call that succeeds by a fallback, around a retry, around a breaker.
func BenchmarkComposition(b *testing.B) {
	b.Run("commontrip", func(b *testing.B) {
		chain := commontripChain(b)
		ctx := context.Background()
		b.ReportAllocs()
		for b.Loop() {
			if _, err := chain.Do(ctx, 1); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("failsafe-go", func(b *testing.B) {
		executor := failsafeExecutor().WithContext(context.Background())
		b.ReportAllocs()
		for b.Loop() {
			if _, err := executor.Get(func() (int, error) { return 1, nil }); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func commontripChain(tb testing.TB) *fallback.Chain[int, int] {
	first, err := breaker.New("first")
	if err != nil {
		tb.Fatal(err)
	}
	again, err := retry.New(retry.Policy{})
	if err != nil {
		tb.Fatal(err)
	}
	chain, err := fallback.New([]fallback.Tier[int, int]{
		{
			Name:   "first",
			Call:   func(_ context.Context, n int) (int, error) { return n, nil },
			Guards: []fallback.Guard{again, first},
		},
		{Name: "second", Call: func(context.Context, int) (int, error) { return 0, nil }},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return chain
}

func failsafeExecutor() failsafe.Executor[int] {
	return failsafe.With[int](
		failsafefallback.NewWithResult(0),
		retrypolicy.NewBuilder[int]().WithMaxAttempts(3).WithBackoff(time.Second, time.Minute).Build(),
		circuitbreaker.NewBuilder[int]().WithFailureThresholdRatio(5, 100).WithDelay(time.Minute).Build(),
	)
}
