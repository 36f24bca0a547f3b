package memorystore_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

func sync1(tb testing.TB, s *memorystore.Store, reports []store.Report) store.Snapshot {
	tb.Helper()
	result := s.Sync(context.Background(), reports)[0]
	if result.Err != nil {
		tb.Fatal(result.Err)
	}
	return result.Snapshot
}

// BenchmarkReport is one report against a warm machine, its verdict included.
func BenchmarkReport(b *testing.B) {
	many := make([]store.Run, 0, 100)
	for i := range 50 {
		many = append(many,
			store.Run{Outcome: store.Success, Count: 1},
			store.Run{Outcome: store.Failure, Count: 1, Label: fmt.Sprint("error ", i%5)})
	}
	for _, c := range []struct {
		name string
		runs []store.Run
	}{
		{"one success", []store.Run{{Outcome: store.Success, Count: 1}}},
		{"one failure", []store.Run{{Outcome: store.Failure, Count: 1, Label: "timeout"}, {Outcome: store.Success, Count: 1}}},
		{"100 outcomes, half failed", many},
		{"a million successes", []store.Run{{Outcome: store.Success, Count: 1_000_000}}},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := memorystore.New()
			reports := []store.Report{{Name: "tier", Replica: "web-1#a", MaxAge: time.Second, Runs: c.runs}}
			b.ReportAllocs()
			for b.Loop() {
				reports[0].Seq++
				sync1(b, s, reports)
			}
		})
	}
}

// BenchmarkTransition is a command to trip and the failures that do it, each a transition with its entry in the history.
func BenchmarkTransition(b *testing.B) {
	s := memorystore.New()
	policy := store.Policy{ConsecutiveFailures: 1}
	report := []store.Report{{
		Name: "tier", Policy: policy, Replica: "web-1#a", MaxAge: time.Second,
		Runs: []store.Run{{Outcome: store.Failure, Count: 1, Label: "timeout"}},
	}}
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		report[0].Seq++
		if snapshot := sync1(b, s, report); snapshot.State != store.Open {
			b.Fatal("it did not trip:", snapshot.State)
		}
		closed, err := s.Command(ctx, store.Command{Name: "tier", Action: store.Reset, By: "bench"})
		if err != nil {
			b.Fatal(err)
		}
		report[0].Generation = closed.Snapshot.Generation
	}
}

// BenchmarkIdle is what a breaker that only gave a sign of life costs in memory.
func BenchmarkIdle(b *testing.B) {
	const breakers = 100_000
	for b.Loop() {
		s := memorystore.New()
		before := heap()
		for i := range breakers {
			sync1(b, s, []store.Report{{Name: fmt.Sprintf("tier-%06d", i), Replica: "web-1#a", Seq: 1}})
		}
		b.ReportMetric(float64(heap()-before)/breakers, "B/breaker")
		runtime.KeepAlive(s)
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
