package oteltrip

import (
	"errors"
	"fmt"
	"slices"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/commontrip/commontrip/internal/figures"
)

const (
	scope = "github.com/commontrip/commontrip/oteltrip"
	// prefix stands before the names of metrics and events.
	prefix = "commontrip."
	// defaultLimit is how many breakers are shown.
	defaultLimit = 1000
)

// Telemetry tells OpenTelemetry what one replica does and knows. It is made by [New], starts nothing, and is safe for concurrent
// use. Several Managers of one process need one each, told apart by [WithAttributes].
type Telemetry struct {
	provider   metric.MeterProvider
	attributes []attribute.KeyValue
	limit      int

	meter       metric.Meter
	observables [len(figures.Table)]metric.Float64Observable // nil: it is measured when it happens
	counters    [len(figures.Table)]metric.Float64Counter    // nil: it is read
	histograms  [len(figures.Table)]metric.Float64Histogram
}

// Option changes what a [Telemetry] shows.
type Option func(*Telemetry)

// WithMeterProvider sets who gets the metrics. The default, which nil stands for too, is otel.GetMeterProvider.
func WithMeterProvider(p metric.MeterProvider) Option { return func(t *Telemetry) { t.provider = p } }

// WithAttributes gives attributes to every metric, such as the fleet's name. Those of docs/opentelemetry.md win over them.
func WithAttributes(attributes ...attribute.KeyValue) Option {
	attributes = slices.Clone(attributes)
	return func(t *Telemetry) { t.attributes = attributes }
}

// WithLimit bounds how many breakers are shown, the first by name; the default is 1000, which n below 1 stands for too.
func WithLimit(n int) Option { return func(t *Telemetry) { t.limit = n } }

// New makes the instruments. An error is one of the MeterProvider's.
func New(opts ...Option) (*Telemetry, error) {
	t := new(Telemetry)
	for _, opt := range opts {
		if opt != nil {
			opt(t)
		}
	}
	if t.provider == nil {
		t.provider = otel.GetMeterProvider()
	}
	if t.limit < 1 {
		t.limit = defaultLimit
	}
	t.meter = t.provider.Meter(scope)
	var problems []error
	for _, families := range [][]figures.ID{
		metricsOf(figures.OfReplica), metricsOf(figures.OfPool), metricsOf(figures.OfBreaker), metricsOf(figures.OfCheck),
	} {
		for _, id := range families {
			problems = append(problems, t.observable(id))
		}
	}
	for id := range figures.ID(len(figures.Table)) {
		if t.observables[id] == nil {
			problems = append(problems, t.measured(id))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("oteltrip: %w", err)
	}
	return t, nil
}

// metricsOf are the metrics that families show.
func metricsOf[T any](families []figures.Family[T]) (ids []figures.ID) {
	for _, f := range families {
		ids = append(ids, f.Metric)
	}
	return slices.Compact(ids)
}

// describe gives the name of a metric, and what every kind of instrument is told of it.
func describe(id figures.ID) (name string, unit, help metric.InstrumentOption) {
	m := &figures.Table[id]
	name, of := m.Split()
	return prefix + name, metric.WithUnit(of), metric.WithDescription(m.Help)
}

// observable makes an instrument that is read. What each replica has a part of adds up: it is a counter, up and down.
func (t *Telemetry) observable(id figures.ID) (err error) {
	name, unit, help := describe(id)
	switch m := &figures.Table[id]; {
	case m.Kind == figures.Counter:
		t.observables[id], err = t.meter.Float64ObservableCounter(name, unit, help)
	case m.Join == figures.Total:
		t.observables[id], err = t.meter.Float64ObservableUpDownCounter(name, unit, help)
	default:
		t.observables[id], err = t.meter.Float64ObservableGauge(name, unit, help)
	}
	return err
}

// measured makes an instrument that is told while it happens.
func (t *Telemetry) measured(id figures.ID) (err error) {
	name, unit, help := describe(id)
	bounds := map[figures.ID][]float64{figures.ExchangeDuration: figures.ExchangeBounds, figures.FallbackDuration: figures.FallbackBounds}
	if figures.Table[id].Kind == figures.Histogram {
		t.histograms[id], err = t.meter.Float64Histogram(name, unit, help, metric.WithExplicitBucketBoundaries(bounds[id]...))
	} else {
		t.counters[id], err = t.meter.Float64Counter(name, unit, help)
	}
	return err
}
