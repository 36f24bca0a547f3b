package metrics_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/metrics"
	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errTier = errors.New("the tier fails")

var errAway = errors.New("the store is away")

// newRemoteStore is a memory store that looks like one behind a network, and can be taken away.
func newRemoteStore() *memorystore.Link { return memorystore.NewLink(memorystore.New()) }

// replica is one Manager and what it exports.
type replica struct {
	t *testing.T
	m *breaker.Manager
	b *breaker.Breaker
	c *metrics.Collector
}

func newReplica(t *testing.T, s store.Store, name string, opts ...breaker.Option) *replica {
	t.Helper()
	m, err := breaker.NewManager(s, breaker.WithReplica(name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = m.Close(ctx)
	})
	b, err := m.Register(t.Context(), "mcp", opts...)
	if err != nil {
		t.Fatal(err)
	}
	return &replica{t, m, b, metrics.NewCollector(m)}
}

func (r *replica) call(err error) error {
	return r.b.Run(r.t.Context(), func(context.Context) error { return err })
}

func (r *replica) sync() {
	r.t.Helper()
	if err := r.m.Sync(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

// pass lets virtual time go by.
func pass(d time.Duration) { <-time.After(d) }

func (r *replica) value(name string, labels ...string) float64 {
	r.t.Helper()
	return value(r.t, r.c, name, labels...)
}

// value reads one series: name, then label names and values in turn.
func value(t *testing.T, c prometheus.Collector, name string, labels ...string) float64 {
	t.Helper()
	for _, m := range family(t, c, name).GetMetric() {
		if matches(m, labels) {
			switch {
			case m.GetCounter() != nil:
				return m.GetCounter().GetValue()
			case m.GetHistogram() != nil:
				return float64(m.GetHistogram().GetSampleCount())
			default:
				return m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no series %s%q", name, labels)
	return 0
}

func matches(m *dto.Metric, labels []string) bool {
	has := map[string]string{}
	for _, l := range m.GetLabel() {
		has[l.GetName()] = l.GetValue()
	}
	for i := 0; i < len(labels); i += 2 {
		if has[labels[i]] != labels[i+1] {
			return false
		}
	}
	return true
}

func family(t *testing.T, c prometheus.Collector, name string) *dto.MetricFamily {
	t.Helper()
	for _, f := range gather(t, c) {
		if f.GetName() == name {
			return f
		}
	}
	t.Fatalf("no metric %s", name)
	return nil
}

func gather(t *testing.T, c prometheus.Collector) []*dto.MetricFamily {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(c); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return families
}
