package retry

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/commontrip/commontrip/internal/guard"
)

// Retrier tries calls again by one [Policy]. It is made by [New], keeps nothing of a call once it has returned, and is
// safe for concurrent use.
type Retrier struct {
	policy  Policy
	retryIf func(error) bool // nil: every error
	budget  *Budget          // nil: none
	onRetry []func(context.Context, Attempt)
	draw    func(n uint64) uint64 // uniform in [0, n)
}

// Option is a part of a retrier's behaviour; see [WithRetryIf], [WithBudget], [WithOnRetry] and [WithObserver].
type Option func(*Retrier) error

// New returns a retrier that follows p, its zero fields filled with their defaults. A bad field gives a *[PolicyError],
// a nil option, function or budget an error.
func New(p Policy, opts ...Option) (*Retrier, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	r := &Retrier{policy: p.WithDefaults(), draw: rand.Uint64N}
	for _, opt := range opts {
		if opt == nil {
			return nil, errors.New("retry: nil Option")
		}
		if err := opt(r); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// WithRetryIf limits retries to errors for which fn is true; others are returned as they are. Without it every error is
// tried again, but a guard's refusal that names no time. An error marked by [Permanent], and any error once the caller's context has ended, is never tried again,
// and fn is not asked. fn runs on the caller's goroutine and may be called by many at once. Given twice, the last counts.
func WithRetryIf(fn func(error) bool) Option {
	return func(r *Retrier) error {
		if fn == nil {
			return errors.New("retry: WithRetryIf: nil function")
		}
		r.retryIf = fn
		return nil
	}
}

// WithBudget makes every extra attempt be paid from b, which other retriers may share. If b is spent the call ends
// with an [ExhaustedError] whose Cause is [ByBudget]. The first attempt is never refused. Given twice, the last counts.
func WithBudget(b *Budget) Option {
	return func(r *Retrier) error {
		if b == nil {
			return errors.New("retry: WithBudget: nil Budget")
		}
		r.budget = b
		return nil
	}
}

// Attempt is a failed attempt after which another follows.
type Attempt struct {
	Number  int           // of the failed attempt, from 1
	Err     error         // its error
	Wait    time.Duration // until the next attempt
	Elapsed time.Duration // since the start of the first attempt
}

// MarshalJSON gives number, error, the text of Err, and wait_ms and elapsed_ms, in whole milliseconds.
func (a Attempt) MarshalJSON() ([]byte, error) {
	text := ""
	if a.Err != nil {
		text = a.Err.Error()
	}
	return json.Marshal(struct {
		Number    int    `json:"number"`
		Error     string `json:"error,omitempty"`
		WaitMS    int64  `json:"wait_ms"`
		ElapsedMS int64  `json:"elapsed_ms"`
	}{a.Number, text, a.Wait.Milliseconds(), a.Elapsed.Milliseconds()})
}

// WithOnRetry makes fn see each failed attempt after which another follows, before the wait. It runs on the caller's
// goroutine and may be called by many at once. Given more than once, all are called, in order.
func WithOnRetry(fn func(Attempt)) Option {
	return func(r *Retrier) error {
		if fn == nil {
			return errors.New("retry: WithOnRetry: nil function")
		}
		r.onRetry = append(r.onRetry, func(_ context.Context, a Attempt) { fn(a) })
		return nil
	}
}

// WithObserver is [WithOnRetry] for an fn that needs the caller's context too.
func WithObserver(fn func(context.Context, Attempt)) Option {
	return func(r *Retrier) error {
		if fn == nil {
			return errors.New("retry: WithObserver: nil function")
		}
		r.onRetry = append(r.onRetry, fn)
		return nil
	}
}

// Do calls fn until it succeeds, or r gives up; what is returned then is said in the package's documentation. The value
// is what the last attempt returned, with an error too. Without any attempt it is the zero T. A nil context, retrier or
// function panics.
func Do[T any](ctx context.Context, r *Retrier, fn func(context.Context) (T, error)) (T, error) {
	switch {
	case ctx == nil:
		panic("retry: nil context: pass context.Background() if there is none")
	case r == nil:
		panic("retry: nil *Retrier: make one with retry.New")
	case fn == nil:
		panic("retry: nil function: there is nothing to call")
	}
	if ctx.Err() != nil {
		var none T
		return none, guard.Ended(ctx)
	}
	a := r.begin()
	for {
		v, err := attempt(ctx, a.limit(), fn)
		if err == nil {
			return v, nil
		}
		a.note(err)
		if err = a.next(ctx, err); err != nil {
			return v, a.told(err)
		}
	}
}

// Run is [Do] for a call without a result; it makes a Retrier a guard.
func (r *Retrier) Run(ctx context.Context, fn func(context.Context) error) error {
	if fn == nil {
		panic("retry: nil function: there is nothing to call")
	}
	_, err := Do(ctx, r, func(ctx context.Context) (struct{}, error) { return struct{}{}, fn(ctx) })
	return err
}

// attempt calls fn once, with a context of its own if there is a limit to keep.
func attempt[T any](ctx context.Context, limit time.Duration, fn func(context.Context) (T, error)) (T, error) {
	if limit != unlimited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	return fn(ctx)
}
