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
// probe's too, and errors in it count for nothing; see [WithBodyOutcome] for another way. Responses
// are returned as they came, whatever they mean to the breaker: [CheckResponse] turns those that mean a failure into errors.
//
// A redirect that http.Client follows, and each attempt of a retrier around it, is a request of its own. The request is
// not changed. One that is sent as a probe goes to base as a shallow copy with the context of the probe, which ends with
// its lease if no headers have come by then. One whose body could break, since it is neither in memory nor a file, goes there
// as a shallow copy too, with a body that is watched.
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
	if t.atBodyEnd {
		p := new(breaker.Permit) // outlives this call, with the body
		if *p, err = b.Acquire(req.Context()); err == nil {
			return t.guarded(p, req)
		}
		closeBody(req)
		return nil, err
	}
	permit, err := b.Acquire(req.Context())
	if err != nil {
		closeBody(req)
		return nil, err
	}
	resp, up, err := t.send(&permit, req)
	t.judgeHeaders(&permit, req, up, resp, err)
	return resp, err
}

// guarded sends req, and leaves its permit with the body of the answer.
func (t *transport) guarded(p *breaker.Permit, req *http.Request) (*http.Response, error) {
	resp, up, err := t.send(p, req)
	if err != nil || resp == nil || up.broke() {
		t.judgeHeaders(p, req, up, resp, err)
	} else {
		t.watchBody(req.Context(), p, resp)
	}
	return resp, err
}

// send sends req through base. A panic of it is a failure and goes on up.
func (t *transport) send(p *breaker.Permit, req *http.Request) (*http.Response, *upload, error) {
	returned := false
	defer func() {
		if !returned {
			p.Done(breaker.ErrPanic)
		}
	}()
	sent, up := watchUpload(req)
	if p.Probe() {
		sent = sent.WithContext(p.Context())
	}
	resp, err := t.base.RoundTrip(sent)
	returned = true
	if resp != nil && resp.Request == sent {
		resp.Request = req
	}
	return resp, up, err
}

// judgeHeaders settles a request by its headers, or by the error in their place.
func (t *transport) judgeHeaders(p *breaker.Permit, req *http.Request, up *upload, resp *http.Response, err error) {
	switch {
	case err != nil:
		err = told(req, up, err)
	case resp == nil:
		err = noResponseError{}
	case up.broke() && failed(resp.StatusCode):
		err = breaker.AsRefusal(faultOf(resp)) // the tier got half of a request, and says so
	}
	t.settle(req.Context(), p, resp, err)
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
