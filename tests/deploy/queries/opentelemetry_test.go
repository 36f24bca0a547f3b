package queries

import (
	"testing"

	otelbridge "go.opentelemetry.io/contrib/bridges/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	memorystore "github.com/commontrip/commontrip/store/memory"
)

// What docs/metrics.md shows, with a reader that can be asked.
func TestTheCollectorSpeaksOpenTelemetryThroughTheBridge(t *testing.T) {
	registry := replica(t, memorystore.NewLink(memorystore.New()), "a")
	reader := sdkmetric.NewManualReader(
		sdkmetric.WithProducer(otelbridge.NewMetricProducer(otelbridge.WithGatherer(registry))))
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	t.Cleanup(func() { _ = provider.Shutdown(t.Context()) })

	var read metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &read); err != nil {
		t.Fatal(err)
	}
	seen := map[string]metricdata.Aggregation{}
	for _, scope := range read.ScopeMetrics {
		for _, m := range scope.Metrics {
			seen[m.Name] = m.Data
		}
	}
	if g, ok := seen["commontrip_state"].(metricdata.Gauge[float64]); !ok || len(g.DataPoints) != 3 {
		t.Errorf("commontrip_state is %+v; want a gauge of 3 points", seen["commontrip_state"])
	}
	if s, ok := seen["commontrip_calls_total"].(metricdata.Sum[float64]); !ok || !s.IsMonotonic || len(s.DataPoints) != 3 {
		t.Errorf("commontrip_calls_total is %+v; want a monotonic sum of 3 points", seen["commontrip_calls_total"])
	}
	if h, ok := seen["commontrip_fallback_duration_seconds"].(metricdata.Histogram[float64]); !ok || h.DataPoints[0].Count != 5 {
		t.Errorf("commontrip_fallback_duration_seconds is %+v; want a histogram of 5", seen["commontrip_fallback_duration_seconds"])
	}
}
