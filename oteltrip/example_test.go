package oteltrip_test

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/oteltrip"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

func Example() {
	ctx := context.Background()
	reader, spans := metric.NewManualReader(), tracetest.NewInMemoryExporter()
	t, err := oteltrip.New(oteltrip.WithMeterProvider(metric.NewMeterProvider(metric.WithReader(reader))))
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := breaker.NewManager(memorystore.New(), breaker.WithObserver(t.Observer()))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close(ctx)
	watching, err := t.Watch(m)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer watching.Unregister()
	mcp, err := m.Register(ctx, "mcp", breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 2}))
	if err != nil {
		fmt.Println(err)
		return
	}

	tracer := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans)).Tracer("example")
	called, span := tracer.Start(ctx, "fetch")
	for range 3 {
		_ = mcp.Run(called, func(context.Context) error { return errors.New("connection refused") })
	}
	span.End()

	for _, event := range spans.GetSpans()[0].Events {
		fmt.Println(event.Name, event.Attributes[1].Value.AsString())
	}
	var read metricdata.ResourceMetrics
	_ = reader.Collect(ctx, &read)
	for _, one := range read.ScopeMetrics[0].Metrics {
		if calls, ok := one.Data.(metricdata.Sum[float64]); ok && one.Name == "commontrip.calls" {
			total := 0.0
			for _, point := range calls.DataPoints { // one an outcome
				total += point.Value
			}
			fmt.Println(one.Name, one.Unit, total)
		}
	}
	// Output:
	// commontrip.refused open
	// commontrip.calls {call} 2
}
