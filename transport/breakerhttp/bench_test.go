package breakerhttp_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/transport/breakerhttp"
)

// BenchmarkLoopback sends requests to a server on loopback by a bare and by a guarded client, in turn, so that both meet
// the same machine. The ratio is guarded to bare.
func BenchmarkLoopback(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	defer server.Close()
	users, err := breaker.New("users-api")
	if err != nil {
		b.Fatal(err)
	}
	bare := &http.Client{Transport: &http.Transport{}}
	guarded := &http.Client{Transport: breakerhttp.NewTransport(&http.Transport{}, users)}
	defer bare.CloseIdleConnections()
	defer guarded.CloseIdleConnections()
	var took [2]time.Duration
	calls := 0
	for b.Loop() {
		for i := range 2 { // which of them goes first changes with each round
			which := (i + calls) % 2
			start := time.Now()
			get(b, []*http.Client{bare, guarded}[which], server.URL)
			took[which] += time.Since(start)
		}
		calls++
	}
	b.ReportMetric(float64(took[0].Nanoseconds())/float64(calls), "bare-ns/op")
	b.ReportMetric(float64(took[1].Nanoseconds())/float64(calls), "guarded-ns/op")
	b.ReportMetric(float64(took[1])/float64(took[0]), "ratio")
}

func get(b *testing.B, c *http.Client, url string) {
	b.Helper()
	resp, err := c.Get(url)
	if err != nil {
		b.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
}

// BenchmarkRoundTrip is what a request costs beside the network: closed, and refused.
func BenchmarkRoundTrip(b *testing.B) {
	answer := &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}
	base := roundTrip(func(*http.Request) (*http.Response, error) { return answer, nil })
	for _, refused := range []bool{false, true} {
		b.Run(map[bool]string{false: "admitted", true: "refused"}[refused], func(b *testing.B) {
			users, err := breaker.New("users-api")
			if err != nil {
				b.Fatal(err)
			}
			if refused {
				if _, err := users.Command(b.Context(), breaker.Command{Action: breaker.ForceOpen, By: "bench"}); err != nil {
					b.Fatal(err)
				}
			}
			rt := breakerhttp.NewTransport(base, users)
			req, _ := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://tier/", nil)
			b.ReportAllocs()
			for b.Loop() {
				_, _ = rt.RoundTrip(req)
			}
		})
	}
}

// BenchmarkMiddleware is what a handler costs more.
func BenchmarkMiddleware(b *testing.B) {
	users, err := breaker.New("users-api")
	if err != nil {
		b.Fatal(err)
	}
	h := breakerhttp.Middleware(users)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
}
