package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/commontrip/commontrip/store"
)

// The exit codes; the root's help explains them.
const (
	done        = 0
	failed      = 1
	misused     = 2
	unknown     = 3
	ill         = 4
	declined    = 5
	partly      = 6
	interrupted = 130
)

// errIll and errDeclined end a command that has said all there is to say.
var (
	errIll      = errors.New("doctor found a problem")
	errDeclined = errors.New("not confirmed; nothing was changed")
)

// ranError is an error of the work itself; every other one comes from reading the command line.
type ranError struct{ error }

func (e ranError) Unwrap() error { return e.error }

func ran(err error) error {
	if err == nil {
		return nil
	}
	return ranError{err}
}

// usageError is the caller's mistake, found while the work was under way.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func misuse(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// verdict gives the exit code of an error, and what to say of it.
func (a *app) verdict(ctx context.Context, err error) (int, string) {
	var work ranError
	var usage usageError
	switch {
	case errors.Is(err, errIll):
		return ill, ""
	case errors.Is(err, errDeclined):
		return declined, err.Error()
	case isUnreadable(err):
		return partly, unreadableText(err)
	case ctx.Err() != nil:
		return interrupted, "interrupted"
	case !errors.As(err, &work), errors.As(err, &usage):
		return misused, err.Error()
	case errors.Is(err, store.ErrUnknown):
		return unknown, err.Error()
	case errors.Is(err, store.ErrInvalid):
		return misused, plain(err)
	case errors.Is(err, context.DeadlineExceeded):
		return failed, fmt.Sprintf("the store gave no answer within %v (--timeout)%s", a.flags.timeout, askDoctor)
	default:
		return failed, err.Error() + askDoctor
	}
}

const askDoctor = "; commontrip doctor may tell why"

// isUnreadable says whether the store answered, and holds of some breakers what cannot be read.
func isUnreadable(err error) bool {
	_, is := errors.AsType[*store.UnreadableError](err)
	return is
}

// unreadableText names those breakers.
func unreadableText(err error) string {
	bad, is := errors.AsType[*store.UnreadableError](err)
	if !is {
		return ""
	}
	if len(bad.Names) == 1 {
		return fmt.Sprintf("%s cannot be read: %v%s", quote(bad.Names[0]), bad.Err, whatToDo)
	}
	return fmt.Sprintf("%d breakers cannot be read: %s; of the first: %v%s", len(bad.Names), few(bad.Names), bad.Err, whatToDo)
}

const whatToDo = "; commontrip doctor says what to do"

// plain says which field of a policy is bad by the name that retune knows it by.
func plain(err error) string {
	if bad, ok := errors.AsType[*store.PolicyError](err); ok {
		return fmt.Sprintf("%s is %s; want %s", snake(bad.Field), bad.Value, bad.Range)
	}
	return err.Error()
}

// names takes at least low and at most high names; high < 0: any number.
func names(low, high int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < low || high >= 0 && len(args) > high {
			return misuse("%s takes %s; it was given %d: usage: %s", c.Name(), what, len(args), c.UseLine())
		}
		return nil
	}
}

var (
	noName  = names(0, 0, "no argument")
	oneName = names(1, 1, "the name of one breaker")
)
