package fallback_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/commontrip/commontrip/fallback"
)

func answer(doc string, err error) func(context.Context, string) (string, error) {
	return func(_ context.Context, id string) (string, error) { return doc + id, err }
}

// resting is a guard that refuses, as an open breaker does.
type resting time.Duration

func (r resting) Run(context.Context, func(context.Context) error) error { return r }
func (r resting) Error() string                                          { return "resting" }
func (r resting) RetryAfter() time.Duration                              { return time.Duration(r) }

func Example() {
	docs, err := fallback.New([]fallback.Tier[string, string]{
		{Name: "mcp", Call: answer("fast ", nil), Guards: []fallback.Guard{resting(time.Minute)}, Timeout: time.Second},
		{Name: "sdk", Call: answer("", errors.New("connection refused"))},
		{Name: "rest", Call: answer("slow ", nil)},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	doc, trace, err := docs.Trace(context.Background(), "7")
	fmt.Println(doc, err)
	fmt.Println("served by", trace.Tier)
	for _, a := range trace.Attempts {
		fmt.Println(a.Tier, a.Skipped, a.Err)
	}
	// Output:
	// slow 7 <nil>
	// served by rest
	// mcp true resting
	// sdk false connection refused
}

func ExampleChain_Do() {
	docs, _ := fallback.New([]fallback.Tier[string, string]{
		{Name: "mcp", Call: answer("", errors.New("timeout"))},
		{Name: "rest", Call: answer("slow ", nil)},
	})
	fmt.Println(docs.Do(context.Background(), "7"))
	// Output: slow 7 <nil>
}

func ExampleChain_Trace() {
	docs, _ := fallback.New([]fallback.Tier[string, string]{{Name: "mcp", Call: answer("fast ", nil)}})
	_, trace, _ := docs.Trace(context.Background(), "7")
	fmt.Println(trace.Tier, len(trace.Attempts))
	// Output: mcp 0
}

func ExampleChain_Via() {
	docs, _ := fallback.New([]fallback.Tier[string, string]{
		{Name: "mcp", Call: answer("fast ", nil)},
		{Name: "sdk", Call: answer("sure ", nil)},
		{Name: "rest", Call: answer("slow ", nil)},
	})
	batch, err := docs.Via("rest", "sdk") // made once, for requests that can wait
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(batch.Do(context.Background(), "7"))
	_, err = docs.Via("soap")
	fmt.Println(err)
	// Output:
	// slow 7 <nil>
	// fallback: names[0] is "soap", want one of ["mcp" "sdk" "rest"]
}

func ExampleChain_Tiers() {
	docs, _ := fallback.New([]fallback.Tier[string, string]{{Name: "mcp", Call: answer("", nil)}, {Name: "rest", Call: answer("", nil)}})
	fmt.Println(docs.Tiers())
	// Output: [mcp rest]
}

func ExampleWithFallIf() {
	errNotFound := errors.New("not found")
	docs, _ := fallback.New([]fallback.Tier[string, string]{
		{Name: "mcp", Call: answer("", errNotFound)},
		{Name: "rest", Call: answer("slow ", nil)},
	}, fallback.WithFallIf(func(err error) bool { return !errors.Is(err, errNotFound) }))
	_, err := docs.Do(context.Background(), "7")
	fmt.Println(err)
	// Output: not found
}

func ExampleWithObserver() {
	docs, _ := fallback.New([]fallback.Tier[string, string]{
		{Name: "mcp", Call: answer("", errors.New("timeout"))},
		{Name: "rest", Call: answer("slow ", nil)},
	}, fallback.WithObserver(func(_ context.Context, t fallback.Trace) {
		fmt.Println("served by", t.Tier, "after", len(t.Attempts), "attempt")
	}))
	_, _ = docs.Do(context.Background(), "7")
	// Output: served by rest after 1 attempt
}

func ExampleAllTiersFailedError() {
	docs, _ := fallback.New([]fallback.Tier[string, string]{
		{Name: "mcp", Call: answer("", nil), Guards: []fallback.Guard{resting(time.Minute)}},
		{Name: "rest", Call: answer("", nil), Guards: []fallback.Guard{resting(10 * time.Second)}},
	})
	_, err := docs.Do(context.Background(), "7")

	var all *fallback.AllTiersFailedError
	if errors.As(err, &all) {
		fmt.Println(len(all.Attempts), "tiers; ask again in", all.RetryAfter())
	}
	fmt.Println(errors.Is(err, fallback.ErrAllTiersFailed))
	// Output:
	// 2 tiers; ask again in 10s
	// true
}

func ExampleAllTiersFailedError_RetryAfter() {
	docs, _ := fallback.New([]fallback.Tier[string, string]{
		{Name: "mcp", Call: answer("", nil), Guards: []fallback.Guard{resting(time.Minute)}},
		{Name: "rest", Call: answer("", errors.New("timeout"))},
	})
	_, err := docs.Do(context.Background(), "7")

	var all *fallback.AllTiersFailedError
	fmt.Println(errors.As(err, &all), all.RetryAfter()) // a tier was asked and failed: nobody knows
	// Output: true 0s
}
