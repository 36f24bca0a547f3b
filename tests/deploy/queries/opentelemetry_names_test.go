package queries

import (
	"context"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/fallback"
	"github.com/commontrip/commontrip/metrics"
	"github.com/commontrip/commontrip/oteltrip"
	"github.com/commontrip/commontrip/retry"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

// Rules and board ask for these names. OpenTelemetry's own exporter makes them of those of oteltrip.
func TestWhatOpenTelemetryExportsHasTheNamesThatAreAskedFor(t *testing.T) {
	m, err := breaker.NewManager(memorystore.New())
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close(context.Background())
	if _, err := m.Register(t.Context(), "mcp"); err != nil {
		t.Fatal(err)
	}
	theirs, ours := prometheus.NewRegistry(), prometheus.NewRegistry()
	c := metrics.NewCollector(m)
	theirs.MustRegister(c)
	exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(ours), otelprometheus.WithoutScopeInfo(), otelprometheus.WithoutTargetInfo())
	if err != nil {
		t.Fatal(err)
	}
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter))
	defer func() { _ = provider.Shutdown(context.Background()) }()
	o, err := oteltrip.New(oteltrip.WithMeterProvider(provider))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Watch(m); err != nil {
		t.Fatal(err)
	}
	o.Observer().Exchanged(1)
	for _, observe := range []func(context.Context, fallback.Trace){c.Fallback("docs"), o.Fallback("docs")} {
		observe(t.Context(), fallback.Trace{Tier: "rest", Attempts: []fallback.Attempt{{Tier: "mcp"}}})
		observe(t.Context(), fallback.Trace{})
	}
	c.Retry("docs")(retry.Attempt{})
	o.Retry("docs")(t.Context(), retry.Attempt{})

	want, got := shapes(t, theirs), shapes(t, ours)
	for name, shape := range want {
		if got[name] != shape {
			t.Errorf("%s is %+v; want %+v", name, got[name], shape)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d metrics are exported; want %d", len(got), len(want))
	}
}

// shape is what a query sees of a metric.
type shape struct {
	kind   dto.MetricType
	help   string
	series int
	labels string // of the first one
}

func shapes(t *testing.T, registry *prometheus.Registry) map[string]shape {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]shape{}
	for _, f := range families {
		labels := ""
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels += l.GetName() + "=" + l.GetValue() + " "
		}
		out[f.GetName()] = shape{f.GetType(), f.GetHelp(), len(f.GetMetric()), labels}
	}
	return out
}
