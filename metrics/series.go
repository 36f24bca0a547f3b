package metrics

import (
	"cmp"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/commontrip/commontrip/breaker"
)

// series is a line of a scrape but for its value.
type series struct {
	metric id
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
	if table[s.series.metric].kind == counter {
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
	for _, f := range families {
		for _, column := range f.columns {
			labels := slices.Concat(c.constant, column.labels, []*dto.LabelPair{breaker})
			slices.SortFunc(labels, func(a, b *dto.LabelPair) int { return cmp.Compare(a.GetName(), b.GetName()) })
			p.series = append(p.series, series{f.metric, c.descs[f.metric], labels})
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

// pair makes a label. Series share what they have in common, so that a registry, which reads every label of every series
// several times, finds it in the processor's cache.
func pair(name, value string) *dto.LabelPair {
	value = label(value)
	return &dto.LabelPair{Name: &name, Value: &value}
}

// label makes a text fit for a label.
func label(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }

// put shows a value that belongs to no breaker, with its labels' values in the table's order.
func (c *Collector) put(out chan<- prometheus.Metric, m id, value float64, values ...string) {
	for i, v := range values {
		values[i] = label(v)
	}
	out <- &sample{&series{m, c.descs[m], prometheus.MakeLabelPairs(c.descs[m], values)}, value}
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
