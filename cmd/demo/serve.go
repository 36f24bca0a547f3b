package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/config"
	"github.com/commontrip/commontrip/dashboard"
	"github.com/commontrip/commontrip/metrics"
)

// What parts in containers do.
const (
	servicePort      = ":8080"
	controlPort      = ":8081"         // of a tier, which answers there while the other port is broken
	containerTimeout = 3 * time.Second // of one call of a tier: long enough that a script can see a probe under way
	containerRate    = 10              // requests a second that a replica makes of itself
)

// parts are the first arguments that make the binary a part of a fleet, until ctx ends. In containers (docker-compose.yml)
// these are `demo serve-tier`, `serve-replica`, `serve-page`, and `demo ask`, which is the client in an image that has no
// other.
var parts = map[string]func(ctx context.Context, args []string) error{
	replicaMark: replica, "serve-tier": serveTier, "serve-replica": serveReplica, "serve-page": servePage, "ask": ask,
}

// serve serves until ctx ends; requests under way then have a second.
func serve(ctx context.Context, l net.Listener, server *http.Server) error {
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	last, done := context.WithTimeout(context.Background(), time.Second)
	defer done()
	if err := server.Shutdown(last); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// servePart serves a part in a container, and its healthcheck.
func servePart(ctx context.Context, port string, mux *http.ServeMux) error {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "well") })
	l, err := net.Listen("tcp", port) //nolint:noctx // a moment
	if err != nil {
		return err
	}
	return serve(ctx, l, &http.Server{Handler: mux, ReadHeaderTimeout: time.Second})
}

// servePage is the operator's page, with its buttons, in a container.
func servePage(ctx context.Context, _ []string) error {
	c, err := config.FromEnv()
	if err != nil {
		return err
	}
	fleet, err := c.Store.Open()
	if err != nil {
		return err
	}
	defer fleet.Close()
	page, err := dashboard.New(fleet, dashboard.WithOperator(func(*http.Request) (string, error) { return "operator", nil }))
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/", page)
	return servePart(ctx, servicePort, mux)
}

// serveReplica is a replica of the account service, which makes requests of itself: its tiers are given as NAME=URL in the
// order in which they are asked, all else by the environment. It listens only once it holds the fleet's verdict.
//
//	/verdict  a line for each tier: replica, tier, state, fleet or own, generation, store up or away, requests served
//	/start    the same, before its first call
//	/metrics  for Prometheus
func serveReplica(ctx context.Context, args []string) error {
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	spec := serviceSpec{Name: host, Timeout: containerTimeout}
	for _, arg := range args {
		name, url, _ := strings.Cut(arg, "=")
		if url == "" {
			return fmt.Errorf("%q: want NAME=URL", arg)
		}
		spec.Tiers = append(spec.Tiers, endpoint{Name: name, URL: url})
	}
	s, err := newService(ctx, spec, func(breaker.Event) {})
	if err != nil {
		return err
	}
	defer s.close()
	registry := prometheus.NewRegistry()
	if err := registry.Register(metrics.NewCollector(s.manager, metrics.WithHealth(s.monitor))); err != nil {
		return err
	}
	start := s.verdict()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /start", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, start) })
	mux.HandleFunc("GET /verdict", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, s.verdict()) })
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	var serving sync.WaitGroup
	defer serving.Wait()
	serving.Go(func() { arrivals(ctx, containerRate, s.serve) })
	return servePart(ctx, servicePort, mux)
}

// verdict is a line for each tier.
func (s *service) verdict() string {
	var lines strings.Builder
	held, up := s.beliefs()
	rules, store := map[bool]string{true: "own", false: "fleet"}, map[bool]string{true: "up", false: "away"}
	n := s.ways[0].read(false)
	for _, tier := range s.spec.Tiers {
		b := held[tier.Name]
		fmt.Fprintln(&lines, s.spec.Name, tier.Name, b.State, rules[b.Own], b.Generation, store[up], n.Served[tier.Name])
	}
	return lines.String()
}

// ask prints what a URL answers; anything but 200 is an error. With a second argument it posts that, else it gets.
func ask(ctx context.Context, args []string) error {
	if len(args) < 1 || len(args) > 2 {
		return errors.New("want a URL, and a text if it is to be posted")
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	answer, err := fetch(ctx, args[0], strings.Join(args[1:], ""))
	fmt.Print(answer)
	return err
}
