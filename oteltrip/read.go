package oteltrip

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/health"
	"github.com/commontrip/commontrip/internal/figures"
)

// Breakers is what breakers are read from: a *breaker.Manager.
type Breakers interface{ Status() breaker.ManagerStatus }

// Checks is what active checks are read from: a *health.Monitor.
type Checks interface{ All() []health.Status }

// Watch shows breakers and checks, whose names must differ, whenever the MeterProvider's readers ask. A reading does no I/O. It
// is there until the Registration's Unregister, or the end of the MeterProvider. A nil b is refused.
func (t *Telemetry) Watch(b Breakers, checks ...Checks) (metric.Registration, error) {
	if b == nil {
		return nil, errors.New("oteltrip: Watch needs a *breaker.Manager; it was given nil")
	}
	var read []metric.Observable
	for _, instrument := range &t.observables {
		if instrument != nil {
			read = append(read, instrument)
		}
	}
	watching, err := t.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		t.read(o, b, checks)
		return nil
	}, read...)
	if err != nil {
		return nil, fmt.Errorf("oteltrip: %w", err)
	}
	return watching, nil
}

func (t *Telemetry) read(o metric.Observer, b Breakers, checks []Checks) {
	st := b.Status()
	shown := st.Breakers[:min(len(st.Breakers), t.limit)]
	show(t, o, st.Replica, &figures.Replica{ManagerStatus: &st, Shown: len(shown)}, figures.OfReplica)
	if pool := figures.PoolOf(b); pool != nil {
		n := pool.Connections()
		show(t, o, st.Replica, &n, figures.OfPool)
	}
	for i := range shown {
		one := figures.NewBreaker(&shown[i])
		show(t, o, one.Name, &one, figures.OfBreaker)
	}
	for _, c := range checks {
		if c == nil {
			continue
		}
		for _, status := range c.All() {
			show(t, o, status.Name, &status, figures.OfCheck)
		}
	}
}

// show shows a replica, a breaker or a check of that name.
func show[T any](t *Telemetry, o metric.Observer, name string, of *T, families []figures.Family[T]) {
	for _, f := range families {
		for i := range f.Columns {
			column := &f.Columns[i]
			value := column.Read(of)
			if column.Rare && value == 0 {
				continue
			}
			o.ObserveFloat64(t.observables[f.Metric], value, t.attributesOf(f.Metric, name, column.Values...))
		}
	}
}

// attributesOf are the attributes of one series: the table's labels. The first of them is name.
func (t *Telemetry) attributesOf(id figures.ID, name string, values ...string) metric.MeasurementOption {
	labels := figures.Table[id].Labels
	attributes := make([]attribute.KeyValue, len(t.attributes), len(t.attributes)+len(labels))
	copy(attributes, t.attributes)
	for i, label := range labels {
		if i > 0 {
			name = values[i-1]
		}
		attributes = append(attributes, attribute.String(label, valid(name)))
	}
	return metric.WithAttributeSet(attribute.NewSet(attributes...)) // of two of one key the last counts
}

// valid makes a text fit for an attribute.
func valid(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }
