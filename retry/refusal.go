package retry

import (
	"fmt"

	"github.com/commontrip/commontrip/internal/guard"
)

// refusals is what a call has heard of guards: whether the last attempt was refused, and how the tier failed before that.
type refusals struct {
	refused bool  // the last attempt did not reach the tier
	failed  error // of the last attempt that did; nil: none has
}

// note looks at the error of an attempt.
func (r *refusals) note(err error) {
	if r.refused = guard.Refused(err); !r.refused {
		r.failed = err
	}
}

// told is err, which ends the call, as what all attempts together say of the tier. If one reached it, the whole is not a
// refusal, although the last attempt was refused. If none did, the whole is one.
func (r *refusals) told(err error) error {
	switch {
	case !r.refused:
		return err
	case r.failed != nil:
		return &refusedAtLast{err, r.failed}
	case guard.Refused(err):
		return err
	default:
		return guard.MarkRefused(err) // the caller's context ended the wait for the guard
	}
}

// refusedAtLast ends a call whose last attempt a guard refused, after the tier had failed.
type refusedAtLast struct{ err, failed error }

func (e *refusedAtLast) Error() string {
	return fmt.Sprintf("%v; an earlier attempt: %v", e.err, e.failed)
}

func (e *refusedAtLast) Unwrap() []error { return []error{e.err, e.failed} }
