package retry_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/retry"
)

func exhausted(t *testing.T, err error) *retry.ExhaustedError {
	t.Helper()
	e, ok := errors.AsType[*retry.ExhaustedError](err)
	if !ok {
		t.Fatalf("err = %v, want an *ExhaustedError", err)
	}
	return e
}

func TestFirstSuccessEndsTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		v, err := retry.Do(t.Context(), mustNew(t, retry.Policy{}), func(context.Context) (string, error) {
			if calls++; calls < 3 {
				return "", errBoom
			}
			return "served", nil
		})
		if v != "served" || err != nil || calls != 3 {
			t.Errorf("got %q, %v after %d calls", v, err, calls)
		}
	})
}

func TestExhaustedErrorTellsAttemptsElapsedCauseAndLastError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := mustNew(t, retry.Policy{Attempts: 3, Jitter: retry.NoJitter})
		n := 0
		v, err := retry.Do(t.Context(), r, func(context.Context) (int, error) {
			n++
			<-time.After(time.Second)
			return n, fmt.Errorf("attempt %d: %w", n, errBoom)
		})
		e := exhausted(t, err)
		// three attempts of a second, and waits of one and two
		if e.Cause != retry.ByAttempts || e.Attempts != 3 || e.Elapsed != 6*time.Second || e.Last.Error() != "attempt 3: boom" {
			t.Errorf("got %+v", *e)
		}
		if !errors.Is(err, retry.ErrExhausted) || !errors.Is(err, errBoom) || errors.Is(err, context.Canceled) {
			t.Errorf("%v is not what it should be", err)
		}
		if want := "retry: gave up after 3 attempts in 6s (out of attempts): attempt 3: boom"; err.Error() != want {
			t.Errorf("text %q, want %q", err, want)
		}
		if v != 3 {
			t.Errorf("value %d, want that of the last attempt", v)
		}
	})
}

func TestASingleAttemptIsExhaustedToo(t *testing.T) {
	err := mustNew(t, retry.Policy{Attempts: 1}).Run(t.Context(), fail)
	if e := exhausted(t, err); e.Cause != retry.ByAttempts || e.Attempts != 1 || !same(e.Last, errBoom) {
		t.Errorf("got %+v", *e)
	}
	if !strings.Contains(err.Error(), "after 1 attempt in") {
		t.Errorf("text %q", err)
	}
}

func TestPermanentErrorsAreReturnedAsTheyAre(t *testing.T) {
	wrapped := retry.Permanent(errBoom)
	for name, given := range map[string]error{
		"bare":                   wrapped,
		"wrapped":                fmt.Errorf("call: %w", wrapped),
		"joined":                 errors.Join(errors.New("other"), wrapped),
		"though it names a time": retry.Permanent(&afterError{after: time.Nanosecond}),
	} {
		calls := 0
		r := mustNew(t, retry.Policy{}, retry.WithRetryIf(func(error) bool { return true }))
		err := r.Run(t.Context(), func(context.Context) error { calls++; return given })
		if !same(err, given) || calls != 1 {
			t.Errorf("%s: got %v after %d calls", name, err, calls)
		}
	}
	if !errors.Is(wrapped, errBoom) || wrapped.Error() != "boom" {
		t.Errorf("the mark hides %v", wrapped)
	}
	after, ok := errors.AsType[*afterError](retry.Permanent(&afterError{after: 7}))
	if !ok || after.after != 7 {
		t.Error("errors.As does not see through the mark")
	}
	if retry.Permanent(nil) != nil {
		t.Error("Permanent(nil) is not nil")
	}
}

func TestAnOuterRetrierHonoursTheMarkThatAnInnerOneReturns(t *testing.T) {
	outer, inner, calls := mustNew(t, retry.Policy{}), mustNew(t, retry.Policy{}), 0
	err := outer.Run(t.Context(), func(ctx context.Context) error {
		return inner.Run(ctx, func(context.Context) error { calls++; return retry.Permanent(errBoom) })
	})
	if calls != 1 || !errors.Is(err, errBoom) || errors.Is(err, retry.ErrExhausted) {
		t.Errorf("%d calls, err %v", calls, err)
	}
}

func TestRetryIfDecidesWhatIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		errWorse := errors.New("worse")
		var asked []error
		r := mustNew(t, retry.Policy{}, retry.WithRetryIf(func(err error) bool {
			asked = append(asked, err)
			return errors.Is(err, errBoom)
		}))
		n := 0
		err := r.Run(t.Context(), func(context.Context) error { n++; return []error{errBoom, errWorse}[n-1] })
		if !same(err, errWorse) || n != 2 || !slices.Equal(asked, []error{errBoom, errWorse}) {
			t.Errorf("err %v after %d calls; asked about %v", err, n, asked)
		}
	})
}

func TestAnErrorThatIsNotTriedAgainIsReturnedAsItIsInTheLastAttemptToo(t *testing.T) {
	r := mustNew(t, retry.Policy{Attempts: 1}, retry.WithRetryIf(func(error) bool { return false }))
	if err := r.Run(t.Context(), fail); !same(err, errBoom) {
		t.Errorf("err = %v", err)
	}
}

type caller struct{}

func TestOnRetrySeesEachFailedAttemptBeforeItsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var seen []retry.Attempt
		var order []string
		r := mustNew(t, retry.Policy{Attempts: 3, Jitter: retry.NoJitter},
			retry.WithOnRetry(func(a retry.Attempt) {
				if since := time.Since(start); since != a.Elapsed {
					t.Errorf("attempt %d was told at %v, not at %v", a.Number, since, a.Elapsed)
				}
				seen = append(seen, a)
				order = append(order, "first")
			}),
			retry.WithObserver(func(ctx context.Context, a retry.Attempt) {
				if !same(ctx.Value(caller{}), "me") || a != seen[len(seen)-1] {
					t.Errorf("saw %+v for the caller %v", a, ctx.Value(caller{}))
				}
				order = append(order, "second")
			}),
		)
		_ = r.Run(context.WithValue(t.Context(), caller{}, "me"), func(context.Context) error { <-time.After(100 * time.Millisecond); return errBoom })
		want := []retry.Attempt{
			{Number: 1, Err: errBoom, Wait: time.Second, Elapsed: 100 * time.Millisecond},
			{Number: 2, Err: errBoom, Wait: 2 * time.Second, Elapsed: 1200 * time.Millisecond},
		}
		if !slices.Equal(seen, want) {
			t.Errorf("saw  %+v\nwant %+v", seen, want)
		}
		if got := strings.Join(order, " "); got != "first second first second" {
			t.Errorf("order: %s", got)
		}
	})
}

func TestPanicGoesUpUntouched(t *testing.T) {
	for name, limit := range map[string]time.Duration{"own context": time.Hour, "caller's context": 0} {
		r, calls := mustNew(t, retry.Policy{AttemptTimeout: limit}), 0
		func() {
			defer func() {
				if v := recover(); !same(v, errBoom) {
					t.Errorf("%s: recovered %v", name, v)
				}
			}()
			_ = r.Run(t.Context(), func(context.Context) error { calls++; panic(errBoom) })
		}()
		if calls != 1 {
			t.Errorf("%s: %d calls", name, calls)
		}
	}
}

func TestGoexitGoesUpAndEndsTheAttemptsContext(t *testing.T) {
	var attempt func() error // the error of its context
	returned, calls := false, 0
	r := mustNew(t, retry.Policy{AttemptTimeout: time.Hour})
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = r.Run(t.Context(), func(ctx context.Context) error { attempt = ctx.Err; calls++; runtime.Goexit(); return nil })
		returned = true
	})
	wg.Wait()
	if returned || calls != 1 || attempt() == nil {
		t.Errorf("returned %v, %d calls, the attempt's context says %v", returned, calls, attempt())
	}
}

func TestCallbacksThatPanicLeaveRetrierAndBudgetUsable(t *testing.T) {
	b, err := retry.NewBudget(1, 1)
	if err != nil {
		t.Fatal(err)
	}
	bad := mustNew(t, retry.Policy{}, retry.WithBudget(b), retry.WithOnRetry(func(retry.Attempt) { panic("listener") }))
	worse := mustNew(t, retry.Policy{}, retry.WithBudget(b), retry.WithRetryIf(func(error) bool { panic("predicate") }))
	for want, r := range map[string]*retry.Retrier{"listener": bad, "predicate": worse} {
		func() {
			defer func() {
				if v := recover(); v != want {
					t.Errorf("recovered %v, want %q", v, want)
				}
			}()
			_ = r.Run(t.Context(), fail)
		}()
	}
	again := mustNew(t, retry.Policy{Attempts: 2, Delay: 1}, retry.WithBudget(b))
	if e := exhausted(t, again.Run(t.Context(), fail)); e.Cause != retry.ByAttempts {
		t.Errorf("the budget was not usable any more: %v", e)
	}
}

func TestRetrierMayBeEnteredFromWithinItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := retry.NewBudget(10, 100)
		if err != nil {
			t.Fatal(err)
		}
		var r *retry.Retrier
		listened := 0
		r = mustNew(t, retry.Policy{Attempts: 2}, retry.WithBudget(b), retry.WithOnRetry(func(retry.Attempt) {
			if listened++; listened == 1 {
				_ = r.Run(t.Context(), fail)
			}
		}))
		calls := 0
		_ = r.Run(t.Context(), func(ctx context.Context) error {
			return r.Run(ctx, func(context.Context) error { calls++; return errBoom })
		})
		if calls != 4 {
			t.Errorf("two attempts of two made %d calls", calls)
		}
	})
}

func TestMisusePanicsWithASentence(t *testing.T) {
	r, ctx := mustNew(t, retry.Policy{}), t.Context()
	ok := func(context.Context) error { return nil }
	var none *retry.Retrier
	//nolint:staticcheck // nil contexts are the point
	for want, misuse := range map[string]func(){
		"nil context":  func() { _ = r.Run(nil, ok) },
		"nil *Retrier": func() { _ = none.Run(ctx, ok) },
		"nil function": func() { _ = r.Run(ctx, nil) },
		"nil function:": func() {
			_, _ = retry.Do[int](ctx, r, nil)
		},
	} {
		func() {
			defer func() {
				if text, _ := recover().(string); !strings.HasPrefix(text, "retry: ") || !strings.Contains(text, want) {
					t.Errorf("panicked with %q, want it to say %q", text, want)
				}
			}()
			misuse()
		}()
	}
}

func TestNilOptionsAreRefusedByNew(t *testing.T) {
	for name, opt := range map[string]retry.Option{
		"nil Option": nil, "WithRetryIf": retry.WithRetryIf(nil), "WithOnRetry": retry.WithOnRetry(nil), "WithObserver": retry.WithObserver(nil), "WithBudget": retry.WithBudget(nil),
	} {
		if r, err := retry.New(retry.Policy{}, opt); r != nil || err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v, %v", name, r, err)
		}
	}
}

func TestFirstAttemptThatSucceedsAllocatesNothing(t *testing.T) {
	b, err := retry.NewBudget(0.1, 10)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	total := 0
	for name, r := range map[string]*retry.Retrier{
		"plain":         mustNew(t, retry.Policy{}),
		"all behaviour": mustNew(t, retry.Policy{}, retry.WithBudget(b), retry.WithRetryIf(func(error) bool { return true }), retry.WithOnRetry(func(retry.Attempt) {})),
	} {
		if n := testing.AllocsPerRun(1000, func() {
			_ = r.Run(ctx, func(context.Context) error { total++; return nil })
		}); n != 0 {
			t.Errorf("%s: Run allocates %v times", name, n)
		}
		if n := testing.AllocsPerRun(1000, func() {
			n, _ := retry.Do(ctx, r, func(context.Context) (int, error) { return 1, nil })
			total += n
		}); n != 0 {
			t.Errorf("%s: Do allocates %v times", name, n)
		}
	}
}
