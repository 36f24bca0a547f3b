package oteltrip_test

import (
	"context"
	"fmt"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/fallback"
	"github.com/commontrip/commontrip/retry"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

// BenchmarkCall tells what calls cost that are watched by nobody, by a Telemetry, and by one whose spans are recorded: of a closed
// and of an open breaker, and of a chain whose first tier is refused and whose second one serves.
func BenchmarkCall(b *testing.B) {
	provider := sdktrace.NewTracerProvider()
	b.Cleanup(func() { _ = provider.Shutdown(context.Background()) })
	o := newTelemetry(b)
	watched := []breaker.Option{breaker.WithObserver(o.Observer())}
	for _, how := range []struct {
		name     string
		breakers []breaker.Option
		chains   []fallback.Option
		retriers []retry.Option
		record   bool
	}{
		{"off", nil, nil, nil, false},
		{"on", watched, []fallback.Option{fallback.WithObserver(o.Fallback("docs"))}, []retry.Option{retry.WithObserver(o.Retry("docs"))}, false},
		{"recorded", watched, []fallback.Option{fallback.WithObserver(o.Fallback("docs"))}, []retry.Option{retry.WithObserver(o.Retry("docs"))}, true},
	} {
		closed, open := single(b, how.breakers), single(b, append(how.breakers, breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 1})))
		_ = open.Run(b.Context(), fail)
		again, err := retry.New(retry.Policy{}, how.retriers...)
		if err != nil {
			b.Fatal(err)
		}
		docs, err := fallback.New([]fallback.Tier[int, int]{
			{Name: "mcp", Guards: []fallback.Guard{open}, Call: serve}, {Name: "rest", Guards: []fallback.Guard{again, closed}, Call: serve},
		}, how.chains...)
		if err != nil {
			b.Fatal(err)
		}
		for _, call := range []struct {
			name string
			run  func(context.Context)
		}{
			{"closed", func(ctx context.Context) { _ = closed.Run(ctx, succeed) }},
			{"open", func(ctx context.Context) { _ = open.Run(ctx, succeed) }},
			{"fallback", func(ctx context.Context) { _, _ = docs.Do(ctx, 1) }},
		} {
			b.Run(call.name+"/"+how.name, func(b *testing.B) {
				ctx := context.Background()
				if how.record { // a span keeps 128 events; what is beyond costs the same but for the keeping
					recorded, span := provider.Tracer("bench").Start(ctx, "call")
					defer span.End()
					ctx = recorded
				}
				b.ReportAllocs()
				for b.Loop() {
					call.run(ctx)
				}
			})
		}
	}
}

func serve(context.Context, int) (int, error) { return 1, nil }

func single(b *testing.B, opts []breaker.Option) *breaker.Breaker {
	b.Helper()
	made, err := breaker.New("mcp", opts...)
	if err != nil {
		b.Fatal(err)
	}
	return made
}

// BenchmarkRead1000 tells what a reading of 1000 breakers costs, the SDK's part included.
func BenchmarkRead1000(b *testing.B) {
	o := newTelemetry(b)
	m, err := breaker.NewManager(memorystore.New())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = m.Close(context.Background()) })
	for i := range 1000 {
		if _, err := m.Register(b.Context(), fmt.Sprintf("tier-%04d", i)); err != nil {
			b.Fatal(err)
		}
	}
	o.watch(b, m)
	b.ReportAllocs()
	for b.Loop() {
		if len(o.metrics(b)) == 0 {
			b.Fatal("nothing was read")
		}
	}
}
