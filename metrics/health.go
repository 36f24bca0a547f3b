package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/commontrip/commontrip/health"
)

var healths = []health.Health{health.Unknown, health.Up, health.Down}

// check shows one active check.
func (c *Collector) check(out chan<- prometheus.Metric, st *health.Status) {
	for _, h := range healths {
		c.put(out, healthState, number(st.Health == h), st.Name, h.String())
	}
	c.put(out, healthSince, timestamp(st.Since), st.Name)
	c.put(out, healthChecked, timestamp(st.Checked), st.Name)
	c.put(out, healthTook, st.Took.Seconds(), st.Name)
}
