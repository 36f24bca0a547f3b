package metrics

import (
	"maps"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/health"
)

// Breakers is what a Collector reads breakers from: a *breaker.Manager.
type Breakers interface{ Status() breaker.ManagerStatus }

// Checks is what a Collector reads active checks from: a *health.Monitor.
type Checks interface{ All() []health.Status }

// Collector shows one replica to Prometheus. It is a prometheus.Collector, to be registered once; all of its methods are
// safe for concurrent use. Several Managers of one process need a Collector each, told apart by [WithLabels].
type Collector struct {
	breakers Breakers
	checks   []Checks
	labels   prometheus.Labels
	limit    int
	descs    [metricCount]*prometheus.Desc
	hooks    hooks
}

// Option changes what a Collector shows.
type Option func(*Collector)

const defaultLimit = 1000

// WithHealth shows the checks of a Monitor too. It may be given for several; their checks' names must differ.
func WithHealth(c Checks) Option {
	return func(o *Collector) {
		if c != nil {
			o.checks = append(o.checks, c)
		}
	}
}

// WithLabels gives labels to every series, such as the fleet's name. A name that is one of the Collector's own labels, or
// none at all, is refused by the registry that the Collector is given to.
func WithLabels(l prometheus.Labels) Option {
	l = maps.Clone(l)
	return func(o *Collector) { o.labels = l }
}

// WithLimit bounds how many breakers are shown; the default is 1000, which n below 1 stands for too.
func WithLimit(n int) Option {
	return func(o *Collector) { o.limit = n }
}

// NewCollector makes a Collector of b's breakers. It starts nothing, and there is nothing to close. A nil b panics.
func NewCollector(b Breakers, opts ...Option) *Collector {
	if b == nil {
		panic("metrics: NewCollector needs a *breaker.Manager; it is nil")
	}
	c := &Collector{breakers: b}
	for _, opt := range opts {
		if opt != nil {
			opt(c)
		}
	}
	if c.limit < 1 {
		c.limit = defaultLimit
	}
	for i := range table {
		m := &table[i]
		c.descs[i] = prometheus.NewDesc(prefix+m.name, m.help, m.labels, c.labels)
	}
	c.hooks = newHooks(c.labels)
	return c
}

// Describe is for the registry.
func (c *Collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		out <- d
	}
}

// Collect is for the registry. It does no I/O.
func (c *Collector) Collect(out chan<- prometheus.Metric) {
	s := sink{c, out}
	s.replica(c.breakers.Status())
	for _, checks := range c.checks {
		for _, status := range checks.All() {
			s.check(status)
		}
	}
	c.hooks.collect(out)
}

// sink takes the values of one scrape.
type sink struct {
	c   *Collector
	out chan<- prometheus.Metric
}

// put shows a value, or, where Prometheus would not take it, why.
func (s sink) put(m id, value float64, labels ...string) {
	for i := range labels {
		labels[i] = label(labels[i])
	}
	shown, err := prometheus.NewConstMetric(s.c.descs[m], table[m].kind.value(), value, labels...)
	if err != nil {
		shown = prometheus.NewInvalidMetric(s.c.descs[m], err)
	}
	s.out <- shown
}

// oneHot shows 1 for the value that holds and 0 for the others. labels come before the value's.
func oneHot[T comparable](s sink, m id, holds T, values []T, text func(T) string, name string) {
	for _, v := range values {
		s.put(m, number(v == holds), name, text(v))
	}
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// label makes a text fit for a label.
func label(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }
