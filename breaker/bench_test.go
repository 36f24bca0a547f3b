package breaker_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

func nothing(context.Context) (int, error) { return 0, nil }

// subjects are the breakers that the benchmarks call.
func subjects(b *testing.B, run func(b *testing.B, br *breaker.Breaker)) {
	b.Run("local", func(b *testing.B) {
		br, err := breaker.New("bench")
		if err != nil {
			b.Fatal(err)
		}
		run(b, br)
	})
	b.Run("remote", func(b *testing.B) {
		m, err := breaker.NewManager(remoteStore{newBackend(), &network{}})
		if err != nil {
			b.Fatal(err)
		}
		defer m.Close(context.Background())
		br, err := m.Register(context.Background(), "bench")
		if err != nil {
			b.Fatal(err)
		}
		run(b, br)
	})
}

func BenchmarkMutex(b *testing.B) {
	var mu sync.Mutex
	for b.Loop() {
		mu.Lock()
		mu.Unlock() //nolint:staticcheck // the reference for the others
	}
}

func BenchmarkDoClosed(b *testing.B) {
	subjects(b, func(b *testing.B, br *breaker.Breaker) {
		ctx := context.Background()
		b.ReportAllocs()
		for b.Loop() {
			_, _ = breaker.Do(ctx, br, nothing)
		}
	})
}

func BenchmarkDoClosedParallel(b *testing.B) {
	subjects(b, func(b *testing.B, br *breaker.Breaker) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			ctx := context.Background()
			for pb.Next() {
				_, _ = breaker.Do(ctx, br, nothing)
			}
		})
	})
}

func BenchmarkDoClosedCancelable(b *testing.B) {
	subjects(b, func(b *testing.B, br *breaker.Breaker) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		b.ReportAllocs()
		for b.Loop() {
			_, _ = breaker.Do(ctx, br, nothing)
		}
	})
}

func BenchmarkRunClosed(b *testing.B) {
	subjects(b, func(b *testing.B, br *breaker.Breaker) {
		ctx := context.Background()
		b.ReportAllocs()
		for b.Loop() {
			_ = br.Run(ctx, succeed)
		}
	})
}

func BenchmarkAcquireDone(b *testing.B) {
	subjects(b, func(b *testing.B, br *breaker.Breaker) {
		ctx := context.Background()
		b.ReportAllocs()
		for b.Loop() {
			p, err := br.Acquire(ctx)
			if err != nil {
				b.Fatal(err)
			}
			p.Done(nil)
		}
	})
}

func BenchmarkDoOpen(b *testing.B) {
	subjects(b, func(b *testing.B, br *breaker.Breaker) {
		ctx := context.Background()
		if _, err := br.Command(ctx, breaker.Command{Action: breaker.ForceOpen, By: "bench"}); err != nil {
			b.Fatal(err)
		}
		_, _ = breaker.Do(ctx, br, nothing) // wakes it
		b.ReportAllocs()
		for b.Loop() {
			_, _ = breaker.Do(ctx, br, nothing)
		}
	})
}

func BenchmarkFailureLocal(b *testing.B) {
	br, err := breaker.New("bench", breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 1_000_000}))
	if err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%2 == 0 {
			_ = br.Run(ctx, fail)
		} else {
			_ = br.Run(ctx, succeed)
		}
	}
}

// BenchmarkIdleBreaker measures the heap of one idle breaker of many in one Manager, the memory store's part included.
func BenchmarkIdleBreaker(b *testing.B) {
	for _, kind := range []string{"local", "remote"} {
		b.Run(kind, func(b *testing.B) {
			for b.Loop() {
				b.ReportMetric(idleBytes(b, kind, 100_000), "B/breaker")
			}
		})
	}
}

// silent is a remote store that holds nothing itself.
type silent struct{ store.Store }

func (silent) Info() store.Info { return store.Info{Kind: "silent", Remote: true} }

func (silent) Sync(_ context.Context, reports []store.Report) []store.Result {
	results := make([]store.Result, len(reports))
	for i, r := range reports {
		results[i].Snapshot = store.Snapshot{Name: r.Name, Policy: r.Policy.WithDefaults(), Since: time.Now(), Replicas: 1}
	}
	return results
}

func (silent) Versions(_ context.Context, names ...string) ([]store.Version, error) {
	versions := make([]store.Version, len(names))
	for i, name := range names {
		versions[i].Name = name
	}
	return versions, nil
}

func idleBytes(b testing.TB, kind string, n int) float64 {
	var s store.Store = memorystore.New()
	if kind == "remote" {
		s = silent{s}
	}
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("breaker-%06d", i)
	}
	before := heap()
	m, err := breaker.NewManager(s, breaker.WithTiming(breaker.Timing{RefreshInterval: time.Hour})) // measured between signs of life
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour) // on a busy machine Close takes longer than it allows itself
	defer cancel()
	var wg sync.WaitGroup
	const workers = 100
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n; i += workers {
				if _, err := m.Register(ctx, names[i]); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	bytes := float64(heap()-before) / float64(n)
	if err := m.Close(ctx); err != nil {
		b.Error(err)
	}
	runtime.KeepAlive(names)
	return bytes
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
