package metrics_test

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/metrics"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

func BenchmarkAScrapeOfBreakers(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			m, err := breaker.NewManager(memorystore.New())
			if err != nil {
				b.Fatal(err)
			}
			defer m.Close(b.Context())
			for i := range n {
				if _, err := m.Register(b.Context(), fmt.Sprint(i)); err != nil {
					b.Fatal(err)
				}
			}
			registry := prometheus.NewRegistry()
			registry.MustRegister(metrics.NewCollector(m))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := registry.Gather(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
