package breakerhttp

import (
	"context"
	"io"
	"net/http"
	"sync"

	"github.com/commontrip/commontrip/breaker"
)

// WithBodyOutcome makes a transport record the outcome of a request at the end of the response's body, for tiers that stream
// their answers. A body that breaks off is a failure: its Read gives an error other than io.EOF, the caller's deadline
// included. One that was read to its end counts as its headers say. So does one that the caller leaves: by closing it before
// its end, or by cancelling the request. A response whose headers are a failure, or that has no body, is recorded at once; so
// is a connection that was upgraded (101).
//
// A call then lasts until its body ends: SlowCallAfter counts to there, and a probe's lease must be longer than a body takes.
// A body that is neither read to its end nor closed is not recorded, and a probe with such a body fails when its lease ends.
// A Middleware has no use for this option: see [Middleware].
func WithBodyOutcome() Option { return func(s *settings) { s.atBodyEnd = true } }

// watchBody leaves the permit with the response's body, if the headers are not a failure and a body follows.
func (t *transport) watchBody(caller context.Context, p *breaker.Permit, resp *http.Response) {
	said := faultOf(resp)
	switch {
	case endless(resp), breaker.IsRefusal(said), t.outcome == nil && said != nil:
		t.settle(caller, p, resp, nil)
		return
	case t.outcome != nil:
		if o := t.judge(resp, nil); o != breaker.Success {
			p.Record(o)
			return
		}
	}
	resp.Body = &answerBody{ReadCloser: resp.Body, end: func(err error) {
		if err == nil || cancelled(caller) {
			p.Record(breaker.Success)
			return
		}
		t.settle(caller, p, nil, err)
	}}
}

// endless reports whether there is no body whose end could be waited for.
func endless(resp *http.Response) bool {
	return resp.Body == nil || resp.Body == http.NoBody || resp.StatusCode == http.StatusSwitchingProtocols
}

// answerBody is a response's body that tells once how it ended.
type answerBody struct {
	io.ReadCloser
	once sync.Once
	end  func(error)
}

// Read implements io.Reader.
func (b *answerBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	switch {
	case err == io.EOF: //nolint:errorlint // io.Reader's contract is the very value
		b.once.Do(func() { b.end(nil) })
	case err != nil:
		b.once.Do(func() { b.end(err) })
	}
	return n, err
}

// Close implements io.Closer.
func (b *answerBody) Close() error {
	b.once.Do(func() { b.end(nil) })
	return b.ReadCloser.Close()
}
