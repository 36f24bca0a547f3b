package fallback

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

var (
	// ErrAllTiersFailed is what every [AllTiersFailedError] Is.
	ErrAllTiersFailed = errors.New("fallback: all tiers failed")
	// ErrNoAnswer is the error of a tier whose guard returned nil although no Call succeeded.
	ErrNoAnswer = errors.New("fallback: a guard returned nil, but no call succeeded")
	// ErrPanic is the error that an observer sees for a tier that panicked or ended its goroutine (runtime.Goexit). The
	// panic itself goes on up.
	ErrPanic = errors.New("fallback: the tier panicked or ended its goroutine")
)

// AllTiersFailedError is returned if every tier was skipped or failed. It Is [ErrAllTiersFailed], and unwraps to the
// error of each tier.
type AllTiersFailedError struct {
	Attempts []Attempt // one a tier, in order; shared with the trace, not to be changed
}

// Error lists the tiers and why each did not serve.
func (e *AllTiersFailedError) Error() string {
	clauses := make([]string, len(e.Attempts))
	for i, a := range e.Attempts {
		clauses[i] = a.String()
	}
	return ErrAllTiersFailed.Error() + ": " + strings.Join(clauses, "; ")
}

// Is reports whether target is [ErrAllTiersFailed].
func (e *AllTiersFailedError) Is(target error) bool { return target == ErrAllTiersFailed }

// Unwrap returns the error of each tier, in order.
func (e *AllTiersFailedError) Unwrap() []error {
	errs := make([]error, len(e.Attempts))
	for i, a := range e.Attempts {
		errs[i] = a.Err
	}
	return errs
}

// RetryAfter returns, if every tier was only skipped, the shortest time after which one of the refusals that name a
// time (by a method RetryAfter() time.Duration) would be lifted, counted from now. It returns 0 if no refusal names
// one, and if a tier was asked and failed: then nobody knows.
func (e *AllTiersFailedError) RetryAfter() time.Duration {
	var shortest time.Duration
	known := false
	for _, a := range e.Attempts {
		if !a.Skipped {
			return 0
		}
		refusal, ok := errors.AsType[interface {
			error
			RetryAfter() time.Duration
		}](a.Err)
		if !ok {
			continue
		}
		if d := max(refusal.RetryAfter(), 0); !known || d < shortest {
			shortest, known = d, true
		}
	}
	return shortest
}

// ended returns the context's error, also in the instant in which its deadline has come and its timer has not run yet:
// a tier whose own timeout ends in that instant must not make the chain go on.
func ended(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= 0 {
		return context.DeadlineExceeded
	}
	return nil
}

// join returns the last tier's error together with the end of the caller's context, unless it says so itself.
func join(last, end error) error {
	if errors.Is(last, end) {
		return last
	}
	return fmt.Errorf("%w; last tier: %w", end, last)
}
