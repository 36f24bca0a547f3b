package breakerhttp_test

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"

	"go.uber.org/goleak"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/transport/breakerhttp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// roundTrip is a function as an http.RoundTripper.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func newBreaker(t *testing.T, opts ...breaker.Option) *breaker.Breaker {
	t.Helper()
	b, err := breaker.New("tier", opts...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func command(t *testing.T, b *breaker.Breaker, action breaker.Action) {
	t.Helper()
	if _, err := b.Command(t.Context(), breaker.Command{Action: action, By: "test"}); err != nil {
		t.Fatal(err)
	}
}

func totals(t *testing.T, b *breaker.Breaker) store.Totals {
	t.Helper()
	s, err := b.Snapshot(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return s.Totals
}

// count is what one call did to the totals.
type count struct{ calls, failures, ignored uint64 }

var (
	success = count{calls: 1}
	failure = count{calls: 1, failures: 1}
	ignored = count{ignored: 1}
	nothing = count{}
)

func wantCount(t *testing.T, b *breaker.Breaker, want count) {
	t.Helper()
	got := totals(t, b)
	if (count{got.Calls, got.Failures, got.Ignored}) != want {
		t.Errorf("totals are %+v, want %+v", got, want)
	}
}

// serve runs a handler on loopback until the test ends.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // handlers here misbehave on purpose
	s.Start()
	t.Cleanup(s.Close)
	return s.URL
}

// clientOf is a client that sends through a transport of its own, guarded by b.
func clientOf(t *testing.T, b *breaker.Breaker, opts ...breakerhttp.Option) *http.Client {
	t.Helper()
	base := http.DefaultTransport.(*http.Transport).Clone()
	t.Cleanup(base.CloseIdleConnections)
	return &http.Client{Transport: breakerhttp.NewTransport(base, b, opts...)}
}

// until repeats step until it is true.
func until(t *testing.T, what string, step func() bool) {
	t.Helper()
	await.Until(t, what, step)
}

// wantPanic runs fn and wants a panic with that value.
func wantPanic(t *testing.T, want any, fn func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if got := recover(); got != want {
			t.Errorf("panic is %v, want %v", got, want)
		}
	}()
	fn()
}
