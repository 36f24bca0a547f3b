package peers

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/sony/gobreaker/v2"
	gozero "github.com/zeromicro/go-zero/core/breaker"

	"github.com/commontrip/commontrip/breaker"
)

var errTier = errors.New("tier failed")

// caller is one guarded call.
type caller struct {
	name string
	call func(fn func() (int, error)) (int, error)
}

func callers(tb testing.TB) []caller {
	ctx := context.Background()
	ours, err := breaker.New("ours")
	if err != nil {
		tb.Fatal(err)
	}
	fixed := gobreaker.NewCircuitBreaker[int](gobreaker.Settings{Name: "fixed", Interval: time.Minute})
	rolling := gobreaker.NewCircuitBreaker[int](gobreaker.Settings{
		Name: "rolling", Interval: time.Minute, BucketPeriod: 6 * time.Second,
	})
	safe := circuitbreaker.NewBuilder[int]().WithFailureThresholdRatio(5, 100).WithDelay(time.Minute).Build()
	executor := failsafe.With[int](safe)
	permits := circuitbreaker.NewBuilder[int]().WithFailureThresholdRatio(5, 100).WithDelay(time.Minute).Build()
	zero := gozero.NewBreaker()
	return []caller{
		{"bare", func(fn func() (int, error)) (int, error) { return fn() }},
		{"commontrip", func(fn func() (int, error)) (int, error) {
			return breaker.Do(ctx, ours, func(context.Context) (int, error) { return fn() })
		}},
		{"commontrip-permit", func(fn func() (int, error)) (int, error) {
			p, err := ours.Acquire(ctx)
			if err != nil {
				return 0, err
			}
			v, err := fn()
			p.Done(err)
			return v, err
		}},
		{"gobreaker-fixed", fixed.Execute},
		{"gobreaker-rolling", rolling.Execute},
		{"failsafe-executor", executor.Get},
		{"failsafe-permit", func(fn func() (int, error)) (int, error) {
			if !permits.TryAcquirePermit() {
				return 0, circuitbreaker.ErrOpen
			}
			v, err := fn()
			permits.RecordError(err)
			return v, err
		}},
		{"go-zero", func(fn func() (v int, err error)) (v int, err error) {
			err = zero.Do(func() error { v, err = fn(); return err })
			return v, err
		}},
	}
}

func succeed() (int, error) { return 1, nil }

// BenchmarkClosed is a call that does nothing, and succeeds.
func BenchmarkClosed(b *testing.B) {
	b.Run("mutex", func(b *testing.B) {
		var mu sync.Mutex
		for b.Loop() {
			mu.Lock()
			mu.Unlock() //nolint:staticcheck // the pair is what is measured
		}
	})
	for _, c := range callers(b) {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.call(succeed); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(c.name+"/all-cores", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					_, _ = c.call(succeed)
				}
			})
		})
	}
}

// BenchmarkOpen is a refusal.
func BenchmarkOpen(b *testing.B) {
	for _, c := range callers(b) {
		if c.name == "bare" || c.name == "go-zero" { // the one refuses nothing, the other by chance
			continue
		}
		for range 1000 {
			_, _ = c.call(func() (int, error) { return 0, errTier })
		}
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.call(succeed); err == nil {
					b.Fatal("admitted")
				}
			}
		})
	}
}
