package redisstore_test

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
	"github.com/commontrip/commontrip/store/storetest"
	"github.com/commontrip/commontrip/tests/redistest"
)

func harness(t testing.TB, url string) storetest.Harness { return harnessOf(t, url, url) }

// harnessOf gives every law an empty server: wiped by way of one URL, used by way of the other.
func harnessOf(t testing.TB, admin, url string) storetest.Harness {
	options, err := redis.ParseURL(admin)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	t.Cleanup(func() { client.Close() })
	flush := func(t testing.TB) {
		if err := client.FlushAll(context.Background()).Err(); err != nil {
			t.Fatal(err)
		}
	}
	flush(t)
	open := func(t testing.TB, options ...redisstore.Option) store.Store {
		s, err := redisstore.Open(url, append(options, redisstore.WithTimeout(30*time.Second))...)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	return storetest.Harness{
		Open:     func(t testing.TB, now func() time.Time) store.Store { return open(t, redisstore.WithClock(now)) },
		Wipe:     flush,
		OpenReal: func(t testing.TB) store.Store { return open(t) },
	}
}

func TestConformanceOnRedis(t *testing.T) {
	srv := redistest.Start(t)
	storetest.Run(t, func(t testing.TB) storetest.Harness {
		h := harness(t, srv.SocketURL())
		h.Cut = func(t testing.TB) {
			if line, err := srv.Command("CLIENT", "KILL", "TYPE", "pubsub"); err != nil || !strings.HasPrefix(line, ":") {
				t.Fatalf("subscriptions are not ended: %q, %v", line, err)
			}
		}
		return h
	})
}

// With -short it is for machines without a redis-server.
func TestConformanceOnMiniredis(t *testing.T) {
	if _, err := exec.LookPath("redis-server"); err == nil && testing.Short() {
		t.Skip("TestConformanceOnRedis plays the laws")
	}
	srv := miniredis.RunT(t)
	storetest.Run(t, func(t testing.TB) storetest.Harness { return harness(t, "redis://"+srv.Addr()) })
}
