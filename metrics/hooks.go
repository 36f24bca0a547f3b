package metrics

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/commontrip/commontrip/fallback"
	"github.com/commontrip/commontrip/internal/figures"
	"github.com/commontrip/commontrip/retry"
)

// hooks count what is only told while it happens.
type hooks struct {
	served, failed, passed, retries, waits *prometheus.CounterVec
	duration                               *prometheus.HistogramVec
}

func newHooks(labels prometheus.Labels) hooks {
	counters := func(m figures.ID) *prometheus.CounterVec {
		t := &figures.Table[m]
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: figures.Prefix + t.Name, Help: t.Help, ConstLabels: labels}, t.Labels)
	}
	t := &figures.Table[figures.FallbackDuration]
	return hooks{
		served: counters(figures.FallbackServed), failed: counters(figures.FallbackFailed), passed: counters(figures.FallbackPassed),
		retries: counters(figures.Retries), waits: counters(figures.RetryWaits),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: figures.Prefix + t.Name, Help: t.Help, ConstLabels: labels, Buckets: figures.FallbackBounds,
		}, t.Labels),
	}
}

func (h *hooks) collect(out chan<- prometheus.Metric) {
	for _, c := range []prometheus.Collector{h.served, h.failed, h.passed, h.duration, h.retries, h.waits} {
		c.Collect(out)
	}
}

// Fallback gives an observer of the chain of that name, for fallback.WithObserver. Chains of one name share their
// series; there is one a tier. It is safe for concurrent use.
func (c *Collector) Fallback(chain string) func(context.Context, fallback.Trace) {
	chain = label(chain)
	failed, duration := c.hooks.failed.WithLabelValues(chain), c.hooks.duration.WithLabelValues(chain)
	return func(_ context.Context, t fallback.Trace) {
		duration.Observe(t.Elapsed.Seconds())
		if t.Tier == "" {
			failed.Inc()
		} else {
			c.hooks.served.WithLabelValues(chain, label(t.Tier)).Inc()
		}
		for _, a := range t.Attempts {
			why := "failed"
			if a.Skipped {
				why = "skipped"
			}
			c.hooks.passed.WithLabelValues(chain, label(a.Tier), why).Inc()
		}
	}
}

// Retry gives a counter of the attempts after which another follows, for retry.WithOnRetry. Retriers of one name share
// their series. It is safe for concurrent use.
func (c *Collector) Retry(name string) func(retry.Attempt) {
	name = label(name)
	retries, waits := c.hooks.retries.WithLabelValues(name), c.hooks.waits.WithLabelValues(name)
	return func(a retry.Attempt) {
		retries.Inc()
		waits.Add(max(a.Wait, 0).Seconds())
	}
}
