package breaker

import (
	"errors"
	"fmt"
	"time"

	"github.com/commontrip/commontrip/store"
)

// The identities of this package's errors. Compare with errors.Is.
var (
	// ErrOpen: the call was refused; see [OpenError].
	ErrOpen = errors.New("circuit breaker refuses the call")
	// ErrRegistered: the Manager has a breaker of this name already.
	ErrRegistered = errors.New("breaker is registered already")
	// ErrClosed: the Manager was closed.
	ErrClosed = errors.New("manager is closed")
	// ErrPanic is what a classifier and a label function see for a call that panicked or called runtime.Goexit. The
	// panic itself goes on up to the caller.
	ErrPanic = errors.New("call panicked")
)

// Refusal says why a call was refused.
type Refusal string

// The refusals.
const (
	RefusedOpen      Refusal = "open"        // open, by the fleet's verdict or the replica's own
	RefusedProbing   Refusal = "probing"     // its time is over, and others are probing
	RefusedForced    Refusal = "forced-open" // an operator's command
	RefusedRampUp    Refusal = "ramp-up"     // just closed: only a share of the calls goes through
	RefusedStoreDown Refusal = "store-down"  // the store is away and StoreDown is RejectAll
)

var refusalKinds = [...]Refusal{RefusedOpen, RefusedProbing, RefusedForced, RefusedRampUp, RefusedStoreDown}

// index is the place of r in refusalKinds.
func (r Refusal) index() int {
	for i, known := range refusalKinds {
		if r == known {
			return i
		}
	}
	return 0
}

// OpenError is a refused call. It Is [ErrOpen]. One is shared by all calls that are refused for the same reason at the
// same time: it is read-only.
type OpenError struct {
	Name    string
	Refusal Refusal
	Reason  Reason // why the breaker is open; empty if that is not the point

	until time.Duration // uptime at which to ask again
	wait  time.Duration // if until is 0: the answer, whenever asked
}

func (e *OpenError) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("%v: %s is %s", ErrOpen, e.Name, e.Refusal)
	}
	return fmt.Sprintf("%v: %s is %s (%s)", ErrOpen, e.Name, e.Refusal, e.Reason)
}

// Is reports that an OpenError is an ErrOpen.
func (e *OpenError) Is(target error) bool { return target == ErrOpen }

// RetryAfter is how long to wait before asking again, from now on; never negative. If nobody can know (an operator's
// command without end) it is the policy's OpenFor.
func (e *OpenError) RetryAfter() time.Duration {
	if e.until == 0 {
		return e.wait
	}
	return max(e.until-uptime(), 0)
}

// answered reports that err is what a store said, and not that the store failed.
func answered(err error) bool {
	return err == nil || errors.Is(err, store.ErrInvalid) || errors.Is(err, store.ErrUnknown)
}
