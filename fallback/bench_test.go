package fallback_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/commontrip/commontrip/fallback"
	"github.com/commontrip/commontrip/retry"
)

// counter is the least that a breaker's guard does: it looks, lets the call through, and counts.
type counter struct{ open, calls atomic.Int64 }

func (c *counter) Run(ctx context.Context, fn func(context.Context) error) error {
	if c.open.Load() != 0 {
		return errRefused
	}
	defer c.calls.Add(1)
	return fn(ctx)
}

func BenchmarkFirstTierServes(b *testing.B) {
	again, err := retry.New(retry.Policy{})
	if err != nil {
		b.Fatal(err)
	}
	for _, bench := range []struct {
		name   string
		guards []fallback.Guard
		opts   []fallback.Option
	}{
		{name: "no guard"},
		{name: "one guard", guards: []fallback.Guard{&counter{}}},
		{name: "retrier and breaker", guards: []fallback.Guard{again, &counter{}}},
		{name: "health, retrier and breaker", guards: []fallback.Guard{&counter{}, again, &counter{}}},
		{name: "no guard, observed", opts: []fallback.Option{fallback.WithObserver(func(context.Context, fallback.Trace) {})}},
	} {
		c, err := fallback.New([]fallback.Tier[int, int]{
			{Name: "first", Guards: bench.guards, Call: func(context.Context, int) (int, error) { return 1, nil }},
			{Name: "second", Call: func(context.Context, int) (int, error) { return 2, nil }},
		}, bench.opts...)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = c.Do(b.Context(), 1)
			}
		})
	}
}
