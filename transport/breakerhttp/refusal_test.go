package breakerhttp_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/transport/breakerhttp"
)

// closeSpy is a body that knows whether it was closed, and read.
type closeSpy struct {
	io.Reader
	closed, read bool
}

func (c *closeSpy) Read(p []byte) (int, error) { c.read = true; return c.Reader.Read(p) }
func (c *closeSpy) Close() error               { c.closed = true; return nil }

func TestTransportRefusesWithoutSendingAndClosesTheBody(t *testing.T) {
	failed := errors.New("no breaker for you")
	open := newBreaker(t)
	command(t, open, breaker.ForceOpen)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name string
		ctx  context.Context
		b    *breaker.Breaker
		opts []breakerhttp.Option
		want error
	}{
		{"open", t.Context(), open, nil, breaker.ErrOpen},
		{"context ended", ended, newBreaker(t), nil, context.Canceled},
		{"no choice", t.Context(), nil, []breakerhttp.Option{
			breakerhttp.WithPick(func(*http.Request) (*breaker.Breaker, error) { return nil, failed }),
		}, failed},
	} {
		t.Run(c.name, func(t *testing.T) {
			rt := breakerhttp.NewTransport(roundTrip(func(*http.Request) (*http.Response, error) {
				t.Error("the request was sent")
				return nil, errors.New("sent")
			}), c.b, c.opts...)
			body := &closeSpy{Reader: strings.NewReader("hello")}
			req, _ := http.NewRequestWithContext(c.ctx, http.MethodPost, "http://tier/", body)
			resp, err := rt.RoundTrip(req)
			if resp != nil || !errors.Is(err, c.want) {
				t.Errorf("got %v, %v; want nil, %v", resp, err, c.want)
			}
			if !body.closed || body.read {
				t.Errorf("body closed: %v, read: %v; want closed, unread", body.closed, body.read)
			}
		})
	}
}

func TestARefusalIsFoundThroughTheClientsError(t *testing.T) {
	b := newBreaker(t)
	command(t, b, breaker.Trip)
	url := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the request was sent") })
	resp, err := clientOf(t, b).Get(url)
	if err == nil {
		_ = resp.Body.Close()
	}
	var open *breaker.OpenError
	if !errors.As(err, &open) || open.RetryAfter() <= 0 || open.Refusal != breaker.RefusedOpen {
		t.Errorf("error is %v, want an OpenError with a positive RetryAfter", err)
	}
	wantCount(t, b, nothing)
}
