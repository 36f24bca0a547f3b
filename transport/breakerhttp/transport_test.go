package breakerhttp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/transport/breakerhttp"
)

func TestTransportCountsByStatus(t *testing.T) {
	for status, want := range map[int]count{
		200: success, 204: success, 304: success, 400: success, 404: success, 418: success, 499: success,
		429: failure, 500: failure, 501: success, 502: failure, 503: failure, 504: failure, 599: failure,
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			b := newBreaker(t)
			url := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
			resp, err := clientOf(t, b).Get(url)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != status {
				t.Errorf("status is %d, want %d as the tier sent it", resp.StatusCode, status)
			}
			wantCount(t, b, want)
		})
	}
}

func TestTransportCountsAConnectionThatFailsAsAFailure(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close() // nobody listens there any more
	b := newBreaker(t)
	resp, err := clientOf(t, b).Get("http://" + l.Addr().String())
	if err == nil {
		_ = resp.Body.Close()
		t.Fatal("no error")
	}
	if errors.Is(err, breaker.ErrOpen) {
		t.Errorf("error is %v, want the tier's", err)
	}
	wantCount(t, b, failure)
}

func TestTransportIgnoresARequestThatItsCallerCancelled(t *testing.T) {
	arrived := make(chan struct{})
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) { close(arrived); <-r.Context().Done() })
	for name, opts := range map[string][]breakerhttp.Option{
		"by default": nil,
		"WithOutcome not asked": {breakerhttp.WithOutcome(func(*http.Response, error) breaker.Outcome {
			return breaker.Failure
		})},
	} {
		t.Run(name, func(t *testing.T) {
			arrived = make(chan struct{})
			b := newBreaker(t)
			ctx, cancel := context.WithCancel(t.Context())
			go func() { <-arrived; cancel() }()
			req, _ := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
			resp, err := clientOf(t, b, opts...).Do(req)
			if err == nil {
				_ = resp.Body.Close()
			}
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error is %v, want context.Canceled", err)
			}
			wantCount(t, b, ignored)
		})
	}
}

// A client's own timeout must not look like a caller that left: a tier that hangs would never be found out.
func TestTransportCountsTheClientsTimeoutAsAFailure(t *testing.T) {
	var came atomic.Bool
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) { came.Store(true); <-r.Context().Done() })
	for name, send := range map[string]func(c *http.Client, within time.Duration) (*http.Response, error){
		"http.Client.Timeout": func(c *http.Client, within time.Duration) (*http.Response, error) {
			c.Timeout = within
			return c.Get(url)
		},
		"deadline of the context": func(c *http.Client, within time.Duration) (*http.Response, error) {
			ctx, cancel := context.WithTimeout(context.Background(), within)
			defer cancel()
			req, _ := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
			return c.Do(req)
		},
	} {
		t.Run(name, func(t *testing.T) {
			came.Store(false)
			// Until the timeout is long enough that the request reaches the tier on this machine.
			for within := 20 * time.Millisecond; ; within *= 2 {
				b := newBreaker(t)
				resp, err := send(clientOf(t, b), within)
				if err == nil {
					_ = resp.Body.Close()
					t.Fatal("no error")
				}
				if came.Load() {
					wantCount(t, b, failure)
					return
				}
			}
		})
	}
}

func TestTransportSendsTheRequestItself(t *testing.T) {
	b := newBreaker(t)
	var sent *http.Request
	rt := breakerhttp.NewTransport(roundTrip(func(r *http.Request) (*http.Response, error) {
		sent = r
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
	}), b)
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://tier/", strings.NewReader("x"))
	body, header := req.Body, req.Header.Clone()
	if _, err := rt.RoundTrip(req); err != nil {
		t.Fatal(err)
	}
	if sent != req || req.Body != body || len(req.Header) != len(header) {
		t.Error("the request was changed or copied on the way")
	}
}

func TestTransportCountsAPanicOfItsBaseAndLetsItGoUp(t *testing.T) {
	b := newBreaker(t)
	rt := breakerhttp.NewTransport(roundTrip(func(*http.Request) (*http.Response, error) { panic("boom") }), b)
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://tier/", nil)
	wantPanic(t, "boom", func() { _, _ = rt.RoundTrip(req) })
	wantCount(t, b, failure)
}

func TestTransportCountsAGoexitOfItsBase(t *testing.T) {
	b := newBreaker(t)
	rt := breakerhttp.NewTransport(roundTrip(func(*http.Request) (*http.Response, error) {
		runtime.Goexit()
		return nil, nil
	}), b)
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://tier/", nil)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = rt.RoundTrip(req)
	}()
	<-gone
	wantCount(t, b, failure)
}

func TestWithOutcomeDecides(t *testing.T) {
	answer := func(status int) roundTrip {
		return func(*http.Request) (*http.Response, error) {
			if status == 0 {
				return nil, errors.New("no route")
			}
			return &http.Response{StatusCode: status, Body: http.NoBody}, nil
		}
	}
	for name, c := range map[string]struct {
		base roundTrip
		fn   func(*http.Response, error) breaker.Outcome
		want count
	}{
		"a good status as a failure": {answer(200), func(r *http.Response, err error) breaker.Outcome {
			if r.StatusCode == http.StatusOK && err == nil {
				return breaker.Failure
			}
			return breaker.Success
		}, failure},
		"an error as no failure": {answer(0), func(r *http.Response, err error) breaker.Outcome {
			if r == nil && err != nil {
				return breaker.Ignored
			}
			return breaker.Failure
		}, ignored},
		"falling back on the default": {answer(503), breakerhttp.DefaultOutcome, failure},
		"the default for an error":    {answer(0), breakerhttp.DefaultOutcome, failure},
		"the default for a success":   {answer(404), breakerhttp.DefaultOutcome, success},
		"no outcome at all": {answer(200), func(*http.Response, error) breaker.Outcome {
			return 0
		}, failure},
		"a panic": {answer(200), func(*http.Response, error) breaker.Outcome { panic("boom") }, failure},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBreaker(t)
			rt := breakerhttp.NewTransport(c.base, b, breakerhttp.WithOutcome(c.fn))
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://tier/", nil)
			_, _ = rt.RoundTrip(req)
			wantCount(t, b, c.want)
		})
	}
}

func TestTheBreakersClassifierSeesTheStatusAndTheWait(t *testing.T) {
	var seen error
	b := newBreaker(t, breaker.WithClassifier(func(_ context.Context, err error) breaker.Outcome {
		seen = err
		return breaker.Ignored
	}))
	rt := breakerhttp.NewTransport(roundTrip(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusServiceUnavailable, Header: http.Header{"Retry-After": {"7"}}, Body: http.NoBody}, nil
	}), b)
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://tier/", nil)
	if _, err := rt.RoundTrip(req); err != nil {
		t.Fatal(err)
	}
	var status *breakerhttp.StatusError
	if !errors.As(seen, &status) || status.Code != http.StatusServiceUnavailable || status.RetryAfter() != 7*time.Second {
		t.Errorf("the classifier saw %v, want HTTP 503 with a wait of 7s", seen)
	}
	wantCount(t, b, ignored)
}

func TestWithPickLeavesUnguardedWhatHasNoBreaker(t *testing.T) {
	guarded := newBreaker(t)
	command(t, guarded, breaker.ForceOpen)
	url := serve(t, func(http.ResponseWriter, *http.Request) {})
	client := clientOf(t, nil, breakerhttp.WithPick(func(r *http.Request) (*breaker.Breaker, error) {
		if r.URL.Path == "/health" {
			return nil, nil
		}
		return guarded, nil
	}))
	resp, err := client.Get(url + "/health")
	if err != nil {
		t.Fatalf("the unguarded path: %v", err)
	}
	_ = resp.Body.Close()
	if resp, err = client.Get(url + "/other"); err == nil {
		_ = resp.Body.Close()
	}
	if !errors.Is(err, breaker.ErrOpen) {
		t.Errorf("the guarded path: %v, want ErrOpen", err)
	}
}

// A retried request elsewhere went out with the rest of a body that the first attempt had read.
func TestABodyIsSentWholeByEachAttempt(t *testing.T) {
	var attempts atomic.Int32
	var sizes [3]atomic.Int64
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		n := attempts.Add(1)
		got, _ := io.Copy(io.Discard, r.Body)
		sizes[n-1].Store(got)
		if n < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	client := clientOf(t, newBreaker(t))
	body := bytes.Repeat([]byte("x"), 50_000)
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, url, bytes.NewReader(body))
	for range 3 {
		again := req.Clone(t.Context())
		again.Body, _ = req.GetBody()
		resp, err := client.Do(again)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	for i := range sizes {
		if got := sizes[i].Load(); got != int64(len(body)) {
			t.Errorf("attempt %d sent %d bytes of %d", i+1, got, len(body))
		}
	}
}

type idler struct {
	roundTrip
	closed bool
}

func (i *idler) CloseIdleConnections() { i.closed = true }

func TestTheClientCanStillCloseIdleConnections(t *testing.T) {
	base := &idler{}
	b := newBreaker(t)
	(&http.Client{Transport: breakerhttp.NewTransport(base, b)}).CloseIdleConnections()
	if !base.closed {
		t.Error("base was not told")
	}
	(&http.Client{Transport: breakerhttp.NewTransport(roundTrip(nil), b)}).CloseIdleConnections() // has no such method
}

func TestNilIsRefusedWithASentence(t *testing.T) {
	b := newBreaker(t)
	for name, fn := range map[string]func(){
		"breakerhttp: NewTransport: nil *breaker.Breaker":  func() { breakerhttp.NewTransport(nil, nil) },
		"breakerhttp: Middleware: nil *breaker.Breaker":    func() { breakerhttp.Middleware(nil) },
		"breakerhttp: Middleware: nil http.Handler":        func() { breakerhttp.Middleware(b)(nil) },
		"breakerhttp: NewTransport: nil Option":            func() { breakerhttp.NewTransport(nil, b, nil) },
		"breakerhttp: WithOutcome: nil function":           func() { breakerhttp.WithOutcome(nil) },
		"breakerhttp: WithPick: nil function":              func() { breakerhttp.WithPick(nil) },
		"breakerhttp: WithRefusal: nil function":           func() { breakerhttp.WithRefusal(nil) },
		"breakerhttp: PerHost: nil *breaker.Manager: make": func() { breakerhttp.PerHost(nil, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if got, _ := recover().(string); !strings.HasPrefix(got, name) {
					t.Errorf("panic is %q", got)
				}
			}()
			fn()
		})
	}
}

func TestEachRequestIsRefusedOrCountedOnceHoweverManyAreSentAtOnce(t *testing.T) {
	const senders, each = 16, 200
	b := newBreaker(t, breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 3}))
	rt := breakerhttp.NewTransport(roundTrip(func(r *http.Request) (*http.Response, error) {
		status := map[string]int{"/good": http.StatusOK, "/bad": http.StatusBadGateway}[r.URL.Path]
		return &http.Response{StatusCode: status, Body: http.NoBody}, nil
	}), b)
	var sent, refused atomic.Uint64
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() {
			path := []string{"/good", "/bad"}[i%2]
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://tier"+path, nil)
			for range each {
				_, err := rt.RoundTrip(req)
				switch {
				case err == nil:
					sent.Add(1)
				case errors.Is(err, breaker.ErrOpen):
					refused.Add(1)
					if _, err := b.Command(t.Context(), breaker.Command{Action: breaker.Reset, By: "test"}); err != nil {
						t.Error(err)
					}
				default:
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	got := totals(t, b)
	if counted := got.Calls + got.Late; counted != sent.Load() || sent.Load()+refused.Load() != senders*each {
		t.Errorf("%d requests were sent and %d refused, of %d; counted are %d", sent.Load(), refused.Load(), senders*each, counted)
	}
}
