package queries

import (
	"context"
	"errors"
	"maps"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/fallback"
	"github.com/commontrip/commontrip/health"
	"github.com/commontrip/commontrip/metrics"
	"github.com/commontrip/commontrip/retry"
	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

// series are the metrics that can be asked for: for each the names of its labels, and the values that were seen.
type series map[string]map[string]map[string]bool

// replica registers what one replica of a service exports, after some life.
func replica(t *testing.T, s store.Store, name string) *prometheus.Registry {
	t.Helper()
	ctx := t.Context()
	m, err := breaker.NewManager(s, breaker.WithReplica(name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close(context.Background()) })
	monitor, err := health.New(health.Config{}, []health.Check{{Name: "mcp", Run: func(context.Context) error { return nil }}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = monitor.Close(context.Background()) })
	c := metrics.NewCollector(m, metrics.WithHealth(monitor))
	mcp, err := m.Register(ctx, "mcp")
	if err != nil {
		t.Fatal(err)
	}
	again, err := retry.New(retry.Policy{Attempts: 2, Delay: 1}, retry.WithOnRetry(c.Retry("docs")))
	if err != nil {
		t.Fatal(err)
	}
	docs, err := fallback.New([]fallback.Tier[int, int]{
		{
			Name: "mcp", Guards: []fallback.Guard{again, mcp},
			Call: func(context.Context, int) (int, error) { return 0, errors.New("down") },
		},
		{Name: "rest", Call: func(context.Context, int) (int, error) { return 1, nil }},
	}, fallback.WithObserver(c.Fallback("docs")))
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		_, _ = docs.Do(ctx, 1)
	}
	if err := m.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(c)
	return registry
}

// exported is what a fleet of two exports, with the labels that Prometheus adds to a target's series.
func exported(t *testing.T) series {
	t.Helper()
	shared := memorystore.NewLink(memorystore.New())
	out := series{}
	for _, name := range []string{"a", "b"} {
		families, err := replica(t, shared, name).Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				labels := map[string]string{"job": "api", "instance": name}
				for _, l := range m.GetLabel() {
					labels[l.GetName()] = l.GetValue()
				}
				if m.GetHistogram() == nil {
					out.add(f.GetName(), labels)
					continue
				}
				out.add(f.GetName()+"_sum", labels)
				out.add(f.GetName()+"_count", labels)
				labels = maps.Clone(labels)
				labels["le"] = "+Inf"
				out.add(f.GetName()+"_bucket", labels)
			}
		}
	}
	return out
}

func (s series) add(name string, labels map[string]string) {
	if s[name] == nil {
		s[name] = map[string]map[string]bool{}
	}
	for k, v := range labels {
		if s[name][k] == nil {
			s[name][k] = map[string]bool{}
		}
		s[name][k][v] = true
	}
}
