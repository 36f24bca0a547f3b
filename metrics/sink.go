package metrics

import (
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// page is all series of one breaker in the order in which a scrape shows them. Scrapes share pages and never write to
// them: most of what a scrape would cost is the making of labels, which are the same each time.
type page []series

// series is a line of a scrape but for its value.
type series struct {
	metric id
	values []string // of its labels, in the table's order
	desc   *prometheus.Desc
	labels []*dto.LabelPair
}

// sink takes the values of one page of one scrape.
type sink struct {
	c       *Collector
	out     chan<- prometheus.Metric
	page    page
	mine    bool     // no other scrape knows this page
	shown   int      // series so far
	samples []sample // made in one piece
}

// sink begins a page, of which p is what is known from an earlier scrape.
func (c *Collector) sink(out chan<- prometheus.Metric, p page) *sink {
	return &sink{c: c, out: out, page: p, samples: make([]sample, 0, len(p))}
}

// put shows a value.
func (s *sink) put(m id, value float64, values ...string) {
	if s.shown == len(s.page) || !s.page[s.shown].is(m, values) {
		if s.page = s.page[:s.shown]; !s.mine {
			s.page, s.mine = slices.Clone(s.page), true
		}
		s.page = append(s.page, s.c.series(m, slices.Clone(values)))
	}
	s.samples = append(s.samples, sample{&s.page[s.shown], value})
	s.out <- &s.samples[len(s.samples)-1]
	s.shown++
}

func (s *series) is(m id, values []string) bool {
	return s.metric == m && slices.Equal(s.values, values)
}

func (c *Collector) series(m id, values []string) series {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = label(v)
	}
	return series{m, values, c.descs[m], prometheus.MakeLabelPairs(c.descs[m], texts)}
}

// label makes a text fit for a label.
func label(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }

// oneHot shows 1 for the value that holds and 0 for the others, under the name of what has them.
func oneHot[T comparable](s *sink, m id, holds T, values []T, text func(T) string, name string) {
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
