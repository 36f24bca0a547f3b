package fallback

import (
	"errors"
	"strings"
	"time"

	"github.com/commontrip/commontrip/internal/guard"
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

// RetryAfter returns when to ask the chain again, counted from now. If every tier was only skipped, that is the shortest
// time after which one of the refusals that name a time (by a method RetryAfter() time.Duration) would be lifted. If tiers
// were asked and failed, it is the longest time that one of those named, since none is to be asked sooner than it wants. It
// is 0 if none of them named a time: nobody knows, and nothing is invented.
func (e *AllTiersFailedError) RetryAfter() time.Duration {
	var shortest, longest time.Duration
	known, asked := false, false
	for _, a := range e.Attempts {
		d := guard.RetryAfter(a.Err)
		switch {
		case !a.Skipped:
			asked, longest = true, max(longest, d)
		case guard.HasRetryAfter(a.Err) && (!known || d < shortest):
			known, shortest = true, d
		}
	}
	if asked {
		return longest
	}
	return shortest
}

// Permanent reports whether no later attempt can help: every tier was asked, and the error of each is marked by
// retry.Permanent. A retrier around the chain then ends at once.
func (e *AllTiersFailedError) Permanent() bool {
	for _, a := range e.Attempts {
		if a.Skipped || !guard.Permanent(a.Err) {
			return false
		}
	}
	return len(e.Attempts) > 0
}
