// A service, whole: settings from the environment, a shared store if CIRCUIT_BREAKER_STORE_URL names one, logs,
// metrics, the operators' page, and everything closed in the right order. Here it calls itself a few times and ends.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/config"
	"github.com/commontrip/commontrip/dashboard"
	"github.com/commontrip/commontrip/metrics"
	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis" // what a URL may name
	"github.com/commontrip/commontrip/transport/breakerhttp"
)

// fetchQuote stands for the call of a tier that is down.
func fetchQuote(context.Context) (string, error) { return "", errors.New("connection refused") }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))

	env, err := config.FromEnv() // all bad variables at once
	check(err)
	for _, name := range env.Unknown {
		logger.Warn("a variable that means nothing", "name", name, "meant", config.Nearest(name))
	}

	redisstore.LogClient(func(line string) { logger.Warn("redis client", "line", line) }) // else raw lines on standard error
	// Who made it closes it, in the order opposite to making; a stop takes at most that long.
	fleet, err := env.Store.Open()
	check(err)
	defer fleet.Close()
	m, err := breaker.NewManager(fleet, append(env.ManagerOptions(),
		breaker.WithListener(func(e breaker.Event) { logger.Info("breaker", "event", e) }))...)
	check(err)
	defer within(5*time.Second, m.Close) // reports what is pending
	quotes, err := m.Register(ctx, "quotes", breaker.WithPolicy(env.PolicyFor("quotes")))
	check(err)

	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics.NewCollector(m))
	board, err := dashboard.New(fleet, dashboard.WithManager(m)) // read-only until WithOperator says who commands
	check(err)

	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.Handle("/breakers/", http.StripPrefix("/breakers", board)) // behind what guards your inner pages
	mux.HandleFunc("/quote", func(w http.ResponseWriter, r *http.Request) {
		quote, err := breaker.Do(r.Context(), quotes, fetchQuote)
		switch {
		case breakerhttp.WriteError(w, err): // refused: 503, and when to come back
		case err != nil:
			http.Error(w, "no quote today", http.StatusBadGateway)
		default:
			_, _ = io.WriteString(w, quote)
		}
	})

	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	check(err)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(listener) }()
	defer within(5*time.Second, server.Shutdown)
	defer within(time.Second, board.Close) // ends its live streams, for which Shutdown would wait

	visit(ctx, "http://"+listener.Addr().String())
}

// visit is what callers, Prometheus and an operator see.
func visit(ctx context.Context, url string) {
	for range 6 {
		status, _ := get(ctx, url+"/quote")
		fmt.Println("/quote:", status)
	}
	_, text := get(ctx, url+"/metrics")
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "commontrip_state{") || strings.HasPrefix(line, `commontrip_refused_total{breaker="quotes",refusal="open"`) {
			fmt.Print("/metrics: ", line)
		}
	}
	_, text = get(ctx, url+"/breakers/api/breakers")
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

// within gives what is closed a time to end, however the service ended.
func within(d time.Duration, end func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	check(end(ctx))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
