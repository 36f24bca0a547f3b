package failsafeguard

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/failsafe-go/failsafe-go"

	"github.com/commontrip/commontrip/breaker"
)

// Guard is policies of failsafe-go that a call goes through. It is made by [New], and safe for concurrent use.
type Guard struct {
	executor failsafe.Executor[any]
}

// New makes a guard of policies, of which the first is the outermost. It is an error to give none, or a nil one.
func New(policies ...failsafe.Policy[any]) (*Guard, error) {
	if len(policies) == 0 {
		return nil, errors.New("failsafeguard: no policies; give at least one")
	}
	for i, p := range policies {
		if p == nil {
			return nil, fmt.Errorf("failsafeguard: policy %d of %d is nil", i+1, len(policies))
		}
	}
	return &Guard{failsafe.With(policies...)}, nil
}

// Run is [Do] for a function that gives nothing but an error. It makes policies a guard.
func (g *Guard) Run(ctx context.Context, fn func(context.Context) error) error {
	_, err := g.do(ctx, func(ctx context.Context) (any, error) { return nil, fn(ctx) })
	return err
}

// Do runs fn through the guard's policies, and returns what they answer. If fn did not run, the error is a refusal; see
// breaker.IsRefusal. fn gets a context that a policy may cancel, and may be called more than once, and several times at once
// by a hedge. A nil context or function panics.
func Do[T any](ctx context.Context, g *Guard, fn func(context.Context) (T, error)) (T, error) {
	answer, err := g.do(ctx, func(ctx context.Context) (any, error) { return fn(ctx) })
	v, ok := answer.(T)
	if !ok && answer != nil && err == nil { // by a cache or a fallback of failsafe-go
		err = fmt.Errorf("failsafeguard: a policy answered with a %T; want a %T", answer, v)
	}
	return v, err
}

func (g *Guard) do(ctx context.Context, fn func(context.Context) (any, error)) (any, error) {
	c := &call{fn: fn}
	if ctx.Err() != nil {
		return nil, c.told(context.Cause(ctx))
	}
	answer, err := g.executor.WithContext(ctx).GetWithExecution(c.attempt)
	if p := c.panicked.Load(); p != nil {
		panic(p.value)
	}
	return answer, c.told(err)
}

// call is one use of a guard. Attempts may go on after it has been answered.
type call struct {
	fn       func(context.Context) (any, error)
	asked    atomic.Int64 // attempts that ran, or run, and were not refused by a guard inside
	panicked atomic.Pointer[panicked]
}

// panicked is what an attempt panicked with, carried to the goroutine of the caller.
type panicked struct{ value any }

// attempt is what the policies run, on whatever goroutine.
func (c *call) attempt(exec failsafe.Execution[any]) (answer any, err error) {
	if c.panicked.Load() != nil { // the caller hears of the first panic, and nothing is asked again
		return nil, breaker.ErrPanic
	}
	c.asked.Add(1)
	defer func() {
		if value := recover(); value != nil {
			c.panicked.CompareAndSwap(nil, &panicked{value})
			answer, err = nil, breaker.ErrPanic
		}
		if breaker.IsRefusal(err) {
			c.asked.Add(-1)
		}
	}()
	return c.fn(exec.Context())
}

// told is err as what all attempts together say of the tier: a refusal if none reached it, else none.
func (c *call) told(err error) error {
	switch asked := c.asked.Load() > 0; {
	case err == nil, asked != breaker.IsRefusal(err):
		return err
	case asked:
		return &askedError{err}
	default:
		return breaker.AsRefusal(err)
	}
}

// askedError is a refusal of the last attempt, although another one reached the tier.
type askedError struct{ error }

func (e *askedError) Unwrap() error { return e.error }
func (e *askedError) Refused() bool { return false }
