package failsafeguard_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/failsafe-go/failsafe-go/timeout"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/failsafeguard"
)

func TestABreakerAsAPolicyOpensRefusesAndCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		card := newBreaker(t)
		executor := failsafe.With(failsafeguard.Policy[string](card)).WithContext(t.Context())
		if _, err := executor.Get(func() (string, error) { return "", errTier }); !errors.Is(err, errTier) {
			t.Errorf("%v; want the tier's error", err)
		}
		var open *breaker.OpenError
		if _, err := executor.Get(func() (string, error) { t.Error("reached"); return "", nil }); !errors.As(err, &open) {
			t.Fatalf("%v; want a refusal", err)
		}
		time.Sleep(open.RetryAfter())
		if v, err := executor.Get(func() (string, error) { return "well", nil }); v != "well" || err != nil {
			t.Errorf("the probe: %q, %v", v, err)
		}
		if card.State() != breaker.Closed {
			t.Errorf("after a good probe it is %v", card.State())
		}
	})
}

func TestTheListenersOfAnExecutorHearWhatTheBreakerSays(t *testing.T) {
	heard := []string{}
	executor := failsafe.With(failsafeguard.Policy[any](newBreaker(t))).
		OnSuccess(func(failsafe.ExecutionDoneEvent[any]) { heard = append(heard, "success") }).
		OnFailure(func(e failsafe.ExecutionDoneEvent[any]) { heard = append(heard, e.Error.Error()) })
	for _, err := range []error{nil, errTier, nil} {
		_ = executor.Run(func() error { return err })
	}
	want := []string{"success", errTier.Error(), "circuit breaker refuses the call: tier is open (consecutive-failures)"}
	for i := range want {
		if len(heard) != len(want) || heard[i] != want[i] {
			t.Fatalf("heard %q; want %q", heard, want)
		}
	}
}

// failsafe-go cancels the context of a call that timed out, which a breaker would take for a caller who gave up.
func TestATimeoutOutsideOfTheBreakerIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		card := newBreaker(t)
		executor := failsafe.With[any](timeout.New[any](time.Second), failsafeguard.Policy[any](card))
		err := executor.RunWithExecution(func(exec failsafe.Execution[any]) error { <-exec.Canceled(); return exec.Context().Err() })
		if !errors.Is(err, timeout.ErrExceeded) || card.State() != breaker.Open {
			t.Errorf("%v, the breaker is %v; want a timeout, open", err, card.State())
		}
	})
}

func TestACallerWhoGivesUpSaysNothingAboutTheTier(t *testing.T) {
	card := newBreaker(t)
	ctx, cancel := context.WithCancel(t.Context())
	executor := failsafe.With[any](failsafeguard.Policy[any](card)).WithContext(ctx)
	if err := executor.Run(func() error { cancel(); return ctx.Err() }); !errors.Is(err, context.Canceled) {
		t.Errorf("%v; want that the caller gave up", err)
	}
	if err := executor.Run(func() error { t.Error("reached"); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("of a context that has ended: %v", err)
	}
	if got := card.Status(); got.State != breaker.Closed || got.Totals.Ignored != 1 {
		t.Errorf("the breaker is %v, ignored %d; want closed, 1", got.State, got.Totals.Ignored)
	}
}

func TestAProbesContextEndsWithItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		card := newBreaker(t)
		_ = card.Run(t.Context(), fails)
		time.Sleep(time.Minute)
		executor := failsafe.With[any](failsafeguard.Policy[any](card))
		err := executor.RunWithExecution(func(exec failsafe.Execution[any]) error { <-exec.Canceled(); return exec.Context().Err() })
		if err == nil || card.State() != breaker.Open {
			t.Errorf("%v, the breaker is %v; want a probe that failed", err, card.State())
		}
	})
}

// What hangs on the context of an ordinary call, such as a response's body, can be read after the call has returned.
func TestOnlyAProbesContextEndsWithItsResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		card := newBreaker(t)
		executor := failsafe.With[any](failsafeguard.Policy[any](card))
		var given context.Context
		call := func(result error) {
			_ = executor.RunWithExecution(func(exec failsafe.Execution[any]) error { given = exec.Context(); return result })
		}
		if call(errTier); given.Err() != nil {
			t.Errorf("the context of an ordinary call: %v", given.Err())
		}
		time.Sleep(time.Minute)
		if call(nil); given.Err() == nil || card.State() != breaker.Closed {
			t.Errorf("the context of a probe that has returned: %v; the breaker is %v", given.Err(), card.State())
		}
	})
}

func TestAPanicUnderAPolicyCountsAndGoesUp(t *testing.T) {
	card := newBreaker(t)
	func() {
		defer func() {
			if got := recover(); got != any("boom") {
				t.Errorf("recovered %v", got)
			}
		}()
		_ = failsafe.With[any](failsafeguard.Policy[any](card)).Run(func() error { panic("boom") })
	}()
	if card.State() != breaker.Open {
		t.Errorf("it is %v; want open", card.State())
	}
}

func TestAPolicyOfAnyResultStandsBesideOneOfAnother(t *testing.T) {
	card := newBreaker(t)
	executor := failsafe.With[int](retrypolicy.NewBuilder[int]().AbortOnErrors(breaker.ErrOpen).WithMaxRetries(9).Build()).
		ComposeAny(failsafeguard.Policy[any](card))
	n := 0
	_, err := executor.Get(func() (int, error) { n++; return 0, errTier })
	if n != 1 || !errors.Is(err, breaker.ErrOpen) {
		t.Errorf("%d calls, %v; want one, and then a refusal that ends the retry", n, err)
	}
}

func TestAPolicyOfNoBreakerPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("it does not")
		}
	}()
	failsafeguard.Policy[any](nil)
}
