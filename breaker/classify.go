package breaker

import (
	"context"
	"errors"
)

// Classifier makes an outcome of a call's error. ctx is the caller's, so that it can tell whose deadline or cancellation
// ended the call. It sees nil for a call that returned none and [ErrPanic] for one that panicked. A panic or a
// runtime.Goexit in it, and any value that is no outcome, counts as a Failure. It is called by many goroutines at once.
type Classifier func(ctx context.Context, err error) Outcome

// DefaultClassifier: nil is a Success; an error of a call whose context its caller cancelled is Ignored, and so is a guard's
// refusal ([IsRefusal]), since they say nothing about the tier; every other error is a Failure, deadlines and panics too. An
// Ignored call whose caller gave up after Policy.SlowCallAfter counts as a slow call, if a SlowCallRate is set: it is not a
// failure and breaks no streak.
func DefaultClassifier(ctx context.Context, err error) Outcome {
	switch {
	case err == nil:
		return Success
	case errors.Is(err, ErrPanic):
		return Failure
	case errors.Is(ctx.Err(), context.Canceled), IsRefusal(err):
		return Ignored
	default:
		return Failure
	}
}

// outcome classifies by c's rules.
func (c *config) outcome(ctx context.Context, err error) (o Outcome) {
	o = Failure // of a classifier, or an Is method, that does not come back
	defer func() { _ = recover() }()
	for _, ignored := range c.ignore {
		if errors.Is(err, ignored) {
			return Ignored
		}
	}
	classify := c.classify
	if classify == nil {
		classify = DefaultClassifier
	}
	return valid(classify(ctx, err))
}

// valid makes a Failure of what is no outcome, so that a forgotten value is no success.
func valid(o Outcome) Outcome {
	if o < Success || o > Ignored {
		return Failure
	}
	return o
}
