package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/metrics"
)

// containerTimeout bounds one call of a tier between containers: long enough that a script can see a probe under way.
const containerTimeout = 3 * time.Second

// serveReplica is a replica of the account service: its tiers are given as NAME=URL, all else by the environment. It
// listens only once it holds the fleet's verdict.
//
//	/accounts/ID  a request, which goes down the chain
//	/verdict      what it holds of each breaker: replica, breaker, state, fleet or own, generation, store up or away
//	/start        the same, before its first call
//	/metrics      for Prometheus
func serveReplica(ctx context.Context, args []string) error {
	spec := chainSpec{URLs: map[string]string{}, Timeout: containerTimeout}
	for _, arg := range args {
		name, url, ok := strings.Cut(arg, "=")
		if !ok || !slices.Contains(tierNames, name) {
			return fmt.Errorf("%q: want NAME=URL of %q", arg, tierNames)
		}
		spec.URLs[name] = url
	}
	if len(spec.URLs) != len(tierNames) {
		return fmt.Errorf("want a URL for each of %q", tierNames)
	}
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	work, err := newChainLoad(ctx, spec, newLogger(host), func(breaker.Event) {})
	if err != nil {
		return err
	}
	defer func() {
		last, done := context.WithTimeout(context.Background(), 2*time.Second)
		defer done()
		work.close(last)
	}()
	start := verdict(host, work)
	registry := prometheus.NewRegistry()
	if err := registry.Register(metrics.NewCollector(work.manager, metrics.WithHealth(work.monitor))); err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", well)
	mux.HandleFunc("GET /start", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, start) })
	mux.HandleFunc("GET /verdict", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, verdict(host, work)) })
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /accounts/{id}", work.answer)
	return listenUntil(ctx, servicePort, mux)
}

// verdict is a line for each breaker.
func verdict(host string, l *chainLoad) string {
	var lines strings.Builder
	store := "away"
	if l.manager.Status().StoreUp {
		store = "up"
	}
	for _, name := range tierNames {
		b := believe(l.breakers[name].Status())
		rules := "fleet"
		if b.Own {
			rules = "own"
		}
		fmt.Fprintln(&lines, host, name, b.State, rules, b.Generation, store)
	}
	return lines.String()
}

// answer serves a request by way of the chain, and says which tier did.
func (l *chainLoad) answer(w http.ResponseWriter, r *http.Request) {
	by, err := l.ask(r.Context(), r.PathValue("id"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	_, _ = fmt.Fprintln(w, by)
}
