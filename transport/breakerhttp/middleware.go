package breakerhttp

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/felixge/httpsnoop"

	"github.com/commontrip/commontrip/breaker"
)

// Middleware returns a middleware that asks b before each request, and records what the handler answered when it returns.
// A nil breaker without [WithPick] panics, and so does a nil handler.
//
// A refused request is answered with 503, Retry-After and [RefusedHeader], and its handler is not called; see [WithRefusal].
// What each way means in which a handler can end stands in the package's table.
//
// The handler's ResponseWriter has the optional methods of the original (Flush, Hijack, ReadFrom, Push, deadlines) and
// Unwrap, for http.ResponseController. The context of a probe ends with its lease, unless it is settled before: when the
// handler returns, when it takes the connection over, or when an answer that is not a failure is on its way to the client. That
// is so once the handler has flushed it, or has written more of it than net/http keeps back. A long download, a stream of
// events and a WebSocket go on from there like any other.
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
		m.refused(w, r, err)
		return
	}
	if b == nil {
		m.next.ServeHTTP(w, r)
		return
	}
	permit, err := b.Acquire(r.Context())
	if err != nil {
		m.refused(w, r, err)
		return
	}
	m.guarded(&permit, w, r)
}

// refused answers a request whose handler is not called, and tells guards outside so.
func (m *middleware) refused(w http.ResponseWriter, r *http.Request, err error) {
	w.Header().Set(RefusedHeader, "true")
	m.refuse(w, r, err)
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
	seen := answer{caller: r.Context(), probe: p.Probe()}
	seen.ends.Store(writeDeadline(r))
	up := watchClient(r)
	guarded := r
	if p.Probe() {
		guarded = r.WithContext(p.Context())
	}
	seen.begun = func() {
		switch {
		case failed(seen.status) || seen.late:
		case p.Probe() || seen.status == http.StatusSwitchingProtocols:
			m.record(p, r, w, &seen, up) // it may never end
		default:
			p.Answered()
		}
	}
	seen.missed = func() { m.record(p, r, w, &seen, up) }
	m.next.ServeHTTP(seen.watch(w), guarded)
	returned = true
	m.record(p, r, w, &seen, up)
}

// record settles by the answer. It does not settle against a tier whose client did not wait for it, or sent half of a request.
func (m *middleware) record(p *breaker.Permit, r *http.Request, w http.ResponseWriter, seen *answer, up *upload) {
	status, unanswered := seen.status, seen.status == 0
	if unanswered {
		status = http.StatusOK // what net/http sends for a handler that wrote nothing
	}
	switch {
	case cancelled(r.Context()) && (unanswered || failed(status)), up.broke() && failed(status),
		up.stalled() && (unanswered || seen.late || failed(status)):
		p.Record(breaker.Ignored)
		return
	case !failed(status) && (unanswered || seen.late || seen.lost(w)) && seen.tooLate():
		m.settle(r.Context(), p, nil, context.DeadlineExceeded)
		return
	}
	m.settle(r.Context(), p, &http.Response{
		StatusCode: status, Header: w.Header(), Body: http.NoBody, Request: r,
		Proto: r.Proto, ProtoMajor: r.ProtoMajor, ProtoMinor: r.ProtoMinor,
	}, nil)
}

// late reports whether a request's time is over, also in the instant in which its deadline has come and the timer has not
// run yet.
func late(ctx context.Context) bool {
	if err := ctx.Err(); err != nil {
		return errors.Is(err, context.DeadlineExceeded)
	}
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) <= 0
}

// writeDeadline is when the server stops writing the answer of a request that it has just read; nil: it does not.
func writeDeadline(r *http.Request) *time.Time {
	s, ok := r.Context().Value(http.ServerContextKey).(*http.Server)
	if !ok || s.WriteTimeout <= 0 {
		return nil
	}
	end := time.Now().Add(s.WriteTimeout)
	return &end
}

func over(end *time.Time) bool { return end != nil && !end.IsZero() && time.Until(*end) <= 0 }

// answer is what a handler has sent so far.
type answer struct {
	caller context.Context
	probe  bool
	ends   atomic.Pointer[time.Time] // when nothing can be written any more; nil or zero: never
	status int                       // final; 0: none
	late   bool                      // it came after the request's deadline
	sent   int64                     // bytes of the body
	missed func()                    // called once the answer has begun too late
	begun  func()                    // called once the answer is on its way to the client, and maybe later again
}

// tooLate reports whether an answer that begins now would not reach the client any more.
func (a *answer) tooLate() bool {
	return late(a.caller) || over(a.ends.Load())
}

// keptBack is more than net/http keeps of an answer before it sends the headers.
const keptBack = 16 << 10

// lost reports whether the answer went nowhere: http.TimeoutHandler has answered in the handler's place. It says so to each
// write.
func (a *answer) lost(w http.ResponseWriter) bool {
	if a.status == http.StatusSwitchingProtocols || !late(a.caller) {
		return false
	}
	_, err := w.Write(nil)
	return errors.Is(err, http.ErrHandlerTimeout)
}

// flushed notes that what was written has been sent.
func (a *answer) flushed(err error) {
	if err == nil {
		a.begun()
	}
}

// wrote notes n more bytes of the body.
func (a *answer) wrote(w http.ResponseWriter, n int64) {
	if a.sent += n; a.sent > keptBack && a.sent-n <= keptBack {
		if _, ok := w.(http.Flusher); ok { // else it may be kept back whole, as by http.TimeoutHandler
			a.begun()
		}
	}
}

// counted is a source whose bytes the answer counts as they go.
type counted struct {
	io.Reader
	w  http.ResponseWriter
	of *answer
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.of.wrote(c.w, int64(n))
	return n, err
}

// watch returns a w that notes the status.
func (a *answer) watch(w http.ResponseWriter) http.ResponseWriter {
	return httpsnoop.Wrap(w, httpsnoop.Hooks{
		WriteHeader: func(next httpsnoop.WriteHeaderFunc) httpsnoop.WriteHeaderFunc {
			return func(code int) {
				a.note(code)
				next(code)
				if code == http.StatusSwitchingProtocols {
					a.flushed(nil)
				}
			}
		},
		Write: func(next httpsnoop.WriteFunc) httpsnoop.WriteFunc {
			return func(p []byte) (int, error) {
				a.note(http.StatusOK)
				n, err := next(p)
				a.wrote(w, int64(n))
				return n, err
			}
		},
		WriteString: func(next httpsnoop.WriteStringFunc) httpsnoop.WriteStringFunc {
			return func(s string) (int, error) {
				a.note(http.StatusOK)
				n, err := next(s)
				a.wrote(w, int64(n))
				return n, err
			}
		},
		ReadFrom: func(next httpsnoop.ReadFromFunc) httpsnoop.ReadFromFunc {
			return func(src io.Reader) (int64, error) {
				a.note(http.StatusOK)
				if a.probe {
					src = &counted{src, w, a}
				} else {
					a.begun() // it is all there is to come; counted, it could not go from file to socket by itself
				}
				return next(src)
			}
		},
		Flush: func(next httpsnoop.FlushFunc) httpsnoop.FlushFunc {
			return func() { a.note(http.StatusOK); next(); a.flushed(nil) }
		},
		FlushError: func(next httpsnoop.FlushErrorFunc) httpsnoop.FlushErrorFunc {
			return func() error {
				a.note(http.StatusOK)
				err := next()
				a.flushed(err)
				return err
			}
		},
		SetWriteDeadline: func(next httpsnoop.SetWriteDeadlineFunc) httpsnoop.SetWriteDeadlineFunc {
			return func(end time.Time) error {
				err := next(end)
				if err == nil {
					a.ends.Store(&end)
				}
				return err
			}
		},
		Hijack: func(next httpsnoop.HijackFunc) httpsnoop.HijackFunc {
			return func() (net.Conn, *bufio.ReadWriter, error) {
				conn, rw, err := next()
				if err == nil {
					a.note(http.StatusSwitchingProtocols)
					a.flushed(nil)
				}
				return conn, rw, err
			}
		},
	})
}

// note keeps the first final status; 1xx but 101 are hints that come before it.
func (a *answer) note(code int) {
	if a.status == 0 && (code >= 200 || code == http.StatusSwitchingProtocols) {
		a.status, a.late = code, code != http.StatusSwitchingProtocols && a.tooLate()
		if a.late {
			a.missed() // at once: to write it may cancel the request
		}
	}
}
