package outage

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/tests/redistest"
)

// load calls without pause from two goroutines until it is stopped, and keeps what calls had to bear.
type load struct {
	stop     atomic.Bool
	done     sync.WaitGroup
	calls    atomic.Uint64
	failed   atomic.Uint64
	admitted atomic.Uint64
	longest  atomic.Int64 // ns
}

func startLoad(b *breaker.Breaker) *load {
	l := &load{}
	for range 2 {
		l.done.Go(func() {
			for !l.stop.Load() {
				start := time.Now()
				err := b.Run(context.Background(), func(context.Context) error { l.admitted.Add(1); return nil })
				took := int64(time.Since(start))
				for most := l.longest.Load(); took > most && !l.longest.CompareAndSwap(most, took); most = l.longest.Load() {
				}
				l.calls.Add(1)
				if err != nil && !errors.Is(err, breaker.ErrOpen) {
					l.failed.Add(1)
				}
			}
		})
	}
	return l
}

func (l *load) end() {
	l.stop.Store(true)
	l.done.Wait()
}

func pass(d time.Duration) { <-time.After(d) }

const stoppedFor = 5 * time.Second

// Redis hangs for five seconds while two goroutines call without pause. No call fails, none waits for Redis, and
// afterwards the fleet is one again.
func TestAHungRedisDelaysNoCallAndFailsNone(t *testing.T) {
	server := redistest.Start(t)
	m, b := joinTest(t, server.URL(), "web-1")

	calm := startLoad(b)
	pass(time.Second)
	calm.end()

	var lostOnce atomic.Bool
	storm := startLoad(b)
	server.Stop()
	for end := time.Now().Add(stoppedFor); time.Now().Before(end); pass(10 * time.Millisecond) {
		if b.Status().Verdict == breaker.Own {
			lostOnce.Store(true)
		}
	}
	server.Cont()
	storm.end()
	t.Logf("longest of %d calls without a fault %v; of %d with Redis hung for %v: %v",
		calm.calls.Load(), time.Duration(calm.longest.Load()), storm.calls.Load(), stoppedFor, time.Duration(storm.longest.Load()))

	if n := storm.failed.Load(); n != 0 {
		t.Errorf("%d calls failed because of the store", n)
	}
	if storm.admitted.Load() != storm.calls.Load() {
		t.Errorf("%d of %d calls were refused by a closed breaker", storm.calls.Load()-storm.admitted.Load(), storm.calls.Load())
	}
	if longest := time.Duration(storm.longest.Load()); longest > stoppedFor/5 {
		t.Errorf("a call took %v: it waited for Redis", longest)
	}
	if !lostOnce.Load() {
		t.Error("the replica never said that it stands on its own verdict")
	}
	eventually(t, "the store is back and the fleet's verdict holds", func() bool {
		return m.Status().StoreUp && b.Status().Verdict == breaker.Fleet
	})
}

// An open breaker stays open through an outage of its store, and is probed when its time is over.
func TestAnOpenBreakerStaysOpenThroughAnOutage(t *testing.T) {
	server := redistest.Start(t)
	policy := breaker.Policy{ConsecutiveFailures: 5, OpenFor: 4 * time.Second}
	_, b := joinTest(t, server.URL(), "web-1", breaker.WithPolicy(policy))
	if _, err := b.Command(context.Background(), breaker.Command{Action: breaker.Trip, By: "test"}); err != nil {
		t.Fatal(err)
	}
	opened := time.Now()
	server.Stop()
	defer server.Cont()
	refused := 0
	for time.Since(opened) < policy.OpenFor-100*time.Millisecond {
		err := b.Run(context.Background(), func(context.Context) error { return nil })
		var open *breaker.OpenError
		if !errors.As(err, &open) && time.Since(opened) < policy.OpenFor {
			t.Fatalf("after %v of %v a call got %v", time.Since(opened), policy.OpenFor, err)
		}
		refused++
		pass(10 * time.Millisecond)
	}
	if refused == 0 {
		t.Fatal("nothing was called")
	}
	eventually(t, "a call goes through by the replica's own probe", func() bool {
		return b.Run(context.Background(), func(context.Context) error { return nil }) == nil
	})
}
