package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/config"
	"github.com/commontrip/commontrip/dashboard"
	"github.com/commontrip/commontrip/metrics"
	"github.com/commontrip/commontrip/store"
)

// Where parts in containers listen. A tier has a second port, which answers while the first is broken.
const (
	servicePort = ":8080"
	controlPort = ":8081"
)

// What replicas in containers do: calls of a tier last long enough that a script can see a probe under way.
const (
	containerTimeout = 3 * time.Second
	containerRate    = 10 // requests a second
)

// parts are the first arguments that make the binary a part of a fleet, until ctx ends. In containers (docker-compose.yml)
// these are `demo serve-tier`, `serve-replica`, `serve-page`, and `demo ask`, which is the client in an image that has no
// other.
var parts = map[string]func(ctx context.Context, args []string) error{
	replicaMark: replica, "serve-tier": serveTier, "serve-replica": serveReplica, "serve-page": servePage, "ask": ask,
}

// server is an HTTP server that has been started.
type server struct {
	url   string
	http  *http.Server
	ended chan error
}

func start(address string, s *http.Server) (*server, error) {
	l, err := net.Listen("tcp", address) //nolint:noctx // a moment
	if err != nil {
		return nil, err
	}
	started := &server{url: "http://" + l.Addr().String() + "/", http: s, ended: make(chan error, 1)}
	go func() { started.ended <- s.Serve(l) }()
	return started, nil
}

// close ends it; requests under way have a second.
func (s *server) close() error {
	ctx, done := context.WithTimeout(context.Background(), time.Second)
	defer done()
	if err := s.http.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if err := <-s.ended; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// servePart serves a part in a container until ctx ends.
func servePart(ctx context.Context, address string, mux *http.ServeMux) error {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "well") })
	s, err := start(address, &http.Server{Handler: mux, ReadHeaderTimeout: time.Second})
	if err != nil {
		return err
	}
	<-ctx.Done()
	return s.close()
}

// openPage serves the operator's page of a store. The caller closes it.
func openPage(s store.Store, address string, operator func(*http.Request) (string, error)) (*server, error) {
	page, err := dashboard.New(s, dashboard.WithOperator(operator))
	if err != nil {
		return nil, err
	}
	h := dashboard.NewServer(page)
	h.RegisterOnShutdown(func() { _ = page.Close(context.Background()) }) // ends the streams
	return start(address, h)
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
	page, err := openPage(fleet, servicePort, func(*http.Request) (string, error) { return "operator", nil })
	if err != nil {
		return err
	}
	<-ctx.Done()
	return page.close()
}

// serveReplica is a replica of the account service, which makes requests of itself: its tiers are given as NAME=URL, all else
// by the environment. It listens only once it holds the fleet's verdict.
//
//	/verdict  what it holds of each breaker: replica, breaker, state, fleet or own, generation, store up or away
//	/start    the same, before its first call
//	/served   how many requests each tier served, and how many nobody
//	/metrics  for Prometheus
func serveReplica(ctx context.Context, args []string) error {
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	spec := serviceSpec{Name: host, Timeout: containerTimeout}
	for _, name := range tierNames {
		for _, arg := range args {
			if url, ok := strings.CutPrefix(arg, name+"="); ok {
				spec.Tiers = append(spec.Tiers, endpoint{Name: name, URL: url})
			}
		}
	}
	if len(args) != len(tierNames) || len(spec.Tiers) != len(tierNames) {
		return fmt.Errorf("%q: want NAME=URL for each of %q", args, tierNames)
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
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	start := s.verdict()
	for path, say := range map[string]func() string{"/start": func() string { return start }, "/verdict": s.verdict, "/served": s.served} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, say()) })
	}
	var serving sync.WaitGroup
	defer serving.Wait()
	serving.Go(func() { arrivals(ctx, containerRate, s.serve) })
	return servePart(ctx, servicePort, mux)
}

// verdict is a line for each breaker.
func (s *service) verdict() string {
	var lines strings.Builder
	held, up := s.beliefs()
	rules, store := map[bool]string{true: "own", false: "fleet"}, map[bool]string{true: "up", false: "away"}
	for _, tier := range s.spec.Tiers {
		b := held[tier.Name]
		fmt.Fprintln(&lines, s.spec.Name, tier.Name, b.State, rules[b.Own], b.Generation, store[up])
	}
	return lines.String()
}

// served is a line for each tier that served a request.
func (s *service) served() string {
	var lines strings.Builder
	n := s.ways[0].read(false)
	for _, tier := range slices.Sorted(maps.Keys(n.Served)) {
		fmt.Fprintln(&lines, s.spec.Name, tier, n.Served[tier])
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
	method, body := http.MethodGet, ""
	if len(args) == 2 {
		method, body = http.MethodPost, args[1]
	}
	answer, err := fetch(ctx, method, args[0], body)
	fmt.Print(answer)
	return err
}
