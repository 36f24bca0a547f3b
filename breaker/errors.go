package breaker

import (
	"errors"
	"fmt"
	"time"

	"github.com/commontrip/commontrip/internal/guard"
	"github.com/commontrip/commontrip/store"
)

// The identities of this package's errors. Compare with errors.Is.
var (
	// ErrOpen: the call was refused; see [OpenError].
	ErrOpen = guard.NewRefusal("circuit breaker refuses the call")
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

// NewOpenError makes what a refused call gets, for tests of the code around a breaker. Its RetryAfter is that time whenever it
// is asked. The Reason may be set afterwards.
func NewOpenError(name string, r Refusal, retryAfter time.Duration) *OpenError {
	return &OpenError{Name: name, Refusal: r, wait: max(retryAfter, 0)}
}

// Is reports that an OpenError is an ErrOpen.
func (e *OpenError) Is(target error) bool { return target == ErrOpen }

// Refused is true: the tier was not asked. See [IsRefusal].
func (e *OpenError) Refused() bool { return true }

// IsRefusal reports whether err says that a guard refused the call, so that the tier was not asked: err, or an error that it
// wraps, has a method Refused() bool that returns true, or Is [ErrOpen]. Breakers, bulkheads, rate limiters and health guards
// say it so, those of other libraries too. Of joined errors (errors.Join) each must say it: if one of them is another error,
// the tier was asked. An error whose method returns false was no refusal, whatever it wraps.
func IsRefusal(err error) bool { return guard.Refused(err, ErrOpen) }

// AsRefusal makes a refusal of the error of a guard that does not say so itself, such as a bulkhead of another library that
// is full. errors.Is and errors.As see through it; its text stays. AsRefusal(nil) is nil.
func AsRefusal(err error) error { return guard.MarkRefused(err) }

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
