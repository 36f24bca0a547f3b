package oteltrip_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/goleak"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/fallback"
	"github.com/commontrip/commontrip/health"
	"github.com/commontrip/commontrip/metrics"
	"github.com/commontrip/commontrip/oteltrip"
	"github.com/commontrip/commontrip/retry"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errTier = errors.New("the tier fails")

// telemetry is a Telemetry whose metrics can be read.
type telemetry struct {
	*oteltrip.Telemetry
	reader *sdkmetric.ManualReader
}

func newTelemetry(t testing.TB, opts ...oteltrip.Option) *telemetry {
	t.Helper()
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	t.Cleanup(func() { _ = provider.Shutdown(context.Background()) })
	made, err := oteltrip.New(append(opts, oteltrip.WithMeterProvider(provider))...)
	if err != nil {
		t.Fatal(err)
	}
	return &telemetry{made, reader}
}

func (o *telemetry) watch(t testing.TB, b oteltrip.Breakers, checks ...oteltrip.Checks) metric.Registration {
	t.Helper()
	watching, err := o.Watch(b, checks...)
	if err != nil {
		t.Fatal(err)
	}
	return watching
}

func (o *telemetry) metrics(t testing.TB) (all []metricdata.Metrics) {
	t.Helper()
	var read metricdata.ResourceMetrics
	if err := o.reader.Collect(context.Background(), &read); err != nil {
		t.Fatal(err)
	}
	for _, scope := range read.ScopeMetrics {
		all = append(all, scope.Metrics...)
	}
	return all
}

// series are values by the name and the labels that Prometheus gives them. Of a histogram they are its count, its sum and its
// buckets.
type series map[string]float64

func (s series) add(name string, labels map[string]string, value float64) {
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		name += fmt.Sprintf(" %s=%s", key, labels[key])
	}
	s[name] = value
}

// translated gives the series that the specification of OpenTelemetry says become of its metrics at a Prometheus.
func (o *telemetry) translated(t testing.TB) series {
	t.Helper()
	out := series{}
	for _, m := range o.metrics(t) {
		name := strings.ReplaceAll(m.Name, ".", "_")
		switch m.Unit {
		case "s":
			name += "_seconds"
		case "1":
			name += "_ratio"
		}
		switch data := m.Data.(type) {
		case metricdata.Gauge[float64]:
			out.points(name, data.DataPoints)
		case metricdata.Sum[float64]:
			if data.IsMonotonic {
				name += "_total"
			}
			out.points(name, data.DataPoints)
		case metricdata.Histogram[float64]:
			for _, p := range data.DataPoints {
				labels := labelsOf(p.Attributes)
				out.add(name+"_count", labels, float64(p.Count))
				out.add(name+"_sum", labels, p.Sum)
				sum := uint64(0)
				for i, bound := range p.Bounds {
					sum += p.BucketCounts[i]
					labels["le"] = fmt.Sprint(bound)
					out.add(name+"_bucket", labels, float64(sum))
				}
			}
		default:
			t.Errorf("%s is a %T", m.Name, data)
		}
	}
	return out
}

func (s series) points(name string, points []metricdata.DataPoint[float64]) {
	for _, p := range points {
		s.add(name, labelsOf(p.Attributes), p.Value)
	}
}

func labelsOf(set attribute.Set) map[string]string {
	labels := map[string]string{}
	for _, a := range set.ToSlice() {
		labels[string(a.Key)] = a.Value.AsString()
	}
	return labels
}

// scraped gives what Prometheus gets of a collector.
func scraped(t testing.TB, c prometheus.Collector) series {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := series{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			h := m.GetHistogram()
			if h == nil {
				out.add(f.GetName(), labels, m.GetGauge().GetValue()+m.GetCounter().GetValue())
				continue
			}
			out.add(f.GetName()+"_count", labels, float64(h.GetSampleCount()))
			out.add(f.GetName()+"_sum", labels, h.GetSampleSum())
			for _, b := range h.GetBucket() {
				labels["le"] = fmt.Sprint(b.GetUpperBound())
				out.add(f.GetName()+"_bucket", labels, float64(b.GetCumulativeCount()))
			}
		}
	}
	return out
}

// The rules and the board that lie in deploy work on both.
func TestPrometheusGetsTheSameFromBoth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newTelemetry(t)
		m, err := breaker.NewManager(memorystore.NewLink(memorystore.New()), breaker.WithObserver(o.Observer()))
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close(t.Context())
		monitor, err := health.New(health.Config{}, []health.Check{{Name: "rest", Run: func(context.Context) error { return errTier }}})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = monitor.Check(t.Context(), "rest")
		c := metrics.NewCollector(m, metrics.WithHealth(monitor))
		o.watch(t, m, monitor)
		live(t, m, []retry.Option{retry.WithOnRetry(c.Retry("docs")), retry.WithObserver(o.Retry("docs"))},
			[]fallback.Option{fallback.WithObserver(c.Fallback("docs")), fallback.WithObserver(o.Fallback("docs"))})

		theirs, ours := scraped(t, c), o.translated(t)
		if len(theirs) < 100 {
			t.Errorf("there are %d series only", len(theirs))
		}
		for name, want := range theirs {
			if got, ok := ours[name]; !ok || math.Abs(got-want) > 1e-9 {
				t.Errorf("%s is %v, %t; want %v", name, got, ok, want)
			}
		}
		for name := range ours {
			if _, ok := theirs[name]; !ok {
				t.Errorf("package metrics has no %s", name)
			}
		}
	})
}

// live lets a replica live: a tier that dies, retries, an operator, a fallback that serves and one that does not.
func live(t *testing.T, m *breaker.Manager, retries []retry.Option, observers []fallback.Option) {
	t.Helper()
	mcp, err := m.Register(t.Context(), "mcp")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Register(t.Context(), "rest", breaker.WithPolicy(breaker.Policy{SlowCallRate: 0.5, SlowCallAfter: time.Second})); err != nil {
		t.Fatal(err)
	}
	again, err := retry.New(retry.Policy{Attempts: 2, Delay: time.Second}, retries...)
	if err != nil {
		t.Fatal(err)
	}
	docs, err := fallback.New([]fallback.Tier[bool, int]{
		{Name: "mcp", Guards: []fallback.Guard{again, mcp}, Call: func(context.Context, bool) (int, error) { return 0, errTier }},
		{Name: "rest", Call: func(_ context.Context, well bool) (int, error) {
			if well {
				return 1, nil
			}
			return 0, errTier
		}},
	}, observers...)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		_, _ = docs.Do(t.Context(), i%2 == 0)
	}
	if _, err := mcp.Command(t.Context(), breaker.Command{Action: breaker.ForceOpen, For: time.Hour, By: "ada"}); err != nil {
		t.Fatal(err)
	}
	_, _ = docs.Do(t.Context(), true)
	if err := m.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

func TestWhatIsNotWatchedAnyMoreIsNotShown(t *testing.T) {
	o := newTelemetry(t)
	watching := o.watch(t, statuses{{Name: "a"}}, nil)
	if got := o.translated(t); got["commontrip_breakers"] != 1 {
		t.Errorf("%v", got)
	}
	if err := watching.Unregister(); err != nil {
		t.Fatal(err)
	}
	if got := o.metrics(t); len(got) != 0 {
		t.Errorf("%v", got)
	}
	if _, err := o.Watch(nil); err == nil {
		t.Error("nothing to watch was taken")
	}
}

// statuses are breakers that stand still.
type statuses []breaker.Status

func (s statuses) Status() breaker.ManagerStatus {
	return breaker.ManagerStatus{Replica: "web-1", Breakers: s}
}

func TestBreakersBeyondTheLimitAreCountedOnly(t *testing.T) {
	o := newTelemetry(t, oteltrip.WithLimit(2))
	o.watch(t, statuses{{Name: "a"}, {Name: "b"}, {Name: "c"}})
	got := o.translated(t)
	_, b := got["commontrip_own_verdict breaker=b"]
	_, c := got["commontrip_own_verdict breaker=c"]
	if !b || c || got["commontrip_breakers"] != 3 || got["commontrip_breakers_left_out"] != 1 {
		t.Errorf("b %t, c %t, of %v %v left out", b, c, got["commontrip_breakers"], got["commontrip_breakers_left_out"])
	}
}

func TestAttributesOfTheServiceStandOnEveryMetric(t *testing.T) {
	o := newTelemetry(t, oteltrip.WithAttributes(attribute.String("fleet", "x"), attribute.String("breaker", "y")))
	o.watch(t, statuses{{Name: "a"}})
	o.Retry("docs")(t.Context(), retry.Attempt{Wait: time.Second})
	o.Fallback("docs")(t.Context(), fallback.Trace{Tier: "mcp"})
	o.Observer().Exchanged(time.Second)
	got := o.translated(t)
	for name := range got {
		if !strings.Contains(name, " fleet=x") {
			t.Errorf("%s has no fleet", name)
		}
	}
	if _, ok := got["commontrip_own_verdict breaker=a fleet=x"]; !ok {
		t.Error("the breaker's name is another's")
	}
}

// An exporter refuses a text that is not UTF-8, and all that is sent with it.
func TestNamesAreFitToBeSent(t *testing.T) {
	o := newTelemetry(t)
	o.watch(t, statuses{{Name: "a\xff"}})
	if _, ok := o.translated(t)["commontrip_own_verdict breaker=a\uFFFD"]; !ok {
		t.Error("a name is not valid")
	}
}

func TestTheBucketsAreThoseOfTheStatus(t *testing.T) {
	m, err := breaker.NewManager(memorystore.New())
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close(t.Context())
	o := newTelemetry(t)
	o.Observer().Exchanged(0)
	var want []float64
	for _, bound := range m.Status().Latencies.Bounds {
		want = append(want, bound.Seconds())
	}
	for _, one := range o.metrics(t) {
		if h, ok := one.Data.(metricdata.Histogram[float64]); !ok || !slices.Equal(h.DataPoints[0].Bounds, want) {
			t.Errorf("%s: %+v; want bounds %v", one.Name, one.Data, want)
		}
	}
}
