package breakerhttp

import (
	"bufio"
	"io"
	"net"
	"net/http"

	"github.com/felixge/httpsnoop"

	"github.com/commontrip/commontrip/breaker"
)

// Middleware returns a middleware that asks b before each request, and records what the handler answered when it returns.
// A nil breaker without [WithPick] panics, and so does a nil handler.
//
// A refused request is answered with 503 and Retry-After, and its handler is not called; see [WithRefusal]. A handler
// that returns without a status has answered 200. A panic is a failure and goes on up; a panic with http.ErrAbortHandler
// is Ignored and goes on up. A request whose client went away is Ignored, unless the handler had begun an answer that is not a
// failure. A connection that the handler took over (Hijack) is a success.
//
// The handler's ResponseWriter has the optional methods of the original (Flush, Hijack, ReadFrom, Push, deadlines) and
// Unwrap, for http.ResponseController. The context of a probe ends with its lease; it lives on if the handler has
// returned before.
func Middleware(b *breaker.Breaker, opts ...Option) func(http.Handler) http.Handler {
	s := newSettings("Middleware", b, opts)
	return func(next http.Handler) http.Handler {
		if next == nil {
			panic("breakerhttp: Middleware: nil http.Handler: there is nothing to guard")
		}
		return &middleware{settings: s, next: next}
	}
}

type middleware struct {
	settings
	next http.Handler
}

// ServeHTTP implements http.Handler.
func (m *middleware) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, err := m.pick(r)
	if err != nil {
		m.refuse(w, r, err)
		return
	}
	if b == nil {
		m.next.ServeHTTP(w, r)
		return
	}
	permit, err := b.Acquire(r.Context())
	if err != nil {
		m.refuse(w, r, err)
		return
	}
	m.guarded(&permit, w, r)
}

func (m *middleware) guarded(p *breaker.Permit, w http.ResponseWriter, r *http.Request) {
	returned := false
	defer func() {
		if returned {
			return
		}
		cause := recover()                 // nil: runtime.Goexit, which goes on by itself
		if cause == http.ErrAbortHandler { //nolint:errorlint // net/http, too, knows the very value only
			p.Record(breaker.Ignored)
		} else {
			p.Done(breaker.ErrPanic)
		}
		if cause != nil {
			panic(cause)
		}
	}()
	guarded := r
	if p.Probe() {
		guarded = r.WithContext(p.Context())
	}
	var seen answer
	m.next.ServeHTTP(seen.watch(w), guarded)
	returned = true
	m.record(p, r, w.Header(), seen.status)
}

// record settles by the answer, but not against a tier whose client did not wait for it.
func (m *middleware) record(p *breaker.Permit, r *http.Request, h http.Header, status int) {
	unanswered := status == 0
	if unanswered {
		status = http.StatusOK // what net/http sends for a handler that wrote nothing
	}
	if cancelled(r.Context()) && (unanswered || failed(status)) {
		p.Record(breaker.Ignored)
		return
	}
	m.settle(r.Context(), p, &http.Response{
		StatusCode: status, Header: h, Body: http.NoBody, Request: r,
		Proto: r.Proto, ProtoMajor: r.ProtoMajor, ProtoMinor: r.ProtoMinor,
	}, nil)
}

// answer is what a handler has sent so far: its final status, 0 for none.
type answer struct{ status int }

// watch returns a w that notes the status.
func (a *answer) watch(w http.ResponseWriter) http.ResponseWriter {
	return httpsnoop.Wrap(w, httpsnoop.Hooks{
		WriteHeader: func(next httpsnoop.WriteHeaderFunc) httpsnoop.WriteHeaderFunc {
			return func(code int) { a.note(code); next(code) }
		},
		Write: func(next httpsnoop.WriteFunc) httpsnoop.WriteFunc {
			return func(p []byte) (int, error) { a.note(http.StatusOK); return next(p) }
		},
		WriteString: func(next httpsnoop.WriteStringFunc) httpsnoop.WriteStringFunc {
			return func(s string) (int, error) { a.note(http.StatusOK); return next(s) }
		},
		ReadFrom: func(next httpsnoop.ReadFromFunc) httpsnoop.ReadFromFunc {
			return func(src io.Reader) (int64, error) { a.note(http.StatusOK); return next(src) }
		},
		Flush: func(next httpsnoop.FlushFunc) httpsnoop.FlushFunc {
			return func() { a.note(http.StatusOK); next() }
		},
		FlushError: func(next httpsnoop.FlushErrorFunc) httpsnoop.FlushErrorFunc {
			return func() error { a.note(http.StatusOK); return next() }
		},
		Hijack: func(next httpsnoop.HijackFunc) httpsnoop.HijackFunc {
			return func() (net.Conn, *bufio.ReadWriter, error) {
				conn, rw, err := next()
				if err == nil {
					a.note(http.StatusSwitchingProtocols)
				}
				return conn, rw, err
			}
		},
	})
}

// note keeps the first final status; 1xx but 101 are hints that come before it.
func (a *answer) note(code int) {
	if a.status == 0 && (code >= 200 || code == http.StatusSwitchingProtocols) {
		a.status = code
	}
}
