package oteltrip_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/fallback"
	"github.com/commontrip/commontrip/health"
	"github.com/commontrip/commontrip/internal/figures"
	"github.com/commontrip/commontrip/retry"
	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

var update = flag.Bool("update", false, "write ../docs/opentelemetry.md again")

func TestThePageIsWhatIsSent(t *testing.T) {
	const path = "../docs/opentelemetry.md"
	want := document(t)
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s is not what is sent (%v); run: go test ./oteltrip -update", path, err)
	}
}

// document is docs/opentelemetry.md: its text, an outage as a span tells it, and each metric that a reader got.
func document(t *testing.T) string {
	t.Helper()
	var outage, table strings.Builder
	for _, event := range anOutage(t) {
		fmt.Fprintln(&outage, event)
	}
	sent := everything(t)
	for _, m := range &figures.Table {
		name, unit := m.Split()
		instrument, ok := sent["commontrip."+name+" "+unit]
		if !ok {
			t.Errorf("no reader gets %s in %s", name, unit)
		}
		fmt.Fprintf(&table, "| `commontrip.%s` | %s | `%s` | `%s%s` |\n", name, instrument, unit, figures.Prefix, m.Name)
	}
	text, err := os.ReadFile("testdata/opentelemetry.md")
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer("{{outage}}\n", outage.String(), "{{table}}\n", table.String()).Replace(string(text))
}

// pooled is a store that tells of connections.
type pooled struct{ *memorystore.Store }

func (pooled) Connections() store.Connections { return store.Connections{InUse: 1, Most: 2} }

// anOutage is what the span of one request tells of a tier that times out: both attempts, and the breaker that they open.
func anOutage(t *testing.T) (events []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o := newTelemetry(t)
		mcp, err := breaker.New("mcp", breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 2, OpenFor: time.Minute, Probes: 1}),
			breaker.WithObserver(o.Observer()))
		if err != nil {
			t.Fatal(err)
		}
		again, err := retry.New(retry.Policy{Attempts: 3, Delay: 100 * time.Millisecond, Jitter: retry.NoJitter}, retry.WithObserver(o.Retry("mcp")))
		if err != nil {
			t.Fatal(err)
		}
		docs, err := fallback.New([]fallback.Tier[int, int]{
			{Name: "mcp", Guards: []fallback.Guard{again, mcp}, Call: func(ctx context.Context, _ int) (int, error) {
				ctx, cancel := context.WithTimeout(ctx, time.Second)
				defer cancel()
				<-ctx.Done()
				return 0, ctx.Err()
			}},
			{Name: "rest", Call: serve},
		}, fallback.WithObserver(o.Fallback("docs")))
		if err != nil {
			t.Fatal(err)
		}
		events = traced(t, func(ctx context.Context) { _, _ = docs.Do(ctx, 1) })
		<-time.After(time.Hour)
		events = append(append(events, ""), traced(t, func(ctx context.Context) { _, _ = docs.Do(ctx, 1) })...)
	})
	return events
}

// everything is what a reader gets if everything is in use: by name and unit, as which instrument.
func everything(t *testing.T) map[string]string {
	t.Helper()
	o := newTelemetry(t)
	m, err := breaker.NewManager(pooled{memorystore.New()})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close(t.Context())
	if _, err := m.Register(t.Context(), "mcp"); err != nil {
		t.Fatal(err)
	}
	monitor, err := health.New(health.Config{}, []health.Check{{Name: "mcp", Run: succeed}})
	if err != nil {
		t.Fatal(err)
	}
	o.watch(t, m, monitor)
	o.Observer().Exchanged(time.Second)
	o.Retry("mcp")(t.Context(), retry.Attempt{})
	docs := o.Fallback("docs")
	docs(t.Context(), fallback.Trace{Tier: "rest", Attempts: []fallback.Attempt{{Tier: "mcp"}}})
	docs(t.Context(), fallback.Trace{})
	sent := map[string]string{}
	for _, m := range o.metrics(t) {
		if m.Description == "" {
			t.Errorf("%s is not described", m.Name)
		}
		sent[m.Name+" "+m.Unit] = instrument(m.Data)
	}
	if len(sent) != len(figures.Table) || slices.Contains(slices.Collect(maps.Values(sent)), "") {
		t.Errorf("%d metrics are sent, of %d: %v", len(sent), len(figures.Table), sent)
	}
	return sent
}

func instrument(data metricdata.Aggregation) string {
	switch d := data.(type) {
	case metricdata.Gauge[float64]:
		return "gauge"
	case metricdata.Histogram[float64]:
		return "histogram"
	case metricdata.Sum[float64]:
		if d.IsMonotonic {
			return "counter"
		}
		return "up-down counter"
	default:
		return ""
	}
}
