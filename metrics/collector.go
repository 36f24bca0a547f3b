package metrics

import (
	"maps"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/health"
	"github.com/commontrip/commontrip/internal/figures"
	"github.com/commontrip/commontrip/store"
)

// Breakers is what a Collector reads breakers from: a *breaker.Manager.
type Breakers interface{ Status() breaker.ManagerStatus }

// Checks is what a Collector reads active checks from: a *health.Monitor.
type Checks interface{ All() []health.Status }

// Collector shows one replica to Prometheus. It is a prometheus.Collector, to be registered once; all of its methods are
// safe for concurrent use. Several Managers of one process need a Collector each, told apart by [WithLabels].
type Collector struct {
	breakers Breakers
	pool     store.Pooled // nil: the store tells of no connections
	checks   []Checks
	labels   prometheus.Labels
	constant []*dto.LabelPair // the labels
	limit    int
	descs    [len(figures.Table)]*prometheus.Desc
	hooks    hooks
	pages    atomic.Pointer[[]*page] // by name, of the last scrape
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
	c := &Collector{breakers: b, pool: figures.PoolOf(b)}
	for _, opt := range opts {
		if opt != nil {
			opt(c)
		}
	}
	if c.limit < 1 {
		c.limit = defaultLimit
	}
	for i := range figures.Table {
		m := &figures.Table[i]
		c.descs[i] = prometheus.NewDesc(figures.Prefix+m.Name, m.Help, m.Labels, c.labels)
	}
	for name, value := range c.labels {
		c.constant = append(c.constant, pair(name, value))
	}
	c.hooks = newHooks(c.labels)
	c.pages.Store(&[]*page{})
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
	show(c, out, st.Replica, &figures.Replica{ManagerStatus: &st, Shown: len(shown)}, figures.OfReplica)
	if c.pool != nil {
		n := c.pool.Connections()
		show(c, out, st.Replica, &n, figures.OfPool)
	}
	c.latencies(out, st.Latencies)
	c.rows(out, shown)
	for _, checks := range c.checks {
		for _, status := range checks.All() {
			show(c, out, status.Name, &status, figures.OfCheck)
		}
	}
	c.hooks.collect(out)
}

// rows shows the breakers.
func (c *Collector) rows(out chan<- prometheus.Metric, breakers []breaker.Status) {
	pages, rows := c.pagesOf(breakers), make([]figures.Breaker, len(breakers))
	for i := range breakers {
		rows[i] = figures.NewBreaker(&breakers[i])
	}
	first := 0 // of the family's series in a page
	for _, f := range figures.OfBreaker {
		samples := make([]sample, 0, len(rows)*len(f.Columns)) // one allocation for all
		for i := range rows {
			for j, column := range f.Columns {
				value := column.Read(&rows[i])
				if column.Rare && value == 0 {
					continue
				}
				samples = append(samples, sample{&pages[i].series[first+j], value})
				out <- &samples[len(samples)-1]
			}
		}
		first += len(f.Columns)
	}
}
