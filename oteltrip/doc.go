// Package oteltrip shows breakers, health checks, fallback chains and retries to OpenTelemetry: as metrics, and as events on the
// spans of the calls.
//
//	t, err := oteltrip.New() // of the global MeterProvider
//	m, err := breaker.NewManager(fleet, breaker.WithObserver(t.Observer()))
//	watching, err := t.Watch(m, monitor)
//	defer watching.Unregister()
//	docs, err := fallback.New(tiers, fallback.WithObserver(t.Fallback("docs")))
//	again, err := retry.New(policy, retry.WithObserver(t.Retry("docs")))
//
// It needs OpenTelemetry's API only. The service brings the SDK, and says what is sent, how often and to whom.
//
// # Metrics
//
// They are those of package metrics, in the same words: docs/opentelemetry.md tells the names, and how replicas are joined.
// Breakers cost nothing more for being watched: they count anyway, and a reading looks at their Status without I/O. What is
// only told while it happens (fallbacks, retries, exchanges with the store) is measured then.
//
// # Events
//
// If the context of a call has a span that is recording, the span gets an event for each refusal, probe, retry, and tier that
// did not serve. Calls that simply go through are not told. A closed breaker's calls cost nothing more, and no error's text is
// shown, which may hold addresses and credentials: error.type names its kind.
package oteltrip
