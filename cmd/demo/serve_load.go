package main

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/commontrip/commontrip/config"
	"github.com/commontrip/commontrip/dashboard"
)

// loadRate is how many requests a second all replicas together get.
const loadRate = 50

// users send requests to whatever replicas there are, and count who served them.
type users struct {
	service *url.URL // of the replicas; its host stands for all of them

	mu     sync.Mutex
	served map[string]int // by tier; nobody: those that failed
}

// serveLoad is the users, at the URL given, and the operator's page. It reads the store; it is no replica.
//
//	/          the dashboard, with its buttons
//	/replicas  every replica's /verdict, one after the other
//	/starts    every replica's /start
//	/store     what the store says: breaker, state, generation, probes under way, who made it so
//	/served    how many requests each tier served, and how many nobody
func serveLoad(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%q: want the URL of the replicas", args)
	}
	service, err := url.Parse(args[0])
	if err != nil {
		return err
	}
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
	u := &users{service: service, served: map[string]int{}}
	mux := http.NewServeMux()
	mux.Handle("/", page)
	mux.HandleFunc("GET /healthz", well)
	mux.HandleFunc("GET /replicas", u.gather("/verdict"))
	mux.HandleFunc("GET /starts", u.gather("/start"))
	mux.HandleFunc("GET /served", u.tell)
	mux.HandleFunc("GET /store", func(w http.ResponseWriter, r *http.Request) {
		all, err := fleet.Read(r.Context())
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		for _, s := range all {
			_, _ = fmt.Fprintln(w, s.Name, s.State, s.Generation, s.Probing, s.Cause)
		}
	})
	var sending sync.WaitGroup
	defer sending.Wait()
	sending.Go(func() { arrivals(ctx, loadRate, u.send) })
	return listenUntil(ctx, servicePort, mux)
}

// replicas asks the name service for all that there are now.
func (u *users) replicas(ctx context.Context) []string {
	addresses, _ := net.DefaultResolver.LookupHost(ctx, u.service.Hostname())
	slices.Sort(addresses)
	return addresses
}

// at is a URL of one replica.
func (u *users) at(address, path string) string {
	return u.service.Scheme + "://" + net.JoinHostPort(address, u.service.Port()) + path
}

// send makes one request of a replica drawn at random.
func (u *users) send(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 4*containerTimeout) // every tier of the chain may have to time out
	defer cancel()
	by := nobody
	if all := u.replicas(ctx); len(all) > 0 {
		chosen := all[rand.IntN(len(all))] //nolint:gosec // no secret
		if answer, err := fetch(ctx, http.MethodGet, u.at(chosen, "/accounts/42"), ""); err == nil {
			by = strings.TrimSpace(answer)
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.served[by]++
}

// gather answers with what every replica says at path. One that does not is named, without a word.
func (u *users) gather(path string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		all := u.replicas(ctx)
		said := make([]string, len(all))
		var asking sync.WaitGroup
		for i, address := range all {
			asking.Go(func() {
				var err error
				if said[i], err = fetch(ctx, http.MethodGet, u.at(address, path), ""); err != nil {
					said[i] = address + "\n"
				}
			})
		}
		asking.Wait()
		_, _ = fmt.Fprint(w, strings.Join(said, ""))
	}
}

func (u *users) tell(w http.ResponseWriter, _ *http.Request) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, tier := range slices.Sorted(maps.Keys(u.served)) {
		name := tier
		if tier == nobody {
			name = "nobody"
		}
		_, _ = fmt.Fprintln(w, name, u.served[tier])
	}
}
