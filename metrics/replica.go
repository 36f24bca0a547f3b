package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/internal/figures"
)

func (c *Collector) latencies(out chan<- prometheus.Metric, l breaker.Latencies) {
	buckets := make(map[float64]uint64, len(l.Bounds))
	var count uint64
	for i, n := range l.Counts {
		count += n
		if i < len(l.Bounds) {
			buckets[l.Bounds[i].Seconds()] = count
		}
	}
	desc := c.descs[figures.ExchangeDuration]
	shown, err := prometheus.NewConstHistogram(desc, count, l.Sum.Seconds(), buckets)
	if err != nil {
		shown = prometheus.NewInvalidMetric(desc, err)
	}
	out <- shown
}
