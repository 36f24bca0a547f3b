package retry

import (
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

func (e *permanentError) Error() string   { return e.err.Error() }
func (e *permanentError) Unwrap() error   { return e.err }
func (e *permanentError) Permanent() bool { return true }

// Permanent marks err as one that no further attempt can help. The mark holds however deep the error is wrapped or
// joined, whatever [WithRetryIf] says, and for every retrier on the way up: the caller gets the error as it is, mark
// included. Its text is err's own, and errors.Is and errors.As see through it. Permanent(nil) is nil.
//
// An error of one's own says the same by a method Permanent() bool. One that joins several and has the method speaks for
// them: a fallback.AllTiersFailedError is permanent only if the error of each of its tiers is.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}
