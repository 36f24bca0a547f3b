package inprocess

import (
	"context"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/sony/gobreaker/v2"
	gozero "github.com/zeromicro/go-zero/core/breaker"

	"github.com/commontrip/commontrip/breaker"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

// guard is a breaker of whatever library, to be weighed.
type guard func()

// makers make a breaker each, of a policy as they are by default or as near to ours as they come: the newest 100 calls, or
// a minute.
func makers(t testing.TB) []struct {
	name string
	make func(name string) guard
} {
	manager, err := breaker.NewManager(memorystore.New())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = manager.Close(context.Background()) })
	ctx := context.Background()
	ours := func(b *breaker.Breaker, err error) guard {
		if err != nil {
			t.Fatal(err)
		}
		return func() { _ = b.Run(ctx, plainCtx) }
	}
	theirs := func(bucket time.Duration) func(string) guard {
		return func(name string) guard {
			b := gobreaker.NewCircuitBreaker[int](gobreaker.Settings{Name: name, Interval: time.Minute, BucketPeriod: bucket})
			return func() { _, _ = b.Execute(value) }
		}
	}
	return []struct {
		name string
		make func(name string) guard
	}{
		{"commontrip, alone", func(name string) guard { return ours(breaker.New(name)) }},
		{"commontrip, of a Manager", func(name string) guard { return ours(manager.Register(ctx, name)) }},
		{"gobreaker, fixed window", theirs(0)},
		{"gobreaker, rolling window", theirs(6 * time.Second)},
		{"failsafe-go, 5 of 100 calls", func(string) guard {
			b := circuitbreaker.NewBuilder[any]().WithFailureThresholdRatio(5, 100).Build()
			return func() {
				if b.TryAcquirePermit() {
					b.RecordSuccess()
				}
			}
		}},
		{"go-zero", func(name string) guard {
			b := gozero.NewBreaker(gozero.WithName(name))
			return func() { _ = b.Do(plain) }
		}},
	}
}

// weigh gives the heap of one of so many breakers, idle and after all cores have called each so often at once.
func weigh(maker func(name string) guard, count, calls int) (idle, used float64) {
	guards, names := make([]guard, count), make([]string, count)
	for i := range names {
		names[i] = "breaker-" + strconv.Itoa(i)
	}
	before := heap()
	for i, name := range names {
		guards[i] = maker(name)
	}
	idle = float64(heap()-before) / float64(count)
	for _, g := range guards {
		together(func() {
			for range calls {
				g()
			}
		})
	}
	used = float64(heap()-before) / float64(count)
	runtime.KeepAlive(guards)
	runtime.KeepAlive(names)
	return idle, used
}

// together does something on each core at once.
func together(do func()) {
	start := make(chan struct{})
	var done sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		done.Go(func() {
			<-start
			do()
		})
	}
	close(start)
	done.Wait()
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
