package retry_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/commontrip/commontrip/retry"
)

var errBusy = errors.New("busy")

// flaky fails n times before it succeeds.
func flaky(failures int) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		if failures--; failures >= 0 {
			return "", errBusy
		}
		return "served", nil
	}
}

func Example() {
	again, err := retry.New(retry.Policy{Attempts: 4, Delay: time.Millisecond})
	if err != nil {
		fmt.Println(err)
		return
	}
	answer, err := retry.Do(context.Background(), again, flaky(2))
	fmt.Println(answer, err)
	// Output: served <nil>
}

func ExampleNew() {
	_, err := retry.New(retry.Policy{Multiplier: 0.5})
	fmt.Println(err)
	// Output: retry: Multiplier is 0.5, want 1 or more, finite
}

func ExampleDo() {
	again, _ := retry.New(retry.Policy{Attempts: 2, Delay: time.Millisecond})
	_, err := retry.Do(context.Background(), again, flaky(9))

	var gaveUp *retry.ExhaustedError
	if errors.As(err, &gaveUp) {
		fmt.Println(gaveUp.Attempts, gaveUp.Cause, gaveUp.Last)
	}
	fmt.Println(errors.Is(err, retry.ErrExhausted), errors.Is(err, errBusy))
	// Output:
	// 2 attempts busy
	// true true
}

func ExampleRetrier_Run() {
	again, _ := retry.New(retry.Policy{Delay: time.Millisecond})
	attempts := 0
	err := again.Run(context.Background(), func(context.Context) error {
		if attempts++; attempts < 3 {
			return errBusy
		}
		return nil
	})
	fmt.Println(attempts, err)
	// Output: 3 <nil>
}

func ExamplePermanent() {
	errNotFound := errors.New("not found")
	again, _ := retry.New(retry.Policy{})
	attempts := 0
	err := again.Run(context.Background(), func(context.Context) error {
		attempts++
		return retry.Permanent(errNotFound)
	})
	fmt.Println(attempts, err, errors.Is(err, errNotFound))
	// Output: 1 not found true
}

func ExampleWithRetryIf() {
	again, _ := retry.New(retry.Policy{}, retry.WithRetryIf(func(err error) bool { return !errors.Is(err, errBusy) }))
	_, err := retry.Do(context.Background(), again, flaky(1))
	fmt.Println(err)
	// Output: busy
}

func ExampleNewBudget() {
	budget, _ := retry.NewBudget(0.1, 0) // one extra attempt in ten calls
	again, _ := retry.New(retry.Policy{Attempts: 2, Delay: 1}, retry.WithBudget(budget))

	attempts, refused := 0, 0
	for range 100 {
		err := again.Run(context.Background(), func(context.Context) error { attempts++; return errBusy })
		var gaveUp *retry.ExhaustedError
		if errors.As(err, &gaveUp) && gaveUp.Cause == retry.ByBudget {
			refused++
		}
	}
	fmt.Println(attempts, refused)
	// Output: 110 90
}

func ExampleWithBudget() {
	none, _ := retry.NewBudget(0, 0)
	again, _ := retry.New(retry.Policy{}, retry.WithBudget(none))
	_, err := retry.Do(context.Background(), again, flaky(1))

	var gaveUp *retry.ExhaustedError
	fmt.Println(errors.As(err, &gaveUp) && gaveUp.Cause == retry.ByBudget, gaveUp.Attempts)
	// Output: true 1
}

func ExampleWithOnRetry() {
	again, _ := retry.New(retry.Policy{Delay: time.Millisecond, Jitter: retry.NoJitter}, retry.WithOnRetry(func(a retry.Attempt) {
		fmt.Printf("attempt %d: %v; next in %v\n", a.Number, a.Err, a.Wait)
	}))
	_, _ = retry.Do(context.Background(), again, flaky(2))
	// Output:
	// attempt 1: busy; next in 1ms
	// attempt 2: busy; next in 2ms
}

func ExamplePolicy_WithDefaults() {
	p := retry.Policy{Attempts: 5}.WithDefaults()
	fmt.Println(p.Attempts, p.Delay, p.MaxDelay, p.Multiplier, p.Jitter, p.MaxRetryAfter)
	// Output: 5 1s 1m0s 2 full 1m0s
}

func ExamplePolicy_Validate() {
	err := retry.Policy{Delay: 2 * time.Second, MaxDelay: time.Second}.Validate()
	var bad *retry.PolicyError
	if errors.As(err, &bad) {
		fmt.Println(bad.Field, bad.Value, "want:", bad.Range)
	}
	// Output: MaxDelay 1s want: Delay (2s) or more
}

func ExampleJitter_UnmarshalText() {
	var j retry.Jitter
	fmt.Println(j.UnmarshalText([]byte("equal")), j)
	fmt.Println(j.UnmarshalText([]byte("some")))
	// Output:
	// <nil> equal
	// retry: Jitter is "some", want full, equal or none
}

func ExampleJitter_MarshalText() {
	text, err := retry.NoJitter.MarshalText()
	fmt.Println(string(text), err)
	// Output: none <nil>
}
