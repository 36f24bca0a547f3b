package retry

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrExhausted is what every [ExhaustedError] Is.
var ErrExhausted = errors.New("retry: exhausted")

// Cause says what ended a retry that would otherwise have gone on.
type Cause string

const (
	// ByAttempts: Policy.Attempts were made.
	ByAttempts Cause = "attempts"
	// ByTime: the next backoff would have lasted longer than what was left of Policy.MaxElapsed or of the context's
	// deadline.
	ByTime Cause = "time"
	// ByBudget: the shared [Budget] was spent.
	ByBudget Cause = "budget"
)

// ExhaustedError is returned if attempts, time or budget ended the retry of an error that was worth another attempt.
// It Is [ErrExhausted] and unwraps to Last.
type ExhaustedError struct {
	Cause    Cause
	Attempts int           // made, the first included
	Elapsed  time.Duration // from the start of the first attempt until it gave up
	Last     error         // of the last attempt
}

// Error says how many attempts were made, what ended them, and the last error.
func (e *ExhaustedError) Error() string {
	attempts := "attempts"
	if e.Attempts == 1 {
		attempts = "attempt"
	}
	return fmt.Sprintf("retry: gave up after %d %s in %v (out of %s): %v", e.Attempts, attempts, e.Elapsed, e.Cause, e.Last)
}

// Is reports whether target is [ErrExhausted].
func (e *ExhaustedError) Is(target error) bool { return target == ErrExhausted }

// Unwrap returns the last attempt's error.
func (e *ExhaustedError) Unwrap() error { return e.Last }

type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

// Permanent marks err as one that no further attempt can help. The mark holds however deep the error is wrapped or
// joined, whatever [WithRetryIf] says, and for every retrier on the way up: the caller gets the error as it is, mark
// included. Its text is err's own, and errors.Is and errors.As see through it. Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

func isPermanent(err error) bool {
	_, ok := errors.AsType[*permanentError](err)
	return ok
}

// retryAfter returns what the first error in err's tree that has the method says, and whether there is one.
func retryAfter(err error) (time.Duration, bool) {
	e, ok := errors.AsType[interface {
		error
		RetryAfter() time.Duration
	}](err)
	if !ok {
		return 0, false
	}
	return e.RetryAfter(), true
}

// ended returns the context's error, also in the instant in which its deadline has come and its timer has not run yet:
// what that instant means must not hang on which goroutine wakes first.
func ended(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= 0 {
		return context.DeadlineExceeded
	}
	return nil
}

// join returns the last attempt's error together with the end of the caller's context, unless it says so itself.
func join(last, end error) error {
	if errors.Is(last, end) {
		return last
	}
	return fmt.Errorf("%w; last attempt: %w", end, last)
}
