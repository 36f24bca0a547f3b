package machine

import (
	"runtime"
	"testing"
	"time"

	"github.com/commontrip/commontrip/store"
)

func BenchmarkReport(b *testing.B) {
	for _, c := range []struct {
		name string
		runs []store.Run
	}{
		{"one success", []store.Run{run(success, 1)}},
		{"one failure", []store.Run{run(failure, 1), run(success, 1)}},
		{"a million successes", []store.Run{run(success, 1_000_000)}},
		{"the most failures of a report", []store.Run{run(failure, store.MaxAdverse)}},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := newRig(b, store.Policy{WindowCalls: 100, FailureRate: 1, MinCalls: 100, Reporters: 2})
			r.report("web-2", run(success, 1))
			report := r.blank("web-1")
			report.Runs = c.runs
			normal, err := report.Normalize()
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				normal.Seq++
				r.m.Report(r.now, normal)
			}
		})
	}
}

// BenchmarkTransition is a failure that trips, its entry in the history included, and the command that resets.
func BenchmarkTransition(b *testing.B) {
	r := newRig(b, store.Policy{ConsecutiveFailures: 1})
	report := r.blank("web-1")
	report.Runs = []store.Run{run(failure, 1)}
	normal, err := report.Normalize()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		normal.Seq++
		normal.Generation = r.m.generation
		if r.m.Report(r.now, normal).Made == nil {
			b.Fatal("it did not trip")
		}
		if _, err := r.m.Command(r.now, store.Command{Name: "tier", Action: store.Reset, By: "bench"}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkIdle is the memory of a machine that got a sign of life.
func BenchmarkIdle(b *testing.B) {
	const n = 100_000
	report, err := store.Report{Name: "tier", Replica: "web-1", Seq: 1, MaxAge: time.Second}.Normalize()
	if err != nil {
		b.Fatal(err)
	}
	heap := func() uint64 {
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	for b.Loop() {
		before := heap()
		machines := make([]*Machine, n)
		for i := range machines {
			machines[i] = &Machine{}
			machines[i].Report(1_000_000_000_000, report)
		}
		b.ReportMetric(float64(heap()-before)/n-8, "B/machine")
		runtime.KeepAlive(machines)
	}
}
