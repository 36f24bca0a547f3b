package breakerhttp

import (
	"net/http"

	"github.com/commontrip/commontrip/breaker"
)

// NewTransport returns a round tripper that asks b before each request that it sends through base
// (http.DefaultTransport, if nil). A nil breaker without [WithPick] panics.
//
// A refusal is returned as an error, a *[breaker.OpenError], and the request's body is closed, as a RoundTripper must.
// The outcome is recorded when the headers are there: a body may be read after that for as long as the caller likes, a
// probe's too, and errors in it count for nothing. Responses are returned as they came, whatever they mean to the
// breaker: [CheckResponse] turns those that mean a failure into errors.
//
// A redirect that http.Client follows, and each attempt of a retrier around it, is a request of its own. The request is
// not changed; one that is sent as a probe goes to base as a shallow copy with the context of the probe, which ends with
// its lease if no headers have come by then.
func NewTransport(base http.RoundTripper, b *breaker.Breaker, opts ...Option) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return &transport{settings: newSettings("NewTransport", b, opts), base: base}
}

type transport struct {
	settings
	base http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	b, err := t.pick(req)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	if b == nil {
		return t.base.RoundTrip(req)
	}
	permit, err := b.Acquire(req.Context())
	if err != nil {
		closeBody(req)
		return nil, err
	}
	return t.guarded(&permit, req)
}

func (t *transport) guarded(p *breaker.Permit, req *http.Request) (*http.Response, error) {
	defer p.Done(breaker.ErrPanic) // has an effect only if base panics
	sent := req
	if p.Probe() {
		sent = req.WithContext(p.Context())
	}
	resp, err := t.base.RoundTrip(sent)
	if resp != nil && resp.Request == sent {
		resp.Request = req
	}
	t.settle(req.Context(), p, resp, err)
	return resp, err
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach base.
func (t *transport) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close() // the refusal is the news, whatever the body says
	}
}
