// Package inprocess measures what a guarded call costs inside one process, beside other libraries and beside what any
// breaker must cost: a call, a mutex, a counter that does not make processors wait for each other.
package inprocess

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/sony/gobreaker/v2"
	gozero "github.com/zeromicro/go-zero/core/breaker"

	"github.com/commontrip/commontrip/breaker"
	redisstore "github.com/commontrip/commontrip/store/redis"
)

// loop makes n calls, one after the other.
type loop func(n int)

// contender is one way to guard a call. Open is nil for what never refuses, or only by chance.
type contender struct {
	call         string // how it is called
	name         string
	closed, open loop
}

const rest = time.Hour // of what is open, so that it stays so

var errTier = errors.New("tier failed")

// What is guarded. They are variables, so that no compiler calls them in place.
var (
	value    = func() (int, error) { return 1, nil }
	valueCtx = func(context.Context) (int, error) { return 1, nil }
	plain    = func() error { return nil }
	plainCtx = func(context.Context) error { return nil }
)

// The ways to call.
const (
	byValue  = "gives a value"
	byError  = "gives an error"
	twoSteps = "two steps"
	layers   = "three layers"
)

func floors() []contender {
	var mu sync.Mutex
	var count atomic.Uint64
	var shards [8]struct {
		n atomic.Uint64
		_ [56]byte
	}
	return []contender{
		{byValue, "floor: the call alone", func(n int) {
			for range n {
				_, _ = value()
			}
		}, nil},
		{byValue, "floor: and a mutex", func(n int) {
			for range n {
				mu.Lock()
				_, _ = value()
				mu.Unlock()
			}
		}, nil},
		{byValue, "floor: and an atomic counter", func(n int) {
			for range n {
				_, _ = value()
				count.Add(1)
			}
		}, nil},
		{byValue, "floor: and a sharded counter", func(n int) {
			for range n {
				_, _ = value()
				shards[rand.Uint32()%8].n.Add(1)
			}
		}, nil},
		{byValue, "floor: and two looks at the clock", func(n int) {
			for range n {
				begun := time.Now()
				_, _ = value()
				_ = time.Since(begun)
			}
		}, nil},
	}
}

// ours is commontrip in all its ways. redis is the URL of a server, or "" for none.
func ours(t testing.TB, redis string) []contender {
	closed, open := newBreaker(t, breaker.Policy{}), tripped(t, newBreaker(t, breaker.Policy{OpenFor: rest}))
	slow := breaker.Policy{SlowCallAfter: time.Second, SlowCallRate: 0.5, ConsecutiveFailures: 5, OpenFor: rest}
	window := breaker.Policy{WindowTime: time.Minute, ConsecutiveFailures: 5, OpenFor: rest}
	out := []contender{
		{byValue, "commontrip", doLoop(closed), doLoop(open)},
		{byValue, "commontrip, a minute's window", doLoop(newBreaker(t, window)), doLoop(tripped(t, newBreaker(t, window)))},
		{byValue, "commontrip, slow calls timed", doLoop(newBreaker(t, slow)), doLoop(tripped(t, newBreaker(t, slow)))},
	}
	if redis != "" {
		out = append(out, contender{byValue, "commontrip, shared by Redis", doLoop(onRedis(t, redis, "closed")), doLoop(tripped(t, onRedis(t, redis, "open")))})
	}
	return append(out,
		contender{byError, "commontrip", runLoop(closed), runLoop(open)},
		contender{twoSteps, "commontrip", permitLoop(closed), permitLoop(open)})
}

func newBreaker(t testing.TB, p breaker.Policy) *breaker.Breaker {
	t.Helper()
	b, err := breaker.New("ours", breaker.WithPolicy(p))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func onRedis(t testing.TB, url, name string) *breaker.Breaker {
	t.Helper()
	s, err := redisstore.Open(url)
	if err != nil {
		t.Fatal(err)
	}
	m, err := breaker.NewManager(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = m.Close(context.Background())
		_ = s.Close()
	})
	b, err := m.Register(context.Background(), name, breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 5, Reporters: 1, OpenFor: rest}))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// tripped fails until the breaker refuses.
func tripped(t testing.TB, b *breaker.Breaker) *breaker.Breaker {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		if errors.Is(b.Run(context.Background(), func(context.Context) error { return errTier }), breaker.ErrOpen) {
			return b
		}
	}
	t.Fatal("it does not open")
	return nil
}

func doLoop(b *breaker.Breaker) loop {
	return func(n int) {
		ctx := context.Background()
		for range n {
			_, _ = breaker.Do(ctx, b, valueCtx)
		}
	}
}

func runLoop(b *breaker.Breaker) loop {
	return func(n int) {
		ctx := context.Background()
		for range n {
			_ = b.Run(ctx, plainCtx)
		}
	}
}

func permitLoop(b *breaker.Breaker) loop {
	return func(n int) {
		ctx := context.Background()
		for range n {
			p, err := b.Acquire(ctx)
			if err == nil {
				p.Done(plain())
			}
		}
	}
}

// others are the libraries that people would pick instead.
func others() []contender {
	out := gobreakers("gobreaker, fixed window", 0)
	out = append(out, gobreakers("gobreaker, rolling window", 6*time.Second)...)
	out = append(out, failsafes()...)
	return append(out, gozeros()...)
}

func gobreakers(name string, bucket time.Duration) []contender {
	settings := gobreaker.Settings{Name: name, Interval: time.Minute, BucketPeriod: bucket, Timeout: rest}
	execute := func(b *gobreaker.CircuitBreaker[int]) loop {
		return func(n int) {
			for range n {
				_, _ = b.Execute(value)
			}
		}
	}
	steps := func(b *gobreaker.TwoStepCircuitBreaker[int]) loop {
		return func(n int) {
			for range n {
				if done, err := b.Allow(); err == nil {
					done(plain())
				}
			}
		}
	}
	open, openSteps := gobreaker.NewCircuitBreaker[int](settings), gobreaker.NewTwoStepCircuitBreaker[int](settings)
	for range 10 {
		_, _ = open.Execute(func() (int, error) { return 0, errTier })
		if done, err := openSteps.Allow(); err == nil {
			done(errTier)
		}
	}
	return []contender{
		{byValue, name, execute(gobreaker.NewCircuitBreaker[int](settings)), execute(open)},
		{twoSteps, name, steps(gobreaker.NewTwoStepCircuitBreaker[int](settings)), steps(openSteps)},
	}
}

func newFailsafe[R any]() circuitbreaker.CircuitBreaker[R] {
	return circuitbreaker.NewBuilder[R]().WithFailureThresholdRatio(5, 100).WithDelay(rest).Build()
}

func failsafes() []contender {
	get := func(b circuitbreaker.CircuitBreaker[int]) loop {
		executor := failsafe.With[int](b)
		return func(n int) {
			for range n {
				_, _ = executor.Get(value)
			}
		}
	}
	run := func(b circuitbreaker.CircuitBreaker[any]) loop {
		executor := failsafe.With[any](b)
		return func(n int) {
			for range n {
				_ = executor.Run(plain)
			}
		}
	}
	permit := func(b circuitbreaker.CircuitBreaker[any]) loop {
		return func(n int) {
			for range n {
				if b.TryAcquirePermit() {
					b.RecordError(plain())
				}
			}
		}
	}
	openInt, openAny := newFailsafe[int](), newFailsafe[any]()
	openInt.Open()
	openAny.Open()
	return []contender{
		{byValue, "failsafe-go, executor", get(newFailsafe[int]()), get(openInt)},
		{byError, "failsafe-go, executor", run(newFailsafe[any]()), run(openAny)},
		{twoSteps, "failsafe-go, a permit", permit(newFailsafe[any]()), permit(openAny)},
	}
}

func gozeros() []contender {
	b, steps := gozero.NewBreaker(), gozero.NewBreaker()
	return []contender{
		{byError, "go-zero", func(n int) {
			for range n {
				_ = b.Do(plain)
			}
		}, nil},
		{twoSteps, "go-zero", func(n int) {
			for range n {
				promise, err := steps.Allow()
				if err != nil {
					continue
				}
				if plain() == nil {
					promise.Accept()
				} else {
					promise.Reject("")
				}
			}
		}, nil},
	}
}
