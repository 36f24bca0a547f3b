package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/commontrip/commontrip/breaker"
)

// replica shows what a replica says of itself and its store.
func (c *Collector) replica(out chan<- prometheus.Metric, st *breaker.ManagerStatus, shown int) {
	c.put(out, replicaInfo, 1, st.Replica)
	c.put(out, breakers, float64(len(st.Breakers)))
	c.put(out, breakersLeftOut, float64(len(st.Breakers)-shown))
	c.put(out, storeUp, number(st.StoreUp))
	c.put(out, storeSilence, st.SinceExchange.Seconds())
	c.put(out, storeLosses, float64(st.StoreLosses))
	c.put(out, exchanges, float64(st.Exchanges))
	c.put(out, exchangeErrors, float64(st.ExchangeErrors))
	c.put(out, resyncs, float64(st.Resyncs))
	if c.pool != nil {
		n := c.pool.Connections()
		c.put(out, connections, float64(n.InUse), "in-use")
		c.put(out, connections, float64(n.Idle), "idle")
		c.put(out, connectionsMost, float64(n.Most))
		c.put(out, connectionWaits, float64(n.Waits))
	}
}

func (c *Collector) latencies(out chan<- prometheus.Metric, l breaker.Latencies) {
	buckets := make(map[float64]uint64, len(l.Bounds))
	var count uint64
	for i, n := range l.Counts {
		count += n
		if i < len(l.Bounds) {
			buckets[l.Bounds[i].Seconds()] = count
		}
	}
	desc := c.descs[exchangeDuration]
	shown, err := prometheus.NewConstHistogram(desc, count, l.Sum.Seconds(), buckets)
	if err != nil {
		shown = prometheus.NewInvalidMetric(desc, err)
	}
	out <- shown
}
