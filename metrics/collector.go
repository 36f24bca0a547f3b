package metrics

import (
	"maps"
	"sync/atomic"

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
	pages    atomic.Pointer[map[string]page] // by breaker, of the last scrape
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
	c.pages.Store(&map[string]page{})
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
	st := c.breakers.Status()
	shown := st.Breakers[:min(len(st.Breakers), c.limit)]
	c.sink(out, nil).replica(&st, len(shown))
	c.latencies(out, st.Latencies)
	known, pages := *c.pages.Load(), make(map[string]page, len(shown))
	for i := range shown {
		s := c.sink(out, known[shown[i].Name])
		s.breaker(&shown[i])
		pages[shown[i].Name] = s.page
	}
	c.pages.Store(&pages)
	for _, checks := range c.checks {
		for _, status := range checks.All() {
			c.sink(out, nil).check(&status)
		}
	}
	c.hooks.collect(out)
}
