package breakergrpc

import (
	"context"
	"errors"
	"io"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/commontrip/commontrip/breaker"
)

// Option is a part of an interceptor's behaviour. Given twice, the last counts.
type Option func(*settings)

// WithFailureCodes says which status codes are failures of the tier; without it, or with none given, they are Unavailable,
// DeadlineExceeded, ResourceExhausted, Internal, Unknown and DataLoss. They go to the breaker's own classifier as the
// error they came with. Any other code is an answer, and so a success; save Canceled, which is Ignored unless it is given
// here. A call whose caller cancelled it, one that a guard refused, and one that never left the process are Ignored, whatever
// their code.
func WithFailureCodes(c ...codes.Code) Option {
	failures := slices.Clone(c)
	if len(failures) == 0 {
		failures = defaultFailures
	}
	return func(s *settings) { s.failures = failures }
}

var defaultFailures = []codes.Code{
	codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted, codes.Internal, codes.Unknown, codes.DataLoss,
}

// WithPick lets fn choose the breaker of each call by its full method, "/package.Service/Method", instead of the one
// given; see [PerMethod]. A nil breaker leaves the call unguarded. An error refuses it: with its own status if it has
// one, else Unavailable. fn may be called by many at once.
func WithPick(fn func(fullMethod string) (*breaker.Breaker, error)) Option {
	if fn == nil {
		panic("breakergrpc: WithPick: nil function: leave the option out to use the breaker given")
	}
	return func(s *settings) { s.pick = fn }
}

type settings struct {
	pick     func(fullMethod string) (*breaker.Breaker, error)
	failures []codes.Code
}

// newSettings is for the constructor of that name: its breaker may be nil only if an option picks one.
func newSettings(constructor string, b *breaker.Breaker, opts []Option) *settings {
	s := &settings{failures: defaultFailures}
	for _, opt := range opts {
		if opt == nil {
			panic("breakergrpc: " + constructor + ": nil Option")
		}
		opt(s)
	}
	if s.pick == nil {
		if b == nil {
			panic("breakergrpc: " + constructor + ": nil *breaker.Breaker: make one with breaker.New, or pick one with WithPick")
		}
		s.pick = func(string) (*breaker.Breaker, error) { return b, nil }
	}
	return s
}

// acquire asks the method's breaker for a permit, which it writes to p. If none guards the method, guarded is false.
func (s *settings) acquire(ctx context.Context, method string, p *breaker.Permit) (guarded bool, err error) {
	b, err := s.pick(method)
	if err != nil {
		return false, &refusedError{err}
	}
	if b == nil {
		return false, nil
	}
	if *p, err = b.Acquire(ctx); err != nil {
		return false, &refusedError{err}
	}
	return true, nil
}

// settle ends the permit of a call by its error; io.EOF is a stream's good end. A probe whose lease ended was settled by that
// already.
func (s *settings) settle(caller context.Context, p *breaker.Permit, err error) {
	if err == nil || errors.Is(err, io.EOF) {
		p.Done(nil)
		return
	}
	code := statusOf(err).Code()
	switch {
	case errors.Is(caller.Err(), context.Canceled), refused(err), code == codes.ResourceExhausted && begins(err, tooLarge):
		p.Record(breaker.Ignored)
	case slices.Contains(s.failures, code):
		p.Done(err)
	case code == codes.Canceled:
		p.Record(breaker.Ignored)
	default:
		p.Record(breaker.Success)
	}
}

// statusOf is what gRPC makes of an error: its status, or that of a context's end, or Unknown.
func statusOf(err error) *status.Status {
	if st, ok := status.FromError(err); ok {
		return st
	}
	return status.FromContextError(err)
}
