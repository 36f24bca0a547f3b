package chaos

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/commontrip/commontrip/breaker"
	redisstore "github.com/commontrip/commontrip/store/redis"
	"github.com/commontrip/commontrip/tests/redistest"
)

const listeners = 32

// BenchmarkPush measures from just before a trip is commanded until the last of 32 Managers refuses, against a bare
// script that publishes to 32 subscribers, in one run.
func BenchmarkPush(b *testing.B) {
	server := redistest.Start(b)
	b.Run("bare-script", func(b *testing.B) { benchBarePush(b, server.Addr()) })
	b.Run("trip", func(b *testing.B) { benchTrip(b, server.URL()) })
}

func benchBarePush(b *testing.B, addr string) {
	ctx := context.Background()
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer func() { _ = client.Close() }()
	heard := make(chan struct{}, listeners)
	for range listeners {
		own := redis.NewClient(&redis.Options{Addr: addr})
		sub := own.Subscribe(ctx, "bare")
		if _, err := sub.Receive(ctx); err != nil {
			b.Fatal(err)
		}
		defer func() { _ = sub.Close(); _ = own.Close() }()
		go func() {
			for range sub.Channel() {
				heard <- struct{}{}
			}
		}()
	}
	script := redis.NewScript(`redis.call('HSET', KEYS[1], 'n', ARGV[1]) return redis.call('PUBLISH', 'bare', ARGV[1])`)
	var took samples
	for i := 0; b.Loop(); i++ {
		start := time.Now()
		if err := script.Run(ctx, client, []string{"bare-hash"}, i).Err(); err != nil {
			b.Fatal(err)
		}
		for range listeners {
			<-heard
		}
		took = append(took, time.Since(start))
	}
	took.report(b)
}

func benchTrip(b *testing.B, url string) {
	ctx := context.Background()
	operator, err := redisstore.Open(url)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = operator.Close() }()
	var mu sync.Mutex
	last := map[string]uint64{}
	news := make(chan struct{}, 1)
	for i := range listeners {
		name := fmt.Sprintf("web-%d", i)
		joinManager(b, url, name, tierName, breaker.WithListener(func(e breaker.Event) {
			mu.Lock()
			last[name] = max(last[name], e.Transition.Generation)
			mu.Unlock()
			select {
			case news <- struct{}{}:
			default:
			}
		}))
	}
	all := func(generation uint64) bool {
		mu.Lock()
		defer mu.Unlock()
		for _, heard := range last {
			if heard < generation {
				return false
			}
		}
		return len(last) == listeners
	}
	var took samples
	for i := 0; b.Loop(); i++ {
		action := []breaker.Action{breaker.Trip, breaker.Reset}[i%2]
		start := time.Now()
		done, err := operator.Command(ctx, breaker.Command{Name: tierName, Action: action, By: "bench"})
		if err != nil {
			b.Fatal(err)
		}
		for !all(done.Snapshot.Generation) {
			<-news
		}
		took = append(took, time.Since(start))
	}
	took.report(b)
}

type samples []time.Duration

func (s samples) report(b *testing.B) {
	slices.Sort(s)
	b.ReportMetric(float64(s[len(s)/2].Microseconds()), "p50-us")
	b.ReportMetric(float64(s[len(s)*99/100].Microseconds()), "p99-us")
	b.ReportMetric(float64(s[len(s)-1].Microseconds()), "max-us")
}
