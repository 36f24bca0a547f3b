package breakerhttp_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/commontrip/commontrip/breaker"
	memorystore "github.com/commontrip/commontrip/store/memory"
	"github.com/commontrip/commontrip/transport/breakerhttp"
)

func newManager(t *testing.T, opts ...breaker.ManagerOption) *breaker.Manager {
	t.Helper()
	s := memorystore.New()
	m, err := breaker.NewManager(s, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
		_ = s.Close()
	})
	return m
}

type picker = func(*http.Request) (*breaker.Breaker, error)

func pick(t *testing.T, p picker, url string) *breaker.Breaker {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := p(req)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPerHostGivesEachHostItsOwnBreakerUpToTheLimit(t *testing.T) {
	m := newManager(t)
	p := breakerhttp.PerHost(m, 2, breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 7}))
	for url, want := range map[string]string{"http://a/x": "http:a", "http://b:81/y": "http:b:81"} {
		if got := pick(t, p, url); got.Name() != want {
			t.Errorf("%s has %q, want %q", url, got.Name(), want)
		}
	}
	shared := pick(t, p, "http://c/")
	if shared.Name() != "http:*" || pick(t, p, "http://d/") != shared {
		t.Errorf("beyond the limit: %q, and another for the next host; want one shared http:*", shared.Name())
	}
	if a := pick(t, p, "https://A:443/z"); a.Name() != "http:a" {
		t.Errorf("a host that came in before the limit has %q later", a.Name())
	}
	if got := m.Names(); !slices.Equal(got, []string{"http:*", "http:a", "http:b:81"}) {
		t.Errorf("registered are %q", got)
	}
	if got := shared.Status().Fleet.Policy.ConsecutiveFailures; got != 7 {
		t.Errorf("the options did not reach the breaker: ConsecutiveFailures is %d, want 7", got)
	}
}

func TestPerHostSharesOneBreakerWhereTheNameWouldNotBeValid(t *testing.T) {
	p := breakerhttp.PerHost(newManager(t), 10)
	for _, host := range []string{"", strings.Repeat("x", 300), "a\x00b", "\xff"} {
		r := &http.Request{Host: host}
		b, err := p(r)
		if err != nil || b.Name() != "http:*" {
			t.Errorf("host %.20q: %v, %v; want http:*", host, b, err)
		}
	}
	if b := pick(t, p, "http://valid/"); b.Name() != "http:valid" {
		t.Errorf("what could have no name took the place of %q", b.Name())
	}
}

func TestPerHostWithoutRoomSharesOneBreaker(t *testing.T) {
	p := breakerhttp.PerHost(newManager(t), 0)
	if a, b := pick(t, p, "http://a/"), pick(t, p, "http://b/"); a != b || a.Name() != "http:*" {
		t.Errorf("breakers are %q and %q", a.Name(), b.Name())
	}
}

func TestPerHostInAServerGoesByTheHostThatTheClientCalled(t *testing.T) {
	p := breakerhttp.PerHost(newManager(t), 10)
	r := httptest.NewRequest(http.MethodGet, "/path", nil)
	r.Host, r.TLS = "Shop.Example.com:443", &tls.ConnectionState{}
	b, err := p(r)
	if err != nil || b.Name() != "http:shop.example.com" {
		t.Errorf("breaker is %v, %v", b, err)
	}
}

// Elsewhere two first requests at once made two breakers of one name, each blind to the other's calls.
func TestPerHostMakesOneBreakerHoweverManyAskAtOnce(t *testing.T) {
	const hosts, limit, callers = 8, 5, 200
	m := newManager(t)
	p := breakerhttp.PerHost(m, limit)
	var mu sync.Mutex
	seen := map[string]map[*breaker.Breaker]bool{}
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://host-%d/", i%hosts), nil)
			b, err := p(req)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if seen[b.Name()] == nil {
				seen[b.Name()] = map[*breaker.Breaker]bool{}
			}
			seen[b.Name()][b] = true
		})
	}
	wg.Wait()
	if len(m.Names()) != limit+1 || len(seen) != limit+1 {
		t.Errorf("%d breakers were made and %d used, want %d of either", len(m.Names()), len(seen), limit+1)
	}
	for name, breakers := range seen {
		if len(breakers) != 1 {
			t.Errorf("%s is %d breakers", name, len(breakers))
		}
	}
}

func TestPerHostTripsOneHostAndNotTheOther(t *testing.T) {
	m := newManager(t)
	p := breakerhttp.PerHost(m, 10, breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 1}))
	good := serve(t, func(http.ResponseWriter, *http.Request) {})
	bad := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	client := clientOf(t, nil, breakerhttp.WithPick(p))
	for _, url := range []string{bad, good} {
		resp, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	if pick(t, p, bad).State() != breaker.Open || pick(t, p, good).State() != breaker.Closed {
		t.Errorf("the bad host is %v and the good one %v", pick(t, p, bad).State(), pick(t, p, good).State())
	}
}

func TestPerHostTakesNoPlaceForAHostThatCouldNotBeRegistered(t *testing.T) {
	m := newManager(t)
	bad := breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: -1})
	p := breakerhttp.PerHost(m, 1, bad)
	for _, host := range []string{"a", "b"} {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host+"/", nil)
		if b, err := p(req); err == nil {
			t.Fatalf("%s got %q under a policy that is not valid", host, b.Name())
		} else if strings.Contains(err.Error(), "http:*") {
			t.Errorf("%s was sent to the shared breaker: %v", host, err)
		}
	}
}
