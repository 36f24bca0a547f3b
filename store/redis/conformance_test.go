package redisstore_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/commontrip/commontrip/internal/lab/relay"
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
		way := &watchWay{silent: &atomic.Bool{}}
		network, err := relay.Start(srv.Addr(), way.carry)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(network.Close)
		h := harnessOf(t, srv.SocketURL(), "redis://"+network.Addr())
		h.Cut = func(t testing.TB) {
			if line, err := srv.Command("CLIENT", "KILL", "TYPE", "pubsub"); err != nil || !strings.HasPrefix(line, ":") {
				t.Fatalf("subscriptions are not ended: %q, %v", line, err)
			}
		}
		if !testing.Short() { // 12 s of silence
			h.Silence = func(testing.TB) { way.silence() }
		}
		h.Freeze = func(t testing.TB, name string) { freeze(t, srv.Addr(), name) }
		return h
	})
}

// With -short it is for machines without a redis-server.
func TestConformanceOnMiniredis(t *testing.T) {
	if _, err := exec.LookPath("redis-server"); err == nil && testing.Short() {
		t.Skip("TestConformanceOnRedis plays the laws")
	}
	srv := miniredis.RunT(t)
	storetest.Run(t, func(t testing.TB) storetest.Harness {
		h := harness(t, "redis://"+srv.Addr())
		open := h.Open
		clock := &forward{ttl: srv.FastForward}
		h.Open = func(t testing.TB, now func() time.Time) store.Store { return open(t, clock.follow(now)) }
		h.Names = func(testing.TB) int {
			clock.begin()
			return len(slices.DeleteFunc(srv.Keys(), func(key string) bool { return key == "commontrip:names" }))
		}
		h.Freeze = func(t testing.TB, name string) { freeze(t, srv.Addr(), name) }
		return h
	})
}

// forward lets the lives of keys pass with the clock of a law that counts names. Other laws look at what is there after just a day.
type forward struct {
	ttl   func(time.Duration)
	mu    sync.Mutex
	begun bool
	last  time.Time
}

func (f *forward) begin() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.begun = true
}

// follow is the clock, which tells its steps forward before a request has its time.
func (f *forward) follow(now func() time.Time) func() time.Time {
	return func() time.Time {
		f.mu.Lock()
		defer f.mu.Unlock()
		at := now()
		if f.begun && at.After(f.last) {
			f.ttl(at.Sub(f.last))
		}
		f.last = at
		return at
	}
}

// freeze sends half of a request about a breaker, and keeps the connection until the test ends.
func freeze(t testing.TB, addr, name string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	key := "commontrip:{" + name + "}"
	if _, err := fmt.Fprintf(conn, "*3\r\n$4\r\nHSET\r\n$%d\r\n%s\r\n$10\r\nhalf", len(key), key); err != nil {
		t.Fatal(err)
	}
}

// watchWay carries connections, and can make those that subscribed carry nothing any more.
type watchWay struct {
	mu     sync.Mutex
	silent *atomic.Bool // of the connections that subscribe from now on
}

func (w *watchWay) silence() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.silent.Store(true)
	w.silent = &atomic.Bool{}
}

// carry implements [relay.Carry].
func (w *watchWay) carry(client, server *net.TCPConn) {
	var silent atomic.Pointer[atomic.Bool]
	var ways sync.WaitGroup
	copyTo := func(to, from *net.TCPConn, see func([]byte)) {
		defer to.Close()
		for buffer := make([]byte, 16<<10); ; {
			n, err := from.Read(buffer)
			if err != nil {
				return
			}
			see(buffer[:n])
			if s := silent.Load(); s != nil && s.Load() {
				continue
			}
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
	}
	ways.Go(func() {
		copyTo(server, client, func(request []byte) {
			if bytes.Contains(bytes.ToLower(request), []byte("subscribe")) {
				w.mu.Lock()
				silent.Store(w.silent)
				w.mu.Unlock()
			}
		})
	})
	ways.Go(func() { copyTo(client, server, func([]byte) {}) })
	ways.Wait()
}
