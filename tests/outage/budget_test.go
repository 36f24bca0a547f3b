package outage

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
	"github.com/commontrip/commontrip/tests/redistest"
)

// Twenty Managers call one breaker without pause, one call in a hundred fails. What Redis runs is bounded by the budget
// and not by the traffic.
func TestRedisRunsScriptsByTheBudgetNotByTheTraffic(t *testing.T) {
	server := redistest.Start(t)
	ctx, stop := context.WithCancel(context.Background())
	var workers sync.WaitGroup
	defer workers.Wait()
	defer stop()
	var fleet []*breaker.Breaker
	for i := range 20 {
		_, b := joinTest(t, server.URL(), fmt.Sprintf("web-%d", i))
		fleet = append(fleet, b)
	}
	for range 2 { // two callers without pause; more would only keep the exchanges from the processor
		workers.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
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
	before, start := scripts(t, client), time.Now()
	pass(5 * time.Second)
	perSecond := float64(scripts(t, client)-before) / time.Since(start).Seconds()
	t.Logf("%.0f scripts/s", perSecond)
	if perSecond > 600 {
		t.Errorf("Redis runs %.0f scripts/s for one breaker, want at most 600", perSecond)
	}
	if perSecond < 1 {
		t.Errorf("Redis runs %.0f scripts/s: the fleet does not report", perSecond)
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
