package chaos

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/chaos/replica"
	"github.com/commontrip/commontrip/tests/chaos/respfault"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
	"github.com/commontrip/commontrip/tests/redistest"
)

// slowness is a way in which Redis is there and of little use.
type slowness struct {
	name   string
	client replica.Client
	begin  func(*slowWorld)
	end    func(*slowWorld)
	pushes bool // a command beside the slowness is still carried out and pushed
}

// slowWorld is one replica process behind a proxy.
type slowWorld struct {
	t      *testing.T
	server *redistest.Server
	proxy  *respfault.Proxy
	admin  *redis.Client // beside the proxy
	lasts  time.Duration
}

// Redis is slow for a share of the requests, paused, busy with a script without end, short of connections, or reached through
// one connection. Two goroutines call at full speed meanwhile: none of them waits or fails, and the replica opens when the
// fleet does.
func TestScenario11TheStoreIsSlowOrSaturated(t *testing.T) {
	scenario := scoreboard.Start(t, 11, "slow or saturated store")
	slownesses := []slowness{
		delayed(100, replica.OwnClient),
		{"CLIENT PAUSE", replica.OwnClient, func(w *slowWorld) { w.do("CLIENT", "PAUSE", w.lasts.Milliseconds(), "ALL") }, nil, false},
		{"endless script", replica.OwnClient, busy, endBusy, false},
		{"maxclients", replica.OwnClient, crowded, endCrowded, false},
		{"one connection, 2 s slow", replica.DefaultClient, delayed(100, "").begin, heal, true},
	}
	if scenario.Full() {
		slownesses = append(slownesses, delayed(10, replica.OwnClient), delayed(50, replica.OwnClient))
	}
	for _, s := range slownesses {
		slow(t, scenario, s)
	}
}

// delayed makes a share of the requests take longer and longer, up to two seconds.
func delayed(percent int, client replica.Client) slowness {
	return slowness{fmt.Sprintf("%d %% of requests 0 to 2 s late", percent), client, func(w *slowWorld) {
		var n atomic.Uint64
		const steps = 10
		for step := range steps {
			w.proxy.On(respfault.Any, respfault.Rule{
				Wait: 2 * time.Second * time.Duration(step+1) / steps,
				Only: func(respfault.Request) bool { return n.Add(1)*uint64(percent)%100 < uint64(percent) },
			})
			pass(w.lasts / steps)
		}
	}, heal, true}
}

func heal(w *slowWorld) { w.proxy.Heal() }

// busy runs a script without end; from a moment on Redis answers BUSY to all others.
func busy(w *slowWorld) {
	w.do("CONFIG", "SET", "busy-reply-threshold", "50")
	go func() { _ = w.admin.Eval(context.Background(), "while true do end", nil).Err() }() // ends with SCRIPT KILL
	await.Until(w.t, "Redis is busy", func() bool {
		return w.admin.Ping(context.Background()).Err() != nil
	})
}

func endBusy(w *slowWorld) {
	await.Until(w.t, "the script is ended", func() bool {
		_ = w.admin.ScriptKill(context.Background()).Err()
		return w.admin.Ping(context.Background()).Err() == nil
	})
}

// crowded lets Redis accept nobody but the admin, and ends the connections of now.
func crowded(w *slowWorld) {
	w.do("PING")
	w.do("CONFIG", "SET", "maxclients", "1")
	w.proxy.Sever(respfault.Close)
}

func endCrowded(w *slowWorld) { w.do("CONFIG", "SET", "maxclients", "10000") }

func (w *slowWorld) do(args ...any) {
	w.t.Helper()
	if err := w.admin.Do(context.Background(), args...).Err(); err != nil && !errors.Is(err, redis.Nil) {
		w.t.Fatalf("%v: %v", args, err)
	}
}

// slow plays one slowness.
func slow(t *testing.T, scenario *scoreboard.Scenario, s slowness) {
	t.Helper()
	server := redistest.Start(t)
	w := &slowWorld{
		t: t, server: server, proxy: respfault.Start(t, server.Addr()), lasts: scoreboard.Pick(scenario, 2500*time.Millisecond, 10*time.Second),
		admin: redis.NewClient(&redis.Options{Addr: server.Addr(), PoolSize: 2, MaxRetries: -1}),
	}
	defer func() { _ = w.admin.Close() }()
	r := replica.Start(t, replica.Config{
		URL: w.proxy.URL(), Client: s.client, PoolSize: 1, Name: "web-1", Breaker: tierName, Policy: steady(store.Closed),
		Timing: breaker.Timing{StartTimeout: replica.Deadline},
	})
	calm := loaded(r, w.lasts, func() {})
	r.Do(replica.Request{Do: replica.Load, Workers: 2})
	connections := watchConnections(w.proxy)
	began := time.Now()
	s.begin(w)
	if left := w.lasts - time.Since(began); left > 0 {
		pass(left)
	}
	name := func(what string) string { return s.name + ": " + what }
	if s.pushes {
		fleet := operator(t, server.URL())
		scenario.Within(name("behind"), behind(t, fleet, r), time.Second)
		command(t, fleet, store.Command{Action: store.Reset})
	}
	if s.end != nil {
		s.end(w)
	}
	most := connections()
	calls := r.Do(replica.Request{Do: replica.Unload}).Calls
	fleet := operator(t, server.URL())
	await.Until(t, "the store is back", func() bool { return r.Status().StoreUp })
	converge(t, fleet, r)
	scenario.Zero(name("errors to calls"), int(calls.Broken))
	if !s.pushes {
		scenario.Zero(name("calls refused"), int(calls.Refused))
	}
	scenario.Report(name("calls delayed by more than 1 ms, without and with the fault, of"),
		fmt.Sprintf("%d of %d, %d of %d", calm.Delayed, calm.Made, calls.Delayed, calls.Made))
	scenario.Within(name("largest delay"), calls.MostDelay, 100*time.Millisecond)
	scenario.Within(name("largest delay beside that without the fault"), calls.MostDelay, 2*calm.MostDelay)
	// One exchange, as many probes as there may be, and the subscription.
	scenario.AtMost(name("connections at once"), most, 1+steady(store.Closed).WithDefaults().Probes+1)
	r.Kill()
}

// behind is how long after the store's commit a replica heard of a trip.
func behind(t *testing.T, s *redisstore.Store, r *replica.Replica) time.Duration {
	t.Helper()
	opened := command(t, s, store.Command{Action: store.Trip})
	var late time.Duration
	await.Until(t, "the replica hears of the trip", func() bool {
		for _, e := range r.Events() {
			if e.Transition.Generation == opened.Generation {
				late = e.At.Sub(e.Transition.At)
				return true
			}
		}
		return false
	})
	return late
}

// watchConnections looks at the proxy's connections until it is asked for the most at once.
func watchConnections(p *respfault.Proxy) (most func() int) {
	stop, done := make(chan struct{}), make(chan int)
	go func() {
		most := 0
		for tick := time.Tick(5 * time.Millisecond); ; {
			select {
			case <-stop:
				done <- most
				return
			case <-tick:
				now, _ := p.Connections()
				most = max(most, now)
			}
		}
	}()
	return func() int {
		close(stop)
		return <-done
	}
}
