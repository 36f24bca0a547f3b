// A service, whole: settings from the environment, a shared store if CIRCUIT_BREAKER_STORE_URL names one, logs,
// metrics, the operators' page, and everything closed in the right order. Without flags it calls itself a few times and
// ends. With -listen it serves until it is told to end, as deploy/kubernetes runs it.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
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

var (
	listen = flag.String("listen", "", "the `address` for callers, such as :8080; without it the service calls itself and ends")
	inner  = flag.String("inner", "127.0.0.1:0", "the `address` of the inner pages: metrics, breakers, health")
	tier   = flag.String("tier", "", "the `URL` of the tier that is called; without it the tier is down")
)

// fetchQuote calls the tier.
func fetchQuote(ctx context.Context) (string, error) {
	if *tier == "" {
		return "", errors.New("connection refused")
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, *tier, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if err := breakerhttp.CheckResponse(resp); err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return string(text), err
}

func main() {
	flag.Parse()
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

	inside := http.NewServeMux()
	inside.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	inside.Handle("/breakers/", http.StripPrefix("/breakers", board))          // behind what guards your inner pages
	inside.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {}) // asks no tier and no store
	pages, pagesURL := serve(ctx, *inner, inside)
	defer within(5*time.Second, pages.Shutdown)
	defer within(time.Second, board.Close) // ends its live streams, for which Shutdown would wait

	outside := http.NewServeMux()
	outside.HandleFunc("/quote", func(w http.ResponseWriter, r *http.Request) {
		quote, err := breaker.Do(r.Context(), quotes, fetchQuote)
		switch {
		case breakerhttp.WriteError(w, err): // refused: 503, and when to come back
		case err != nil:
			http.Error(w, "no quote today", http.StatusBadGateway)
		default:
			_, _ = io.WriteString(w, quote)
		}
	})
	server, url := serve(ctx, cmp.Or(*listen, "127.0.0.1:0"), outside)
	defer within(5*time.Second, server.Shutdown)
	if *listen == "" {
		visit(ctx, url, pagesURL)
		return
	}
	logger.Info("serving", "callers", url, "inner pages", pagesURL)
	<-ctx.Done()
}

// serve starts a server, and says where it answers.
func serve(ctx context.Context, address string, h http.Handler) (*http.Server, string) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	check(err)
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(listener) }()
	return server, "http://" + listener.Addr().String()
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
