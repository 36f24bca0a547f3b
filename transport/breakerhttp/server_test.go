package breakerhttp_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/transport/breakerhttp"
)

// stopwatch ends a request's context after a second, as the timeouts of many a router do, and answers 504 then.
func stopwatch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			w.WriteHeader(http.StatusGatewayTimeout)
		}
	})
}

func TestARequestIsAFailureIfItsDeadlineWasOverUnanswered(t *testing.T) {
	// Clients got 503 and 504, and the breaker counted successes and closed by them.
	timeoutHandler := func(next http.Handler) http.Handler { return http.TimeoutHandler(next, time.Second, "too late") }
	wait := func(r *http.Request) { <-r.Context().Done(); <-time.After(time.Millisecond) }
	for name, c := range map[string]struct {
		outside func(http.Handler) http.Handler
		handler http.HandlerFunc
		want    count
	}{
		"silent": {stopwatch, func(_ http.ResponseWriter, r *http.Request) { wait(r) }, failure},
		"200 after the deadline": {stopwatch, func(w http.ResponseWriter, r *http.Request) {
			wait(r)
			w.WriteHeader(http.StatusOK)
		}, failure},
		"404 after the deadline": {stopwatch, func(w http.ResponseWriter, r *http.Request) {
			wait(r)
			w.WriteHeader(http.StatusNotFound)
		}, failure},
		"503 after the deadline": {stopwatch, func(w http.ResponseWriter, r *http.Request) {
			wait(r)
			w.WriteHeader(http.StatusServiceUnavailable)
		}, failure},
		"answered in time, and then slow": {stopwatch, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusOK)
			wait(r)
		}, success},
		"in time":                {stopwatch, func(http.ResponseWriter, *http.Request) {}, success},
		"silent, TimeoutHandler": {timeoutHandler, func(_ http.ResponseWriter, r *http.Request) { wait(r) }, failure},
		"200 into the void, TimeoutHandler": {timeoutHandler, func(w http.ResponseWriter, r *http.Request) {
			wait(r)
			w.WriteHeader(http.StatusOK)
		}, failure},
		"answered in time and thrown away, TimeoutHandler": {timeoutHandler, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "half")
			wait(r)
		}, failure},
		"in time, TimeoutHandler": {timeoutHandler, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "all")
		}, success},
	} {
		for with, opts := range map[string][]breakerhttp.Option{"": nil, ", WithOutcome": {breakerhttp.WithOutcome(breakerhttp.DefaultOutcome)}} {
			t.Run(name+with, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newBreaker(t)
					h := c.outside(breakerhttp.Middleware(b, opts...)(c.handler))
					h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
					<-time.After(time.Minute)
					wantCount(t, b, c.want)
				})
			})
		}
	}
	t.Run("no probe closes by it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := probing(t)
			h := stopwatch(breakerhttp.Middleware(b)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { wait(r) })))
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
			if b.State() != breaker.Open {
				t.Errorf("state is %v, want open", b.State())
			}
		})
	})
}

func TestAGuardsAnswerWithinAHandlerIsIgnored(t *testing.T) {
	// Five of them opened the route's breaker, which outlived the one of the database.
	open := newBreaker(t)
	command(t, open, breaker.Trip)
	for name, c := range map[string]struct {
		handler http.Handler
		want    count
	}{
		"WriteError": {http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			breakerhttp.WriteError(w, open.Run(r.Context(), func(context.Context) error { return nil }))
		}), ignored},
		"WriteError, a guard that names no time": {http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if !breakerhttp.WriteError(w, refusal{}) || w.Header().Get("Retry-After") != "" {
				t.Error("a refusal is not answered, or names a time")
			}
		}), ignored},
		"a middleware within": {breakerhttp.Middleware(open)(http.NotFoundHandler()), ignored},
		"one that answers in its own way": {breakerhttp.Middleware(open, breakerhttp.WithRefusal(
			func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusTooManyRequests) }))(http.NotFoundHandler()), ignored},
		"a tier's own 503, passed on": {http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			breakerhttp.WriteError(w, &breakerhttp.StatusError{Code: 503, Wait: time.Second})
		}), failure},
		"a tier's refusal, passed on": {http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			breakerhttp.WriteError(w, breakerhttp.CheckResponse(guardsAnswer()))
		}), ignored},
	} {
		t.Run(name, func(t *testing.T) {
			b, client := newBreaker(t), newBreaker(t)
			done := make(chan struct{})
			guarded := breakerhttp.Middleware(b)(c.handler)
			url := serve(t, func(w http.ResponseWriter, r *http.Request) { defer close(done); guarded.ServeHTTP(w, r) })
			resp, err := clientOf(t, client).Get(url)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			<-done
			wantCount(t, b, c.want)
			wantCount(t, client, c.want) // it learns of the refusal over the network
			if said := breakerhttp.CheckResponse(resp); breaker.IsRefusal(said) != (c.want == ignored) {
				t.Errorf("the answer reads as %v", said)
			}
		})
	}
}

// The proxy's own handler says 502 of a refusal within, and five of them opened the breaker around it.
func TestAProxyTellsWhatItsTransportSays(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		want   count
	}{
		{breaker.NewOpenError("db", breaker.RefusedOpen, time.Second), 503, ignored},
		{&http.MaxBytesError{Limit: 1000}, 413, success},
		{errors.New("connection refused"), 502, failure},
	} {
		b := newBreaker(t)
		proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "tier"})
		proxy.Transport = roundTrip(func(*http.Request) (*http.Response, error) { return nil, c.err })
		proxy.ErrorHandler = breakerhttp.ProxyError
		rec := httptest.NewRecorder()
		breakerhttp.Middleware(b)(proxy).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/", nil))
		wantCount(t, b, c.want)
		if rec.Code != c.status {
			t.Errorf("%v is answered with %d, want %d", c.err, rec.Code, c.status)
		}
	}
}

func TestAClientWhoseUploadBreaksIsNotTheHandlersFault(t *testing.T) {
	for name, c := range map[string]struct {
		answer int
		want   count
	}{"given up": {500, ignored}, "answered": {400, success}} {
		t.Run(name, func(t *testing.T) {
			b := newBreaker(t)
			h := breakerhttp.Middleware(b)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if _, err := io.Copy(io.Discard, r.Body); err == nil {
					t.Error("the upload is whole")
				}
				w.WriteHeader(c.answer)
			}))
			r := httptest.NewRequest(http.MethodPost, "/", io.MultiReader(strings.NewReader("x"), iotest.ErrReader(io.ErrUnexpectedEOF)))
			h.ServeHTTP(httptest.NewRecorder(), r)
			wantCount(t, b, c.want)
		})
	}
}

func TestWhatAMuxNotesInARequestStaysInIt(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /things/{id}", func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	r := httptest.NewRequest(http.MethodPost, "/things/7", iotest.OneByteReader(strings.NewReader("xyz")))
	breakerhttp.Middleware(newBreaker(t))(mux).ServeHTTP(httptest.NewRecorder(), r)
	if r.Pattern != "POST /things/{id}" || r.PathValue("id") != "7" {
		t.Errorf("the pattern is %q, the id %q", r.Pattern, r.PathValue("id"))
	}
}

func TestAServersProbeIsSettledOnceItsAnswerIsOnItsWay(t *testing.T) {
	// Healthy streams were cut at 90 % of ProbeLease and counted as failures: with nothing else to probe it never closed.
	type recorder interface {
		http.ResponseWriter
		http.Flusher
	}
	endless := iotest.OneByteReader(bytes.NewReader(make([]byte, 40_000)))
	for name, c := range map[string]struct {
		answer func(w recorder)
		want   breaker.State
	}{
		"flushed":             {func(w recorder) { w.Flush() }, breaker.Closed},
		"flushed with errors": {func(w recorder) { _ = http.NewResponseController(w).Flush() }, breaker.Closed},
		"a status, flushed":   {func(w recorder) { w.WriteHeader(http.StatusNotFound); w.Flush() }, breaker.Closed},
		"an upgrade":          {func(w recorder) { w.WriteHeader(http.StatusSwitchingProtocols) }, breaker.Closed},
		"a long body":         {func(w recorder) { _, _ = w.Write(make([]byte, 40_000)) }, breaker.Closed},
		"many short writes": {func(w recorder) {
			for range 4000 {
				_, _ = io.WriteString(w, "0123456789")
			}
		}, breaker.Closed},
		"a copy":                    {func(w recorder) { _, _ = io.Copy(w, endless) }, breaker.Closed},
		"a short body, not flushed": {func(w recorder) { _, _ = io.WriteString(w, "soon") }, breaker.HalfOpen},
		"a hint":                    {func(w recorder) { w.WriteHeader(http.StatusEarlyHints) }, breaker.HalfOpen},
		"a failure, flushed":        {func(w recorder) { w.WriteHeader(http.StatusBadGateway); w.Flush() }, breaker.HalfOpen},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := probing(t)
				settled := breaker.State(0)
				var cut error
				h := breakerhttp.Middleware(b)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					c.answer(w.(recorder))
					settled = b.State()
					select {
					case <-time.After(time.Hour):
					case <-r.Context().Done():
						cut = r.Context().Err()
					}
				}))
				h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
				synctest.Wait()
				if settled != c.want {
					t.Errorf("state is %v while the answer goes on, want %v", settled, c.want)
				}
				if lives := cut == nil; lives != (c.want == breaker.Closed) {
					t.Errorf("the stream was cut: %v", cut)
				}
				if c.want == breaker.Closed {
					if got := totals(t, b); got.Failures != 0 {
						t.Errorf("%+v", got)
					}
				}
			})
		})
	}
	t.Run("hijacked", func(t *testing.T) {
		b := newBreaker(t, breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 1, OpenFor: time.Millisecond, ProbeSuccesses: 1}))
		command(t, b, breaker.Trip)
		guarded := breakerhttp.Middleware(b)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Errorf("Hijack: %v", err)
				return
			}
			if b.State() != breaker.Closed {
				t.Errorf("state is %v after the hijack, want closed", b.State())
			}
			_ = conn.Close()
		}))
		url := serve(t, guarded.ServeHTTP)
		until(t, "the breaker lends no probe", func() bool {
			resp, err := http.Get(url)
			if err == nil {
				_ = resp.Body.Close()
			}
			return err != nil // the hijacked connection ends; a refusal is a 503
		})
		http.DefaultClient.CloseIdleConnections()
	})
	t.Run("behind a TimeoutHandler nothing is on its way", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := probing(t)
			h := http.TimeoutHandler(breakerhttp.Middleware(b)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = w.Write(make([]byte, 40_000))
				if b.State() != breaker.HalfOpen {
					t.Errorf("state is %v for an answer that nobody has got", b.State())
				}
				<-r.Context().Done()
			})), time.Second, "too late")
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
		})
	})
}
