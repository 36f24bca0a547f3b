package oteltrip_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/fallback"
	"github.com/commontrip/commontrip/retry"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

// traced runs f under a span, and gives the events that an exporter gets of it: the time since the span began, the name, and the
// attributes by name.
func traced(t *testing.T, f func(context.Context)) (events []string) {
	t.Helper()
	exporter := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
	defer func() { _ = provider.Shutdown(context.Background()) }()
	ctx, span := provider.Tracer("test").Start(t.Context(), "call")
	f(ctx)
	span.End()
	for _, s := range exporter.GetSpans() {
		for _, e := range s.Events {
			var attributes []string
			for _, a := range e.Attributes {
				attributes = append(attributes, fmt.Sprintf("%s=%s", a.Key, a.Value.String()))
			}
			slices.Sort(attributes)
			events = append(events, fmt.Sprintf("%v %s %s", e.Time.Sub(s.StartTime), e.Name, strings.Join(attributes, " ")))
		}
	}
	return events
}

func want(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("events:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func observed(t *testing.T, p breaker.Policy) *breaker.Breaker {
	t.Helper()
	b, err := breaker.New("mcp", breaker.WithPolicy(p), breaker.WithObserver(newTelemetry(t).Observer()))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func succeed(context.Context) error { return nil }
func fail(context.Context) error    { return context.DeadlineExceeded }

func TestRefusalsAndProbesAreEventsOfTheCallersSpan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := observed(t, breaker.Policy{ConsecutiveFailures: 2, OpenFor: time.Minute, Probes: 1, ProbeSuccesses: 1})
		want(t, traced(t, func(ctx context.Context) {
			_ = b.Run(ctx, succeed)
			_ = b.Run(ctx, fail)
			_ = b.Run(ctx, fail)
		}))
		want(t, traced(t, func(ctx context.Context) {
			<-time.After(15 * time.Second)
			_ = b.Run(ctx, succeed)
			<-time.After(45 * time.Second)
			_ = b.Run(ctx, fail)
		}), "15s commontrip.refused breaker=mcp reason=consecutive-failures refusal=open retry_after=45",
			"1m0s commontrip.probe breaker=mcp error.type=deadline outcome=failure slow=false")
		<-time.After(2 * time.Minute)
		want(t, traced(t, func(ctx context.Context) { _ = b.Run(ctx, succeed) }),
			"0s commontrip.probe breaker=mcp outcome=success slow=false")
	})
}

func TestRetriesAreEventsOfTheCallersSpan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		again, err := retry.New(retry.Policy{Attempts: 3, Delay: time.Second, Jitter: retry.NoJitter}, retry.WithObserver(newTelemetry(t).Retry("docs")))
		if err != nil {
			t.Fatal(err)
		}
		want(t, traced(t, func(ctx context.Context) { _ = again.Run(ctx, fail) }),
			"0s commontrip.retry attempt=1 error.type=deadline retrier=docs wait=1",
			"1s commontrip.retry attempt=2 error.type=deadline retrier=docs wait=2")
	})
}

func TestFallbacksAreEventsOfTheCallersSpanAtTheirTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ask := func(takes time.Duration, err *error) func(context.Context, int) (int, error) {
			return func(context.Context, int) (int, error) {
				<-time.After(takes)
				return 0, *err
			}
		}
		var none, mcp, rest error = nil, context.DeadlineExceeded, nil
		open := breaker.NewOpenError("sdk", breaker.RefusedOpen, time.Second)
		docs, err := fallback.New([]fallback.Tier[int, int]{
			{Name: "mcp", Call: ask(time.Second, &mcp)},
			{Name: "sdk", Guards: []fallback.Guard{refuser{open}}, Call: ask(time.Second, &none)},
			{Name: "rest", Call: ask(2*time.Second, &rest)},
		}, fallback.WithObserver(newTelemetry(t).Fallback("docs")))
		if err != nil {
			t.Fatal(err)
		}
		call := func(ctx context.Context) { _, _ = docs.Do(ctx, 1) }
		passed := []string{
			"1s commontrip.fallback_passed chain=docs error.type=deadline tier=mcp why=failed",
			"1s commontrip.fallback_passed chain=docs error.type=*breaker.OpenError tier=sdk why=skipped",
		}
		want(t, traced(t, call), append(passed, "3s commontrip.fallback_served chain=docs tier=rest")...)
		rest = errTier
		want(t, traced(t, call), append(passed,
			"3s commontrip.fallback_passed chain=docs error.type=unnamed error tier=rest why=failed",
			"3s commontrip.fallback_failed chain=docs")...)
		mcp = nil
		want(t, traced(t, call))
	})
}

// refuser is a guard that refuses.
type refuser struct{ err error }

func (r refuser) Run(context.Context, func(context.Context) error) error { return r.err }

// A call that goes through tells nobody anything, and pays nothing for it: recorded or not.
func TestACallThatIsServedCostsNoAllocation(t *testing.T) {
	o := newTelemetry(t)
	m, err := breaker.NewManager(memorystore.New(), breaker.WithObserver(o.Observer()))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close(t.Context())
	o.watch(t, m)
	b, err := m.Register(t.Context(), "mcp")
	if err != nil {
		t.Fatal(err)
	}
	again, err := retry.New(retry.Policy{}, retry.WithObserver(o.Retry("docs")))
	if err != nil {
		t.Fatal(err)
	}
	traced(t, func(recorded context.Context) {
		for _, ctx := range []context.Context{t.Context(), recorded} {
			for name, guard := range map[string]fallback.Guard{"breaker": b, "retrier": again} {
				if n := testing.AllocsPerRun(100, func() { _ = guard.Run(ctx, succeed) }); n != 0 {
					t.Errorf("%s: %v allocations, recorded: %t", name, n, trace.SpanFromContext(ctx).IsRecording())
				}
			}
		}
	})
}

// A refusal is the cheap answer of a tier that is down: it stays so while no span is recording.
func TestARefusalThatNobodyRecordsCostsNoAllocation(t *testing.T) {
	b := observed(t, breaker.Policy{ConsecutiveFailures: 1, OpenFor: time.Hour})
	_ = b.Run(t.Context(), fail)
	if n := testing.AllocsPerRun(100, func() { _ = b.Run(t.Context(), succeed) }); n != 0 || b.State() != breaker.Open {
		t.Errorf("%v allocations, %s", n, b.State())
	}
}
