package breakerhttp_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/transport/breakerhttp"
)

// Each WebSocket and each stream of events counted as a slow call at its end, and the healthy ones opened the breaker.
func TestAnAnswerThatBeganInTimeIsNotSlowHoweverLongItLasts(t *testing.T) {
	lasts := func() { <-time.After(time.Hour) }
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter)
		slow   uint64
	}{
		"an upgrade": {func(w http.ResponseWriter) { w.WriteHeader(http.StatusSwitchingProtocols); lasts() }, 0},
		"a stream of events": {func(w http.ResponseWriter) {
			w.(http.Flusher).Flush()
			lasts()
		}, 0},
		"a long body": {func(w http.ResponseWriter) { _, _ = w.Write(make([]byte, 40_000)); lasts() }, 0},
		"a file": {func(w http.ResponseWriter) {
			_, _ = w.(io.ReaderFrom).ReadFrom(readerFunc(func([]byte) (int, error) { lasts(); return 0, io.EOF }))
		}, 0},
		"nothing yet":           {func(w http.ResponseWriter) { lasts(); w.(http.Flusher).Flush() }, 1},
		"a body not yet sent":   {func(w http.ResponseWriter) { _, _ = io.WriteString(w, "soon"); lasts() }, 1},
		"a failure, at once":    {func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway); w.(http.Flusher).Flush(); lasts() }, 1},
		"an upgrade, but later": {func(w http.ResponseWriter) { lasts(); w.WriteHeader(http.StatusSwitchingProtocols) }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBreaker(t, breaker.WithPolicy(breaker.Policy{SlowCallRate: 0.5, SlowCallAfter: time.Second}))
				h := breakerhttp.Middleware(b)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { c.answer(w) }))
				h.ServeHTTP(fileWriter{httptest.NewRecorder()}, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
				got := totals(t, b)
				if want := (store.Totals{Calls: 1, Slow: c.slow, Failures: got.Failures}); got != want {
					t.Errorf("%+v, want %+v", got, want)
				}
			})
		})
	}
}

// fileWriter can be read into, as the writer of a server can.
type fileWriter struct{ *httptest.ResponseRecorder }

func (w fileWriter) ReadFrom(src io.Reader) (int64, error) { return io.Copy(w.ResponseRecorder, src) }

// The client got a connection that was closed, and the breaker counted successes.
func TestAnAnswerAfterTheServersWriteTimeoutIsAFailure(t *testing.T) {
	wait := func() { <-time.After(20 * time.Millisecond) }
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		timeout time.Duration
		want    count
	}{
		"silent": {func(http.ResponseWriter, *http.Request) { wait() }, time.Millisecond, failure},
		"200":    {func(w http.ResponseWriter, _ *http.Request) { wait(); _, _ = io.WriteString(w, "late") }, time.Millisecond, failure},
		"200, flushed": {func(w http.ResponseWriter, _ *http.Request) {
			wait()
			_ = http.NewResponseController(w).Flush() // by its error the server cancels the request
		}, time.Millisecond, failure},
		"without a timeout": {func(http.ResponseWriter, *http.Request) { wait() }, 0, success},
		"in time":           {func(http.ResponseWriter, *http.Request) {}, time.Hour, success},
		"the handler has given itself more time": {func(w http.ResponseWriter, _ *http.Request) {
			if err := http.NewResponseController(w).SetWriteDeadline(time.Time{}); err != nil {
				t.Error(err)
			}
			wait()
		}, time.Millisecond, success},
		"the handler has given itself less time": {func(w http.ResponseWriter, _ *http.Request) {
			if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Millisecond)); err != nil {
				t.Error(err)
			}
			wait()
		}, time.Hour, failure},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBreaker(t)
			s := httptest.NewUnstartedServer(nil)
			done := make(chan struct{})
			guarded := breakerhttp.Middleware(b)(c.handler)
			s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer close(done)
				guarded.ServeHTTP(w, r)
			})
			s.Config.WriteTimeout = c.timeout
			s.Start()
			defer s.Close()
			resp, err := s.Client().Post(s.URL, "text/plain", nil) // which is not sent again if the connection breaks
			if err == nil {
				_ = resp.Body.Close()
			}
			<-done
			wantCount(t, b, c.want)
		})
	}
}

// A few uploads that their senders left half-way opened the breaker, in a fleet for all.
func TestAnUploadThatStallsUntilTheDeadlineIsNotTheTiersFault(t *testing.T) {
	stalling := func() (body io.ReadCloser, end func()) {
		pr, pw := io.Pipe()
		return struct {
			io.Reader
			io.Closer
		}{io.MultiReader(strings.NewReader("half"), pr), pr}, func() { _ = pw.CloseWithError(io.ErrUnexpectedEOF) }
	}
	t.Run("all of it was sent, but not its end", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBreaker(t)
			client := &http.Client{Timeout: time.Second, Transport: breakerhttp.NewTransport(roundTrip(func(r *http.Request) (*http.Response, error) {
				go func() { _, _ = io.Copy(io.Discard, r.Body) }()
				<-r.Context().Done()
				return nil, r.Context().Err()
			}), b)}
			body, end := stalling()
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://tier/", body)
			req.ContentLength = int64(len("half"))
			if resp, err := client.Do(req); err == nil {
				_ = resp.Body.Close()
			}
			wantCount(t, b, failure)
			end()
		})
	})
	for name, c := range map[string]struct {
		read bool // the other side reads the body before it hangs
		want count
	}{"it is waited for": {true, ignored}, "nobody reads it": {false, failure}} {
		t.Run("client, "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBreaker(t)
				client := &http.Client{Timeout: time.Second, Transport: breakerhttp.NewTransport(roundTrip(func(r *http.Request) (*http.Response, error) {
					if c.read {
						go func() { _, _ = io.Copy(io.Discard, r.Body) }()
					}
					<-r.Context().Done()
					return nil, r.Context().Err()
				}), b)}
				body, end := stalling()
				if resp, err := client.Post("http://tier/", "text/plain", body); err == nil {
					_ = resp.Body.Close()
					t.Error("the tier answered")
				}
				wantCount(t, b, c.want)
				end()
			})
		})
		t.Run("server, "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBreaker(t)
				h := stopwatch(breakerhttp.Middleware(b)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if c.read {
						_, _ = io.Copy(io.Discard, r.Body)
						w.WriteHeader(http.StatusRequestTimeout)
					}
					<-r.Context().Done()
				})))
				body, end := stalling()
				time.AfterFunc(2*time.Second, end)
				h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", body))
				wantCount(t, b, c.want)
				<-time.After(time.Minute)
			})
		})
	}
}
