package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/fallback"
	"github.com/commontrip/commontrip/metrics"
	"github.com/commontrip/commontrip/retry"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

// show prints the series of a registry that have one of these names and are not 0.
func show(registry *prometheus.Registry, names ...string) {
	families, err := registry.Gather()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			value := m.GetGauge().GetValue() + m.GetCounter().GetValue()
			if value == 0 || !strings.Contains(strings.Join(names, " ")+" ", f.GetName()+" ") {
				continue
			}
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			fmt.Println(f.GetName(), strings.Join(labels, " "), value)
		}
	}
}

func ExampleNewCollector() {
	ctx := context.Background()
	m, err := breaker.NewManager(memorystore.New())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close(ctx)
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics.NewCollector(m))

	mcp, err := m.Register(ctx, "mcp")
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 6 {
		_ = mcp.Run(ctx, func(context.Context) error { return errors.New("connection refused") })
	}
	show(registry, "commontrip_state", "commontrip_calls_total", "commontrip_refused_total", "commontrip_transitions_total")
	// Output:
	// commontrip_calls_total breaker=mcp outcome=failure 5
	// commontrip_refused_total breaker=mcp refusal=open 1
	// commontrip_state breaker=mcp state=open 1
	// commontrip_transitions_total breaker=mcp reason=consecutive-failures to=open 1
}

func ExampleCollector_Fallback() {
	ctx := context.Background()
	m, err := breaker.NewManager(memorystore.New())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close(ctx)
	registry := prometheus.NewRegistry()
	c := metrics.NewCollector(m)
	registry.MustRegister(c)

	docs, err := fallback.New([]fallback.Tier[int, string]{
		{Name: "mcp", Call: func(context.Context, int) (string, error) { return "", errors.New("down") }},
		{Name: "rest", Call: func(context.Context, int) (string, error) { return "served", nil }},
	}, fallback.WithObserver(c.Fallback("docs")))
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = docs.Do(ctx, 7)
	show(registry, "commontrip_fallback_served_total", "commontrip_fallback_passed_total")
	// Output:
	// commontrip_fallback_passed_total chain=docs tier=mcp why=failed 1
	// commontrip_fallback_served_total chain=docs tier=rest 1
}

func ExampleCollector_Retry() {
	ctx := context.Background()
	m, err := breaker.NewManager(memorystore.New())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close(ctx)
	registry := prometheus.NewRegistry()
	c := metrics.NewCollector(m)
	registry.MustRegister(c)

	again, err := retry.New(retry.Policy{Attempts: 3, Delay: 1}, retry.WithOnRetry(c.Retry("docs")))
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = again.Run(ctx, func(context.Context) error { return errors.New("busy") })
	show(registry, "commontrip_retries_total")
	// Output:
	// commontrip_retries_total retrier=docs 2
}
