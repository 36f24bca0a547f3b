// A service with all parts, as one would deploy it. Callers ask for a quote. Three tiers can give one, each behind guards of its
// own: tiers.go has them. Logs, traces and servers are in outside.go.
//
// Settings come from the environment: those of package config, and OpenTelemetry's own (OTEL_EXPORTER_OTLP_ENDPOINT, ...).
// Without flags it calls itself a few times and ends. With -listen it serves until it is told to end, as deploy/kubernetes runs it.
package main

import (
	"cmp"
	"context"
	"flag"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/config"
	"github.com/commontrip/commontrip/dashboard"
	"github.com/commontrip/commontrip/health"
	"github.com/commontrip/commontrip/metrics"
	"github.com/commontrip/commontrip/oteltrip"
	redisstore "github.com/commontrip/commontrip/store/redis" // what a URL may name
	"github.com/commontrip/commontrip/zaplog"
)

var (
	listen  = flag.String("listen", "", "the `address` for callers, such as :8080; without it the service calls itself and ends")
	inner   = flag.String("inner", "127.0.0.1:0", "the `address` of the inner pages: metrics, breakers, health")
	tier    = flag.String("tier", "", "the `URL` of the first tier; without it that tier is down")
	mirrors = flag.String("mirrors", "", "the `URLs` of the second tier's hosts, with commas between them")
)

func main() {
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	logger := newLogger()
	// What the environment does not set has these defaults. All bad variables are told at once.
	env, err := config.From(append([]string{"RETRY_ATTEMPTS=2", "RETRY_DELAY=50ms", "HEALTH_CHECK_INTERVAL=10s", "HEALTH_CHECK_TIMEOUT=2s"}, os.Environ()...))
	check(err)
	for _, name := range env.Unknown {
		logger.Warn("a variable that means nothing", zap.String("name", name), zap.String("meant", config.Nearest(name)))
	}

	// Who made it closes it, in the order opposite to making; each takes at most the time that is given.
	endTraces, err := startTraces(ctx)
	check(err)
	defer within(2*time.Second, endTraces)
	told, err := oteltrip.New() // events on spans; without a MeterProvider its metrics go nowhere, since Prometheus has them
	check(err)
	redisstore.LogClient(func(line string) { logger.Warn("redis client", zap.String("line", line)) }) // else raw lines on standard error
	fleet, err := env.Store.Open()
	check(err)
	defer fleet.Close()
	m, err := breaker.NewManager(fleet, append(env.ManagerOptions(),
		breaker.WithListener(zaplog.Listener(logger)), breaker.WithObserver(told.Observer()))...)
	check(err)
	defer within(5*time.Second, m.Close) // reports what is pending
	monitor, err := health.New(env.Health, nil, health.WithListener(zaplog.Health(logger)))
	check(err)
	collector := metrics.NewCollector(m, metrics.WithHealth(monitor))
	quotes, err := newQuotes(ctx, parts{env, m, monitor, collector, told})
	check(err)
	check(monitor.Start())
	defer within(time.Second, monitor.Close)

	registry := prometheus.NewRegistry()
	registry.MustRegister(collector)
	board, err := dashboard.New(fleet, dashboard.WithManager(m), dashboard.WithHealth(monitor)) // read-only until WithOperator says who commands
	check(err)
	pages := dashboard.NewServer(insidePages(registry, board, monitor)) // which has no WriteTimeout, since the page has live streams
	defer within(5*time.Second, pages.Shutdown)
	defer within(time.Second, board.Close) // ends its live streams, for which Shutdown would wait
	server := newServer(outsidePages(quotes))
	defer within(5*time.Second, server.Shutdown) // waits for the calls that are under way
	pagesURL, url := serve(ctx, *inner, pages), serve(ctx, cmp.Or(*listen, "127.0.0.1:0"), server)
	if *listen == "" {
		visit(ctx, url, pagesURL)
		return
	}
	logger.Info("serving", zap.String("callers", url), zap.String("inner pages", pagesURL))
	<-ctx.Done()
	logger.Info("ending")
}

// insidePages stand behind what guards your inner pages.
func insidePages(registry *prometheus.Registry, board http.Handler, monitor *health.Monitor) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.Handle("/breakers/", http.StripPrefix("/breakers", board))
	// Alive: it asks no tier and no store, which a restart would not mend.
	mux.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {})
	// Ready: the first tier is up, and its breaker lets calls through. It is for a balancer that has another place to send callers to.
	mux.Handle("/readyz", monitor.ReadyHandler(health.Readiness{Need: []string{"quotes"}, Breakers: true}))
	return mux
}

// within gives what is closed a time to end, however the service ended. What takes longer is left behind, so that the rest
// is closed too.
func within(d time.Duration, end func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	if err := end(ctx); err != nil {
		log.Print(err)
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
