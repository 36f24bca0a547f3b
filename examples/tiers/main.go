// One question, three tiers: the fast one first, then the reliable one, then the last resort. Each has its own guards.
//
// Try CIRCUIT_BREAKER__SDK__CONSECUTIVE_FAILURES=1, or RETRY_ATTEMPTS=1: the environment is read.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/config"
	"github.com/commontrip/commontrip/fallback"
	"github.com/commontrip/commontrip/health"
	"github.com/commontrip/commontrip/retry"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

type (
	query struct{ ID string }
	doc   struct{ Text string }
)

// The tiers. The first does not answer its health checks, the second is overloaded, the third works.
func pingMCP(context.Context) error { return errors.New("no route to host") }

func viaMCP(context.Context, query) (doc, error) { return doc{}, errors.New("no route to host") }

func viaSDK(context.Context, query) (doc, error)      { return doc{}, errors.New("too many requests") }
func viaREST(_ context.Context, q query) (doc, error) { return doc{Text: "document " + q.ID}, nil }

func main() {
	ctx := context.Background()

	// Settings come from the environment; what it does not set has these defaults. A bad variable is refused, by name.
	env, err := config.From(append([]string{
		"CIRCUIT_BREAKER_CONSECUTIVE_FAILURES=4",
		"RETRY_ATTEMPTS=2",
		"RETRY_DELAY=10ms",
		"HEALTH_CHECK_DOWN_AFTER=1",
	}, os.Environ()...))
	check(err)

	// A breaker for each tier, in one manager.
	m, err := breaker.NewManager(memorystore.New(), env.ManagerOptions()...)
	check(err)
	defer m.Close(ctx)
	guard := func(name string) *breaker.Breaker {
		b, err := m.Register(ctx, name, breaker.WithPolicy(env.PolicyFor(name)))
		check(err)
		return b
	}
	mcp, sdk, rest := guard("mcp"), guard("sdk"), guard("rest")

	// Retries stand outside of the breaker: each attempt is evidence. A tier that is being checked is not asked while down.
	again, err := retry.New(env.Retry)
	check(err)
	checks, err := health.New(env.Health, []health.Check{{Name: "mcp", Run: pingMCP, Breaker: mcp, Feed: health.FeedProbes}})
	check(err)
	check(checks.Start())
	defer checks.Close(ctx)
	mcpUp, err := checks.Guard("mcp")
	check(err)
	_, _ = checks.Check(ctx, "mcp") // now, so that this program need not wait for the first one

	docs, err := fallback.New([]fallback.Tier[query, doc]{
		{Name: "mcp", Call: viaMCP, Guards: []fallback.Guard{mcpUp, again, mcp}, Timeout: time.Second},
		{Name: "sdk", Call: viaSDK, Guards: []fallback.Guard{again, sdk}},
		{Name: "rest", Call: viaREST, Guards: []fallback.Guard{rest}},
	})
	check(err)

	for i := range 3 {
		answer, trace, err := docs.Trace(ctx, query{ID: fmt.Sprint(i)})
		check(err)
		fmt.Printf("%q by %s\n", answer.Text, trace.Tier)
		for _, a := range trace.Attempts {
			outcome := "failed"
			if a.Skipped {
				outcome = "skipped"
			}
			fmt.Printf("  %s %s: %s\n", a.Tier, outcome, reason(a.Err))
		}
	}
}

// reason is the error that matters, without how long it took.
func reason(err error) error {
	var gaveUp *retry.ExhaustedError
	if errors.As(err, &gaveUp) {
		return fmt.Errorf("%d attempts, the last: %w", gaveUp.Attempts, gaveUp.Last)
	}
	return err
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
