package retry_test

import (
	"context"
	"testing"

	"github.com/commontrip/commontrip/retry"
)

func BenchmarkFirstAttemptSucceeds(b *testing.B) {
	budget, err := retry.NewBudget(0.1, 10)
	if err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	for _, bench := range []struct {
		name string
		opts []retry.Option
	}{{"plain", nil}, {"with a budget", []retry.Option{retry.WithBudget(budget)}}} {
		name, r := bench.name, mustNew(b, retry.Policy{}, bench.opts...)
		b.Run("Run/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = r.Run(ctx, func(context.Context) error { return nil })
			}
		})
		b.Run("Do/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = retry.Do(ctx, r, func(context.Context) (int, error) { return 1, nil })
			}
		})
		b.Run("Run/parallel, "+name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					_ = r.Run(ctx, func(context.Context) error { return nil })
				}
			})
		})
	}
}
