package breakerhttp

import (
	"context"
	"errors"
	"net/http"

	"github.com/commontrip/commontrip/breaker"
)

// Option is a part of the behaviour of [NewTransport] and [Middleware]. Given twice, the last counts.
type Option func(*settings)

// WithOutcome lets fn say what a response, or the error in its place, means to the breaker: Success, Failure or Ignored;
// anything else, and a panic in fn, count as Failure. fn must neither read nor close the body (as [CheckResponse] does), and
// may be called by many at once. It is not asked if the caller cancelled the request, if a guard refused it, or if it never
// left the process (each Ignored), nor if the call panicked (Failure). [DefaultOutcome] is there to fall back on. In a
// Middleware the response has the status and the headers that the handler wrote, the request, and no body; the error is nil.
// A request that was not answered before its deadline comes with no response, and with context.DeadlineExceeded.
//
// Without this option a response with a status that [CheckResponse] finds fault with goes to the breaker's own classifier as a
// *[StatusError], an error as it is.
func WithOutcome(fn func(*http.Response, error) breaker.Outcome) Option {
	if fn == nil {
		panic("breakerhttp: WithOutcome: nil function: leave the option out for the default")
	}
	return func(s *settings) { s.outcome = fn }
}

// WithPick lets fn choose the breaker of each request, instead of the one given; see [PerHost]. A nil breaker leaves the
// request unguarded. With an error the request is refused: a transport returns it, a middleware answers as for a refusal.
// fn must not change the request, and may be called by many at once.
func WithPick(fn func(*http.Request) (*breaker.Breaker, error)) Option {
	if fn == nil {
		panic("breakerhttp: WithPick: nil function: leave the option out to use the breaker given")
	}
	return func(s *settings) { s.pick = fn }
}

// WithRefusal lets fn answer the requests that a [Middleware] refuses, whose handler is not called. The error is the
// breaker's (*[breaker.OpenError]), that of the request's context if it had ended before, or that of [WithPick].
// Without this option it is [WriteError], or a bare 503 if that does not know the error. A transport has no use for it:
// it returns the error.
func WithRefusal(fn func(http.ResponseWriter, *http.Request, error)) Option {
	if fn == nil {
		panic("breakerhttp: WithRefusal: nil function: leave the option out for the default")
	}
	return func(s *settings) { s.refuse = fn }
}

// DefaultOutcome is Failure for an error, for 429, and for 5xx but 501, else Success; and Ignored for a guard's refusal, which
// is an error ([breaker.IsRefusal]) or a response ([RefusedHeader]), and for an error that says that the request never left
// the process: what is counted without [WithOutcome] if the breaker has the default classifier. Neither a response nor an
// error is a Failure.
func DefaultOutcome(resp *http.Response, err error) breaker.Outcome {
	if err == nil {
		err = faultOf(resp)
	}
	switch {
	case err != nil && (breaker.IsRefusal(err) || unsendable(err)):
		return breaker.Ignored
	case err != nil, resp == nil:
		return breaker.Failure
	default:
		return breaker.Success
	}
}

type settings struct {
	pick      func(*http.Request) (*breaker.Breaker, error)
	outcome   func(*http.Response, error) breaker.Outcome // nil: the breaker's classifier decides
	refuse    func(http.ResponseWriter, *http.Request, error)
	atBodyEnd bool // of a transport: the outcome is recorded at the end of the body
}

// newSettings is for the constructor of that name: its breaker may be nil only if an option picks one.
func newSettings(constructor string, b *breaker.Breaker, opts []Option) settings {
	s := settings{refuse: refuse}
	for _, opt := range opts {
		if opt == nil {
			panic("breakerhttp: " + constructor + ": nil Option")
		}
		opt(&s)
	}
	if s.pick == nil {
		if b == nil {
			panic("breakerhttp: " + constructor + ": nil *breaker.Breaker: make one with breaker.New, or pick one with WithPick")
		}
		s.pick = func(*http.Request) (*breaker.Breaker, error) { return b, nil }
	}
	return s
}

// settle ends the permit of a request by what came of it.
func (s *settings) settle(caller context.Context, p *breaker.Permit, resp *http.Response, err error) {
	said := err
	if said == nil {
		said = faultOf(resp)
	}
	switch {
	case s.outcome == nil:
		p.Done(said)
	case err != nil && cancelled(caller), breaker.IsRefusal(said):
		p.Record(breaker.Ignored)
	default:
		p.Record(s.judge(resp, err))
	}
}

func (s *settings) judge(resp *http.Response, err error) (o breaker.Outcome) {
	defer func() {
		if recover() != nil {
			o = breaker.Failure
		}
	}()
	return s.outcome(resp, err)
}

// cancelled reports whether the caller gave up: a deadline is the tier's failure.
func cancelled(ctx context.Context) bool { return errors.Is(ctx.Err(), context.Canceled) }
