package oteltrip

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/fallback"
	"github.com/commontrip/commontrip/internal/figures"
	"github.com/commontrip/commontrip/retry"
)

// Observer is for breaker.WithObserver: given to NewManager, it puts events for refusals and probes on the spans of the calls,
// and measures the exchanges with the store.
func (t *Telemetry) Observer() breaker.Observer {
	exchanges := t.attributesOf(figures.ExchangeDuration, "")
	return breaker.Observer{
		Refused: refused,
		Probed:  probed,
		Exchanged: func(took time.Duration) {
			t.histograms[figures.ExchangeDuration].Record(context.Background(), took.Seconds(), exchanges)
		},
	}
}

func refused(ctx context.Context, e *breaker.OpenError) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	about := []attribute.KeyValue{
		text("breaker", e.Name), text("refusal", string(e.Refusal)), attribute.Float64("retry_after", e.RetryAfter().Seconds()),
	}
	if e.Reason != "" {
		about = append(about, text("reason", string(e.Reason)))
	}
	span.AddEvent(prefix+"refused", trace.WithAttributes(about...))
}

func probed(ctx context.Context, p breaker.Probe) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	about := []attribute.KeyValue{text("breaker", p.Name), text("outcome", p.Outcome.String()), attribute.Bool("slow", p.Slow)}
	if p.Label != "" {
		about = append(about, text(errorType, p.Label))
	}
	span.AddEvent(prefix+"probe", trace.WithAttributes(about...))
}

// Retry gives an observer of the retrier of that name, for retry.WithObserver. It counts the attempts after which another
// follows, and puts an event for each on the span of the call. Retriers of one name share their metrics.
func (t *Telemetry) Retry(name string) func(context.Context, retry.Attempt) {
	retries, waits := t.attributesOf(figures.Retries, name), t.attributesOf(figures.RetryWaits, name)
	return func(ctx context.Context, a retry.Attempt) {
		t.counters[figures.Retries].Add(ctx, 1, retries)
		t.counters[figures.RetryWaits].Add(ctx, max(a.Wait, 0).Seconds(), waits)
		if span := trace.SpanFromContext(ctx); span.IsRecording() {
			span.AddEvent(prefix+"retry", trace.WithAttributes(
				text("retrier", name), attribute.Int("attempt", a.Number), attribute.Float64("wait", a.Wait.Seconds()), kind(a.Err)))
		}
	}
}

// Fallback gives an observer of the chain of that name, for fallback.WithObserver. It counts and times the requests, and puts an
// event for each tier that did not serve on the span of the call, and one for what came of it. Chains of one name share their
// metrics.
func (t *Telemetry) Fallback(chain string) func(context.Context, fallback.Trace) {
	of := newChain(t, chain)
	return func(ctx context.Context, got fallback.Trace) {
		of.measure(ctx, &got)
		if len(got.Attempts) > 0 {
			of.tell(trace.SpanFromContext(ctx), &got)
		}
	}
}

// chain is what is known of a chain of tiers.
type chain struct {
	*Telemetry
	name             string
	failed, duration metric.MeasurementOption
	served, passed   sync.Map // of metric.MeasurementOption, by tier and by pass: there are few, and each request needs some
}

// pass is how a tier did not serve.
type pass struct{ tier, why string }

func newChain(t *Telemetry, name string) *chain {
	return &chain{
		Telemetry: t, name: name,
		failed: t.attributesOf(figures.FallbackFailed, name), duration: t.attributesOf(figures.FallbackDuration, name),
	}
}

func passOf(a *fallback.Attempt) pass {
	if a.Skipped {
		return pass{a.Tier, "skipped"}
	}
	return pass{a.Tier, "failed"}
}

func (c *chain) measure(ctx context.Context, got *fallback.Trace) {
	c.histograms[figures.FallbackDuration].Record(ctx, got.Elapsed.Seconds(), c.duration)
	if got.Tier == "" {
		c.counters[figures.FallbackFailed].Add(ctx, 1, c.failed)
	} else {
		served := kept(&c.served, got.Tier, func() metric.MeasurementOption {
			return c.attributesOf(figures.FallbackServed, c.name, got.Tier)
		})
		c.counters[figures.FallbackServed].Add(ctx, 1, served)
	}
	for i := range got.Attempts {
		p := passOf(&got.Attempts[i])
		passed := kept(&c.passed, p, func() metric.MeasurementOption {
			return c.attributesOf(figures.FallbackPassed, c.name, p.tier, p.why)
		})
		c.counters[figures.FallbackPassed].Add(ctx, 1, passed)
	}
}

// kept gives what is kept under a key, made when it is first asked for.
func kept[K comparable](in *sync.Map, key K, build func() metric.MeasurementOption) metric.MeasurementOption {
	found, ok := in.Load(key)
	if !ok {
		found, _ = in.LoadOrStore(key, build())
	}
	option, _ := found.(metric.MeasurementOption)
	return option
}

// tell puts what happened on the span, each thing with the time at which it did.
func (c *chain) tell(span trace.Span, got *fallback.Trace) {
	if !span.IsRecording() {
		return
	}
	end := time.Now()
	at := end.Add(-got.Elapsed)
	for i := range got.Attempts {
		a := &got.Attempts[i]
		at = at.Add(a.Elapsed)
		span.AddEvent(prefix+"fallback_passed", trace.WithTimestamp(at), trace.WithAttributes(
			text("chain", c.name), text("tier", a.Tier), text("why", passOf(a).why), kind(a.Err)))
	}
	if got.Tier == "" {
		span.AddEvent(prefix+"fallback_failed", trace.WithTimestamp(end), trace.WithAttributes(text("chain", c.name)))
	} else {
		span.AddEvent(prefix+"fallback_served", trace.WithTimestamp(end), trace.WithAttributes(text("chain", c.name), text("tier", got.Tier)))
	}
}

// errorType is the key of the semantic conventions for what kind of error it is.
const errorType = "error.type"

func kind(err error) attribute.KeyValue { return text(errorType, breaker.DefaultErrorLabel(err)) }

func text(key, value string) attribute.KeyValue { return attribute.String(key, valid(value)) }
