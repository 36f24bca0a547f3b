package store

import (
	"errors"
	"fmt"
)

// The identities of what a store says beside a result. Compare with errors.Is.
var (
	// ErrInvalid: the request was wrong and changed nothing; the same request will be refused again.
	ErrInvalid = errors.New("invalid request")
	// ErrName: a name breaks the rules of [ValidateName]. It is an ErrInvalid.
	ErrName = fmt.Errorf("%w: bad name", ErrInvalid)
	// ErrLate: a report came too long after its SentAt: what it tells may be out of date, or be told twice. It is an
	// ErrInvalid; sent again, with a SentAt of then, it is taken.
	ErrLate = fmt.Errorf("%w: it came too late", ErrInvalid)
	// ErrAhead: a number of a [Known] is further ahead of the store's clock than a store can have given out, unless that
	// clock was wrong. It is an ErrInvalid.
	ErrAhead = fmt.Errorf("%w: a known number is ahead of the clock", ErrInvalid)
	// ErrUnknown: a [Command] for a breaker that the store does not show.
	ErrUnknown = errors.New("no such breaker")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("store is closed")
)

// PolicyError is one bad field of a [Policy]. It is an [ErrInvalid].
type PolicyError struct {
	Field string // the field's Go name, such as "OpenFor"
	Value string // what was given
	Range string // what would be accepted
}

func (e *PolicyError) Error() string {
	return fmt.Sprintf("policy: %s is %s; want %s", e.Field, e.Value, e.Range)
}

// Is reports that a PolicyError is an ErrInvalid.
func (e *PolicyError) Is(target error) bool { return target == ErrInvalid }

func invalid(field string, value any, want string) error {
	return fmt.Errorf("%w: %s is %v; want %s", ErrInvalid, field, value, want)
}

// UnreadableError is what Read gives beside its snapshots if the store answered, and holds of some breakers what it
// cannot have written. It says nothing about the others.
type UnreadableError struct {
	Names []string // those breakers, in the order asked
	Err   error    // what is wrong with the first
}

func (e *UnreadableError) Error() string {
	return fmt.Sprintf("%d of the breakers cannot be read, %q the first: %v", len(e.Names), e.Names[0], e.Err)
}

// Unwrap gives Err.
func (e *UnreadableError) Unwrap() error { return e.Err }
