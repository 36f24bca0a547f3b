package breakerhttp_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/transport/breakerhttp"
)

func TestMiddlewareCountsWhatTheHandlerAnswered(t *testing.T) {
	write := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
	}
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		status  int
		want    count
	}{
		"nothing written": {func(http.ResponseWriter, *http.Request) {}, 200, success},
		"a body without a status": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "fine")
		}, 200, success},
		"404": {write(404), 404, success},
		"501": {write(501), 501, success},
		"429": {write(429), 429, failure},
		"500": {write(500), 500, failure},
		"a hint before the failure": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusBadGateway)
		}, 502, failure},
		"a status after a write": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("fine"))
			w.WriteHeader(http.StatusInternalServerError)
		}, 200, success},
		"a status after a string": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "fine")
			w.WriteHeader(http.StatusInternalServerError)
		}, 200, success},
		"a status after a copy": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.(io.ReaderFrom).ReadFrom(strings.NewReader("fine"))
			w.WriteHeader(http.StatusInternalServerError)
		}, 200, success},
		"a second status": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			w.WriteHeader(http.StatusInternalServerError)
		}, 404, success},
		"a status after a flush": {func(w http.ResponseWriter, _ *http.Request) {
			_ = http.NewResponseController(w).Flush()
			w.WriteHeader(http.StatusInternalServerError)
		}, 200, success},
		"a status after a flush of the old kind": {func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
			w.WriteHeader(http.StatusInternalServerError)
		}, 200, success},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBreaker(t)
			done := make(chan struct{})
			guarded := breakerhttp.Middleware(b)(c.handler)
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				defer close(done)
				guarded.ServeHTTP(w, r)
			})
			resp, err := http.Get(url)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			http.DefaultClient.CloseIdleConnections()
			if resp.StatusCode != c.status {
				t.Errorf("the client got %d, want %d", resp.StatusCode, c.status)
			}
			<-done
			wantCount(t, b, c.want)
		})
	}
}

func TestMiddlewareRefusesWith503AndRetryAfter(t *testing.T) {
	b := newBreaker(t, breaker.WithPolicy(breaker.Policy{OpenFor: 90 * time.Second}))
	command(t, b, breaker.Trip)
	h := breakerhttp.Middleware(b)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the handler of a refused request was called")
	}))
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/", nil))
	if rec.Code != http.StatusServiceUnavailable || rec.Header().Get("Retry-After") != "90" {
		t.Errorf("answer is %d, Retry-After %q; want 503, 90", rec.Code, rec.Header().Get("Retry-After"))
	}
	wantCount(t, b, nothing)
}

func TestWithRefusalAnswersInstead(t *testing.T) {
	open := newBreaker(t)
	command(t, open, breaker.ForceOpen)
	failed := errors.New("no breaker for you")
	for name, c := range map[string]struct {
		opts []breakerhttp.Option
		want error
	}{
		"open": {nil, breaker.ErrOpen},
		"no choice": {[]breakerhttp.Option{
			breakerhttp.WithPick(func(*http.Request) (*breaker.Breaker, error) { return nil, failed }),
		}, failed},
	} {
		t.Run(name, func(t *testing.T) {
			var got error
			opts := append(slices.Clip(c.opts), breakerhttp.WithRefusal(func(w http.ResponseWriter, _ *http.Request, err error) {
				got = err
				w.WriteHeader(http.StatusTeapot)
			}))
			rec := httptest.NewRecorder()
			breakerhttp.Middleware(open, opts...)(http.NotFoundHandler()).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/", nil))
			if rec.Code != http.StatusTeapot || !errors.Is(got, c.want) {
				t.Errorf("answer is %d for %v; want 418 for %v", rec.Code, got, c.want)
			}
		})
	}
}

func TestMiddlewareAnswers503WhereNoBreakerCouldBeChosen(t *testing.T) {
	rec := httptest.NewRecorder()
	breakerhttp.Middleware(nil, breakerhttp.WithPick(func(*http.Request) (*breaker.Breaker, error) {
		return nil, errors.New("secret")
	}))(http.NotFoundHandler()).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/", nil))
	if rec.Code != http.StatusServiceUnavailable || strings.Contains(rec.Body.String(), "secret") {
		t.Errorf("answer is %d %q, want a bare 503", rec.Code, rec.Body)
	}
}

func TestMiddlewareLeavesUnguardedWhatHasNoBreaker(t *testing.T) {
	rec := httptest.NewRecorder()
	breakerhttp.Middleware(nil, breakerhttp.WithPick(func(*http.Request) (*breaker.Breaker, error) {
		return nil, nil
	}))(http.NotFoundHandler()).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/", nil))
	if rec.Code != http.StatusNotFound {
		t.Errorf("answer is %d, want the handler's 404", rec.Code)
	}
}

func TestAPanicOfTheHandlerGoesUpAsItWas(t *testing.T) {
	for name, c := range map[string]struct {
		value any
		want  count
	}{
		"a failure":                    {fmt.Errorf("boom"), failure},
		"ErrAbortHandler says nothing": {http.ErrAbortHandler, ignored},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBreaker(t)
			h := breakerhttp.Middleware(b)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(c.value) }))
			wantPanic(t, c.value, func() {
				h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
			})
			wantCount(t, b, c.want)
		})
	}
}

func TestAnAbortedHandlerEndsTheConnectionAndCountsForNothing(t *testing.T) {
	b := newBreaker(t)
	done := make(chan struct{})
	guarded := breakerhttp.Middleware(b)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		panic(http.ErrAbortHandler)
	}))
	url := serve(t, func(w http.ResponseWriter, r *http.Request) { defer close(done); guarded.ServeHTTP(w, r) })
	if resp, err := http.Get(url); err == nil {
		_ = resp.Body.Close()
		t.Error("the client got an answer")
	}
	<-done
	wantCount(t, b, ignored)
}

func TestAGoexitOfTheHandlerIsAFailure(t *testing.T) {
	b := newBreaker(t)
	h := breakerhttp.Middleware(b)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { runtime.Goexit() }))
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	}()
	<-gone
	wantCount(t, b, failure)
}

func TestARequestWhoseClientLeft(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter)
		want   count
	}{
		"unanswered is Ignored":                          {func(http.ResponseWriter) {}, ignored},
		"given up by the handler is Ignored":             {func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) }, ignored},
		"whose answer had begun is a success":            {func(w http.ResponseWriter) { w.WriteHeader(http.StatusOK) }, success},
		"a caller that asked wrongly counts as any such": {func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) }, success},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBreaker(t)
			ctx, leave := context.WithCancel(t.Context())
			h := breakerhttp.Middleware(b)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				leave()
				<-r.Context().Done()
				c.answer(w)
			}))
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
			wantCount(t, b, c.want)
		})
	}
}

func TestWithOutcomeSeesTheHandlersAnswer(t *testing.T) {
	b := newBreaker(t)
	h := breakerhttp.Middleware(b, breakerhttp.WithOutcome(func(r *http.Response, err error) breaker.Outcome {
		if err == nil && r.StatusCode == http.StatusOK && r.Header.Get("X-Degraded") == "yes" && r.Request.URL.Path == "/report" {
			return breaker.Failure
		}
		return breaker.Success
	}))(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Degraded", "yes") }))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/report", nil))
	wantCount(t, b, failure)
}

func TestTheHandlersWriterKeepsWhatTheOriginalCanDo(t *testing.T) {
	done := make(chan struct{})
	guarded := breakerhttp.Middleware(newBreaker(t))(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, ok := w.(http.Flusher); !ok {
			t.Error("no http.Flusher")
		}
		if _, ok := w.(http.Hijacker); !ok {
			t.Error("no http.Hijacker")
		}
		if _, ok := w.(io.ReaderFrom); !ok {
			t.Error("no io.ReaderFrom")
		}
		if _, ok := w.(interface{ Unwrap() http.ResponseWriter }); !ok {
			t.Error("no Unwrap")
		}
		control := http.NewResponseController(w)
		if err := errors.Join(
			control.SetReadDeadline(time.Time{}), control.SetWriteDeadline(time.Time{}), control.EnableFullDuplex(), control.Flush(),
		); err != nil {
			t.Errorf("http.ResponseController: %v", err)
		}
	}))
	url := serve(t, func(w http.ResponseWriter, r *http.Request) { defer close(done); guarded.ServeHTTP(w, r) })
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	<-done
}

// bare is a writer that can do nothing more than it must.
type bare struct{ http.ResponseWriter }

func TestTheHandlersWriterPretendsToNothing(t *testing.T) {
	h := breakerhttp.Middleware(newBreaker(t))(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, ok := w.(http.Flusher); ok {
			t.Error("an http.Flusher that cannot flush")
		}
		if _, ok := w.(http.Hijacker); ok {
			t.Error("an http.Hijacker that cannot hijack")
		}
	}))
	h.ServeHTTP(bare{httptest.NewRecorder()}, httptest.NewRequest(http.MethodGet, "/", nil))
}

func TestAHijackedConnectionIsASuccess(t *testing.T) {
	b := newBreaker(t)
	done := make(chan struct{})
	guarded := breakerhttp.Middleware(b)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Errorf("Hijack: %v", err)
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_ = rw.Flush()
		line, _ := rw.ReadString('\n')
		_, _ = rw.WriteString(line)
		_ = rw.Flush()
	}))
	url := serve(t, func(w http.ResponseWriter, r *http.Request) { defer close(done); guarded.ServeHTTP(w, r) })
	// The client's side of the upgrade goes through a guarded transport, whose body is the connection.
	client := newBreaker(t)
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "echo")
	resp, err := clientOf(t, client).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	conn, ok := resp.Body.(io.ReadWriteCloser)
	if !ok {
		t.Fatalf("the body of an upgraded connection is a %T, which cannot be written to", resp.Body)
	}
	_, _ = io.WriteString(conn, "hello\n")
	got, _ := bufio.NewReader(conn).ReadString('\n')
	_ = conn.Close()
	<-done
	if got != "hello\n" {
		t.Errorf("the echo is %q", got)
	}
	wantCount(t, b, success)
	wantCount(t, client, success)
}

func TestAHandlersProbeEndsWithItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := probing(t)
		h := breakerhttp.Middleware(b)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
		synctest.Wait()
		if b.State() != breaker.Open {
			t.Errorf("state is %v after a probe that ran out of its lease, want open", b.State())
		}
	})
}
