// Package metrics shows breakers, health checks, fallback chains and retries to Prometheus.
//
//	m, err := breaker.NewManager(fleet)
//	c := metrics.NewCollector(m, metrics.WithHealth(monitor))
//	prometheus.MustRegister(c)
//	docs, err := fallback.New(tiers, fallback.WithObserver(c.Fallback("docs")))
//	again, err := retry.New(policy, retry.WithOnRetry(c.Retry("docs")))
//
// Breakers cost nothing more for being watched: they count anyway, and a scrape reads their Status without I/O, so that it
// neither waits for the store nor writes to it. The hooks of Fallback and Retry cost their calls a few atomic additions.
//
// # One replica, or the fleet
//
// Every replica exports what it did and what it knows of the fleet. The two are joined differently, and
// docs/metrics.md says for each metric how:
//
//   - What a replica did (commontrip_calls_total, commontrip_transitions_total, ...) is summed. A transition is counted by
//     the one replica whose report or probe made it, so that the sum over a fleet is the number of transitions.
//   - What a replica knows of the fleet (commontrip_fleet_..., commontrip_mode, commontrip_commands_total, ...) is the
//     same at each of them, give or take what is on its way: take the max.
//
// # What is always there
//
// States and modes are one-hot: one series a value, 1 or 0, so that a closed breaker is a 0 at "open" and not a gap.
// Counters of a breaker start at 0 with it, so that increase() sees the first event too.
//
// # Bounds
//
// A breaker is a fixed number of series, told in docs/metrics.md. A Collector shows at most 1000 breakers ([WithLimit]),
// the first by name, and tells in commontrip_breakers_left_out how many it does not show. No label holds an error, an address,
// or anything that comes with a call.
//
// # Single breakers
//
// A breaker made by breaker.New belongs to no Manager. If it is to be watched, make it with a Manager on a memory store: it
// behaves the same.
package metrics
