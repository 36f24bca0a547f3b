package guard_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/internal/guard"
)

// asks is an error that names a time.
type asks time.Duration

func (e asks) Error() string             { return "not now" }
func (e asks) RetryAfter() time.Duration { return time.Duration(e) }

// outer names a time around another error.
type outer struct {
	asks
	error
}

func (e outer) Error() string { return "outer: " + e.error.Error() }
func (e outer) Unwrap() error { return e.error }

// chain joins alternatives, and speaks for them.
type chain struct {
	asks
	all     []error
	hopeful bool
}

func (e chain) Unwrap() []error { return e.all }
func (e chain) Permanent() bool { return !e.hopeful }

// hidden is an asks by its method As only.
type hidden struct{ asks }

func (hidden) Error() string { return "hidden" }
func (h hidden) As(target any) bool {
	t, ok := target.(*interface {
		error
		RetryAfter() time.Duration
	})
	if ok {
		*t = h.asks
	}
	return ok
}

// The first error with the method was asked, and what it did not know was taken for "now".
func TestTheLongestTimeOfTheWholeTreeCounts(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want time.Duration
	}{
		"none":                        {nil, 0},
		"an error without the method": {io.EOF, 0},
		"bare":                        {asks(30), 30},
		"negative":                    {asks(-30), 0},
		"the largest":                 {asks(math.MaxInt64), math.MaxInt64},
		"wrapped":                     {fmt.Errorf("a: %w", asks(30)), 30},
		"joined, unknown first":       {errors.Join(asks(0), asks(30)), 30},
		"joined, unknown last":        {errors.Join(asks(30), asks(0)), 30},
		"joined deep":                 {fmt.Errorf("a: %w, %w", io.EOF, errors.Join(asks(4), fmt.Errorf("b: %w", asks(30)))), 30},
		"around a longer one":         {outer{asks(1), asks(30)}, 30},
		"around a shorter one":        {outer{asks(30), asks(1)}, 30},
		"unknown around a known one":  {outer{asks(0), errors.Join(io.EOF, asks(30))}, 30},
		"alternatives":                {fmt.Errorf("a: %w", chain{asks: 4, all: []error{asks(9), asks(4)}}), 4},
		"alternatives that know not":  {chain{all: []error{asks(9), io.EOF}}, 0},
		"beside alternatives":         {errors.Join(chain{asks: 4, all: []error{asks(9)}}, asks(7)), 7},
		"by its method As":            {errors.Join(io.EOF, hidden{asks(30)}), 30},
	} {
		if got := guard.RetryAfter(c.err); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

type mark string

func (m mark) Error() string   { return string(m) }
func (m mark) Permanent() bool { return m == "permanent" }

func TestAMarkHoldsForWhatIsJoinedButNotForAlternatives(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{io.EOF, false},
		{mark("no"), false},
		{mark("permanent"), true},
		{errors.Join(io.EOF, fmt.Errorf("deep: %w", mark("permanent"))), true},
		{errors.Join(mark("no"), mark("permanent")), true},
		{fmt.Errorf("a: %w", chain{hopeful: true, all: []error{mark("permanent")}}), false},
		{fmt.Errorf("a: %w", chain{all: []error{io.EOF}}), true},
	} {
		if got := guard.Permanent(c.err); got != c.want {
			t.Errorf("%v: %v", c.err, got)
		}
	}
}

func TestTheEndOfAContextComesWithItsCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shutdown := errors.New("shutting down")
		if err := guard.Ended(t.Context()); err != nil {
			t.Errorf("before the end: %v", err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(shutdown)
		if err := guard.Ended(ctx); !errors.Is(err, context.Canceled) || !errors.Is(err, shutdown) || err.Error() != "context canceled: shutting down" {
			t.Errorf("cancelled with a cause: %v", err)
		}
		ctx, stop := context.WithCancel(t.Context())
		stop()
		if err := guard.Ended(ctx); err != context.Canceled {
			t.Errorf("cancelled without: %v", err)
		}
		ctx, cancel = context.WithCancelCause(t.Context())
		cancel(fmt.Errorf("stop: %w", context.Canceled))
		if err := guard.Ended(ctx); err.Error() != "stop: context canceled" {
			t.Errorf("a cause that says it itself: %v", err)
		}
		slow := errors.New("budget of the page is spent")
		ctx, end := context.WithTimeoutCause(t.Context(), time.Second, slow)
		defer end()
		time.Sleep(time.Second) // the instant in which the timer may not have run
		if err := guard.Ended(ctx); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, slow) {
			t.Errorf("a deadline with a cause: %v", err)
		}
		if err := guard.Ended(late{t.Context(), time.Now()}); err != context.DeadlineExceeded {
			t.Errorf("a deadline without a timer: %v", err)
		}
	})
}

// late is a context whose deadline ends nothing.
type late struct {
	context.Context
	at time.Time
}

func (l late) Deadline() (time.Time, bool) { return l.at, true }

func TestTheLastErrorIsJoinedUnlessItSaysTheEndItself(t *testing.T) {
	shutdown := errors.New("shutting down")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(shutdown)
	end := guard.Ended(ctx)
	err := guard.Join(end, "attempt", io.EOF)
	if err.Error() != "context canceled: shutting down; last attempt: EOF" || !errors.Is(err, io.EOF) || !errors.Is(err, shutdown) {
		t.Errorf("joined: %v", err)
	}
	if err := guard.Join(end, "attempt", context.Canceled); !errors.Is(err, shutdown) {
		t.Errorf("the cause is lost: %v", err)
	}
	if both := fmt.Errorf("%w: %w", context.Canceled, shutdown); guard.Join(end, "attempt", both) != both {
		t.Error("an error that says both was joined with itself")
	}
	if err := guard.Join(context.Canceled, "tier", context.Canceled); err != context.Canceled {
		t.Errorf("joined with itself: %v", err)
	}
}
