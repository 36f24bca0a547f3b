// Package guard holds what all guards read alike: what an error says about the next attempt, whether it is a guard's refusal,
// and how a context ended.
// It is for the packages of this module that may not import each other.
package guard

import (
	"errors"
	"time"
)

// RetryAfter returns the longest time that err, or an error in its tree, asks to be left alone for (by a method
// RetryAfter() time.Duration); 0 if none of them names one. An error that joins several and has the method itself speaks
// for them: it knows whether they are alternatives.
func RetryAfter(err error) time.Duration {
	var longest time.Duration
	walk(err, func(err error) (speaks bool) {
		asks, ok := as[interface {
			error
			RetryAfter() time.Duration
		}](err)
		if ok {
			longest = max(longest, asks.RetryAfter())
		}
		return ok
	})
	return longest
}

// HasRetryAfter reports whether an error in err's tree has the method, whatever it says.
func HasRetryAfter(err error) bool {
	_, ok := errors.AsType[interface {
		error
		RetryAfter() time.Duration
	}](err)
	return ok
}

// Permanent reports whether err, or an error in its tree, says (by a method Permanent() bool) that no later attempt can
// help. An error that joins several and has the method itself speaks for them.
func Permanent(err error) bool {
	found := false
	walk(err, func(err error) (speaks bool) {
		known, ok := as[interface {
			error
			Permanent() bool
		}](err)
		found = found || ok && known.Permanent()
		return ok
	})
	return found
}

// walk visits the errors of a tree. What an error joins is passed over if visit says that this error speaks for it.
func walk(err error, visit func(error) (speaks bool)) {
	for err != nil {
		speaks := visit(err)
		switch e := err.(type) { //nolint:errorlint // one error after the other is what a walk looks at
		case interface{ Unwrap() error }:
			err = e.Unwrap()
		case interface{ Unwrap() []error }:
			if !speaks {
				for _, branch := range e.Unwrap() {
					walk(branch, visit)
				}
			}
			return
		default:
			return
		}
	}
}

// as gives err itself as an E, also if it is one by its method As only.
func as[E error](err error) (e E, ok bool) {
	if e, ok = err.(E); ok { //nolint:errorlint // the tree is walked by the caller
		return e, true
	}
	if x, can := err.(interface{ As(target any) bool }); can && x.As(&e) { //nolint:errorlint // the same
		return e, true
	}
	return e, false
}
