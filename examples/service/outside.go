package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/commontrip/commontrip/fallback"
	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/transport/breakerhttp"
)

// newLogger writes a line of JSON for each thing worth one.
func newLogger() *zap.Logger {
	encoder := zap.NewProductionEncoderConfig()
	encoder.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	return zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(encoder), zapcore.Lock(os.Stderr), zap.InfoLevel))
}

// startTraces sends spans to OTEL_EXPORTER_OTLP_ENDPOINT, under the name in OTEL_SERVICE_NAME. Without an endpoint no
// span is made.
func startTraces(ctx context.Context) (end func(context.Context) error, _ error) {
	if os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" {
		return func(context.Context) error { return nil }, nil
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, err
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter))
	otel.SetTracerProvider(provider)
	otel.SetTextMapPropagator(propagation.TraceContext{})
	return provider.Shutdown, nil
}

// outsidePages are what callers see.
func outsidePages(quotes *fallback.Chain[nothing, string]) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/quote", func(w http.ResponseWriter, r *http.Request) {
		quote, trace, err := quotes.Trace(r.Context(), nothing{})
		switch {
		case breakerhttp.WriteError(w, err): // 503, and when to come back
		case err != nil:
			http.Error(w, "no quote today", http.StatusBadGateway)
		default:
			w.Header().Set("Quote-From", trace.Tier)
			_, _ = io.WriteString(w, quote)
		}
	})
	return otelhttp.NewHandler(mux, "quote")
}

// newServer makes a server for callers. One who is slow, or says nothing, holds no connection for long. The chain takes 4 s at most,
// which is less than WriteTimeout.
func newServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 20 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 64 << 10,
	}
}

// serve starts a server, and says where it answers.
func serve(ctx context.Context, address string, server *http.Server) string {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	check(err)
	go func() { _ = server.Serve(listener) }()
	return "http://" + listener.Addr().String()
}

// visit is what callers, Prometheus and an operator see.
func visit(ctx context.Context, url, pages string) {
	for range 6 {
		status, _ := get(ctx, url+"/quote")
		fmt.Println("/quote:", status)
	}
	_, text := get(ctx, pages+"/metrics")
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "commontrip_state{") || strings.HasPrefix(line, `commontrip_refused_total{breaker="quotes",refusal="open"`) {
			fmt.Print("/metrics: ", line)
		}
	}
	_, text = get(ctx, pages+"/breakers/api/breakers")
	var snapshots []store.Snapshot
	check(json.Unmarshal([]byte(text), &snapshots))
	fmt.Println("/breakers/:", snapshots[0].Name, "is", snapshots[0].State, "by", snapshots[0].Reason)
}

func get(ctx context.Context, url string) (status, text string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	check(err)
	resp, err := http.DefaultClient.Do(req)
	check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	check(err)
	if resp.Header.Get("Retry-After") != "" {
		return resp.Status + ", with Retry-After", string(body)
	}
	return resp.Status, string(body)
}
