package breakerhttp_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/transport/breakerhttp"
)

// A tier that hangs was invisible behind callers that give up: their requests said nothing.
func TestARequestThatIsGivenUpAfterSlowCallAfterCountsAsSlow(t *testing.T) {
	hang := func(ctx context.Context) error {
		select {
		case <-time.After(20 * time.Second):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	hung := func(r *http.Request) (*http.Response, error) { return nil, hang(r.Context()) }
	judge := breakerhttp.WithOutcome(func(*http.Response, error) breaker.Outcome { return breaker.Failure })
	for name, send := range map[string]func(b *breaker.Breaker, r *http.Request){
		"a handler's client left": func(b *breaker.Breaker, r *http.Request) {
			breakerhttp.Middleware(b)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				_ = hang(r.Context())
			})).ServeHTTP(httptest.NewRecorder(), r)
		},
		"a request was cancelled": func(b *breaker.Breaker, r *http.Request) {
			_, _ = breakerhttp.NewTransport(tripper(hung), b).RoundTrip(r)
		},
		"a request with an outcome of its own was cancelled": func(b *breaker.Breaker, r *http.Request) {
			_, _ = breakerhttp.NewTransport(tripper(hung), b, judge).RoundTrip(r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				givenUp := func(p breaker.Policy) store.Snapshot {
					b, err := breaker.New("tier", breaker.WithPolicy(p))
					if err != nil {
						t.Fatal(err)
					}
					for range 10 {
						ctx, cancel := context.WithCancel(t.Context())
						time.AfterFunc(2*time.Second, cancel)
						send(b, httptest.NewRequestWithContext(ctx, http.MethodGet, "http://tier/", nil))
					}
					s, err := b.Snapshot(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					return s
				}
				s := givenUp(breaker.Policy{MinCalls: 10, SlowCallRate: 0.5, SlowCallAfter: time.Second})
				if want := (store.Totals{Calls: 10, Slow: 10}); s.Reason != breaker.BySlowCallRate || s.Totals != want {
					t.Errorf("%v (%s), %+v; want open by slow calls, %+v", s.State, s.Reason, s.Totals, want)
				}
				s = givenUp(breaker.Policy{MinCalls: 10, FailureRate: 0.5, SlowCallAfter: time.Second})
				if want := (store.Totals{Ignored: 10}); s.State != breaker.Closed || s.Totals != want {
					t.Errorf("without a SlowCallRate: %v, %+v; want closed, %+v", s.State, s.Totals, want)
				}
			})
		})
	}
}

type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
