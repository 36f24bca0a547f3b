package guard

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// timerPatience bounds how long the timer of a deadline that has come may take to say so.
const timerPatience = 10 * time.Millisecond

// Ended returns why ctx has ended, nil if it has not: its error, joined with its cause if somebody gave one. It sees
// the end also in the instant in which the deadline has come and its timer has not run yet: what that instant means must
// not hang on which goroutine wakes first.
func Ended(ctx context.Context) error {
	err := ctx.Err()
	if err == nil {
		deadline, ok := ctx.Deadline()
		if !ok || time.Until(deadline) > 0 {
			return nil
		}
		if err = awaitEnd(ctx); err == nil {
			return context.DeadlineExceeded
		}
	}
	cause := context.Cause(ctx)
	switch {
	case cause == nil, errors.Is(err, cause):
		return err
	case errors.Is(cause, err):
		return cause
	}
	return &endError{err, cause}
}

// WithCause returns err, joined with the cause of ctx's end if err is that end and does not name it.
func WithCause(ctx context.Context, err error) error {
	end, cause := ctx.Err(), context.Cause(ctx)
	if end == nil || !errors.Is(err, end) || errors.Is(err, cause) {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// endError is how a context ended, and why.
type endError struct{ err, cause error }

func (e *endError) Error() string   { return e.err.Error() + ": " + e.cause.Error() }
func (e *endError) Unwrap() []error { return []error{e.err, e.cause} }

// awaitEnd waits for the timer of a deadline that has come, so that the cause is known too.
func awaitEnd(ctx context.Context) error {
	timer := time.NewTimer(timerPatience)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
	return ctx.Err()
}

// Join returns the last error of a call together with the end of its context, unless it says the end itself; what names
// the last thing that was asked.
func Join(end error, what string, last error) error {
	if says(last, end) {
		return last
	}
	return fmt.Errorf("%w; last %s: %w", end, what, last)
}

// says reports whether err holds the end of a context, with its cause.
func says(err, end error) bool {
	if e, ok := end.(*endError); ok { //nolint:errorlint // made by Ended and wrapped by nobody
		return errors.Is(err, e.err) && errors.Is(err, e.cause)
	}
	return errors.Is(err, end)
}
