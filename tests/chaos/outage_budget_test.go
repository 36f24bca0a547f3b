package chaos

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/redistest"
)

// Twenty Managers call one breaker hundreds of thousands of times a second, one call in a hundred fails. What Redis runs is
// bounded by the budget and not by the traffic.
func TestRedisRunsScriptsByTheBudgetNotByTheTraffic(t *testing.T) {
	server := redistest.Start(t)
	ctx, stop := context.WithCancel(context.Background())
	var workers sync.WaitGroup
	defer workers.Wait()
	defer stop()
	var fleet []*breaker.Breaker
	for i := range 20 {
		b := join(t, server.URL(), fmt.Sprintf("web-%d", i), tierName)
		fleet = append(fleet, b)
	}
	for range 2 {
		workers.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if n%500 == 0 {
					pass(time.Millisecond) // the exchanges want the processor, too
				}
				_ = fleet[n%len(fleet)].Run(ctx, func(context.Context) error {
					if n%101 == 0 {
						return errTier
					}
					return nil
				})
			}
		})
	}
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer func() { _ = client.Close() }()
	pass(2 * time.Second) // every Manager has learnt how many they are
	start := time.Now()   // before the count: what a busy machine does in between makes the rate less, not more
	before := scripts(t, client)
	pass(3 * time.Second)
	after := 0
	await.Until(t, "the fleet reports", func() bool {
		after = scripts(t, client)
		return after > before+len(fleet)
	})
	perSecond := float64(after-before) / time.Since(start).Seconds()
	t.Logf("%.0f scripts/s", perSecond)
	if perSecond > 600 {
		t.Errorf("Redis runs %.0f scripts/s for one breaker, want at most 600", perSecond)
	}
}

func scripts(t *testing.T, client *redis.Client) int {
	t.Helper()
	info, err := client.Info(context.Background(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for line := range strings.Lines(info) {
		if !strings.HasPrefix(line, "cmdstat_eval") {
			continue
		}
		_, rest, _ := strings.Cut(line, "calls=")
		count, _, _ := strings.Cut(rest, ",")
		n, err := strconv.Atoi(count)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		total += n
	}
	return total
}
