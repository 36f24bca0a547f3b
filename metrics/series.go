package metrics

import (
	"cmp"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/internal/figures"
)

// series is a line of a scrape but for its value.
type series struct {
	metric figures.ID
	desc   *prometheus.Desc
	labels []*dto.LabelPair // by name
}

// sample is a prometheus.Metric.
type sample struct {
	series *series
	value  float64
}

// Desc is for the registry.
func (s *sample) Desc() *prometheus.Desc { return s.series.desc }

// Write is for the registry.
func (s *sample) Write(m *dto.Metric) error {
	m.Label = s.series.labels
	if figures.Table[s.series.metric].Kind == figures.Counter {
		m.Counter = &dto.Counter{Value: &s.value}
	} else {
		m.Gauge = &dto.Gauge{Value: &s.value}
	}
	return nil
}

// page is all series of one breaker, in the order of families and their columns. Scrapes share pages and never write to
// them: most of what a scrape would cost is the making of labels, which are the same each time.
type page struct {
	name   string
	series []series
}

func (c *Collector) newPage(name string) *page {
	p := &page{name, make([]series, 0, columnCount)}
	breaker := pair("breaker", name)
	for i, f := range figures.OfBreaker {
		for j := range f.Columns {
			labels := slices.Concat(c.constant, shared[i][j], []*dto.LabelPair{breaker})
			slices.SortFunc(labels, func(a, b *dto.LabelPair) int { return cmp.Compare(a.GetName(), b.GetName()) })
			p.series = append(p.series, series{f.Metric, c.descs[f.Metric], labels})
		}
	}
	return p
}

// pagesOf gives each breaker its page: the last scrape's, if it had one.
func (c *Collector) pagesOf(breakers []breaker.Status) []*page {
	known, pages := *c.pages.Load(), make([]*page, len(breakers))
	for i := range breakers {
		name := breakers[i].Name
		for len(known) > 0 && known[0].name < name { // both are by name
			known = known[1:]
		}
		if len(known) > 0 && known[0].name == name {
			pages[i] = known[0]
		} else {
			pages[i] = c.newPage(name)
		}
	}
	c.pages.Store(&pages)
	return pages
}

// shared are the labels that the columns of figures.OfBreaker have beside the breaker's name, and columnCount is their number.
// All breakers' series share them, so that a registry, which reads every label of every series several times, finds them in the
// processor's cache.
var shared, columnCount = func() (all [][][]*dto.LabelPair, n int) {
	for _, f := range figures.OfBreaker {
		var family [][]*dto.LabelPair
		for _, column := range f.Columns {
			var labels []*dto.LabelPair
			for i, value := range column.Values {
				labels = append(labels, pair(figures.Table[f.Metric].Labels[1+i], value))
			}
			family = append(family, labels)
			n++
		}
		all = append(all, family)
	}
	return all, n
}()

// pair makes a label.
func pair(name, value string) *dto.LabelPair {
	value = label(value)
	return &dto.LabelPair{Name: &name, Value: &value}
}

// label makes a text fit for a label.
func label(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }

// show shows what belongs to no breaker: of a replica, or of a check of that name.
func show[T any](c *Collector, out chan<- prometheus.Metric, name string, of *T, families []figures.Family[T]) {
	for _, f := range families {
		desc, names := c.descs[f.Metric], figures.Table[f.Metric].Labels
		for _, column := range f.Columns {
			values := slices.Concat([]string{label(name)}, column.Values)
			labels := prometheus.MakeLabelPairs(desc, values[:len(names)])
			out <- &sample{&series{f.Metric, desc, labels}, column.Read(of)}
		}
	}
}
