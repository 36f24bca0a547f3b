package breakerhttp_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/transport/breakerhttp"
)

// Elsewhere the body of a guarded call could not be read: the context ended when the breaker returned.
func TestABodyStaysReadableAfterItsProbeIsSettled(t *testing.T) {
	b := newBreaker(t, breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 1, OpenFor: time.Millisecond, ProbeSuccesses: 1}))
	settled := make(chan struct{})
	text := strings.Repeat("all of it; ", 100_000)
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		<-settled
		_, _ = io.WriteString(w, text)
	})
	command(t, b, breaker.Trip)
	client := clientOf(t, b)
	var resp *http.Response
	until(t, "the breaker lends no probe", func() bool {
		r, err := client.Get(url)
		if err == nil {
			resp = r
		} else if !errors.Is(err, breaker.ErrOpen) {
			t.Fatal(err)
		}
		return err == nil
	})
	if b.State() != breaker.Closed {
		t.Errorf("state is %v at the headers of a good probe, want closed", b.State())
	}
	close(settled)
	got, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || string(got) != text {
		t.Errorf("read %d bytes, %v; want %d", len(got), err, len(text))
	}
}

// probing gives a breaker in virtual time whose next call is a probe.
func probing(t *testing.T) *breaker.Breaker {
	t.Helper()
	b := newBreaker(t, breaker.WithPolicy(breaker.Policy{
		ConsecutiveFailures: 1, OpenFor: time.Second, ProbeLease: 10 * time.Second, ProbeSuccesses: 1,
	}))
	command(t, b, breaker.Trip)
	<-time.After(2 * time.Second)
	return b
}

func TestAProbesContextEndsWithItsLeaseUnlessHeadersHaveCome(t *testing.T) {
	t.Run("no headers", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := probing(t)
			rt := breakerhttp.NewTransport(roundTrip(func(r *http.Request) (*http.Response, error) {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}), b)
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://tier/", nil)
			if _, err := rt.RoundTrip(req); err == nil {
				t.Error("a probe that hangs came back without an error")
			}
			synctest.Wait()
			if b.State() != breaker.Open {
				t.Errorf("state is %v after a probe that ran out of its lease, want open", b.State())
			}
			wantCount(t, b, failure)
		})
	})
	t.Run("headers in time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := probing(t)
			var sent *http.Request
			rt := breakerhttp.NewTransport(roundTrip(func(r *http.Request) (*http.Response, error) {
				sent = r
				return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
			}), b)
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://tier/", nil)
			resp, err := rt.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			if resp.Request != req {
				t.Error("the response does not name the caller's own request")
			}
			<-time.After(time.Minute)
			if err := sent.Context().Err(); err != nil {
				t.Errorf("the context of a probe that was answered ended: %v", err)
			}
		})
	})
}
