package chaos

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/redistest"
)

// load calls from two goroutines until it is stopped, and keeps what calls had to bear. It pauses after every few hundred
// calls, so that it does not take the processor from what it waits for.
type load struct {
	stop     atomic.Bool
	done     sync.WaitGroup
	calls    atomic.Uint64
	failed   atomic.Uint64
	admitted atomic.Uint64
	longest  largest // of a call
	stalled  largest // of a goroutine that does the same, and calls nothing
}

// largest keeps the greatest of many times.
type largest struct{ ns atomic.Int64 }

func (l *largest) note(d time.Duration) {
	for most := l.ns.Load(); int64(d) > most && !l.ns.CompareAndSwap(most, int64(d)); most = l.ns.Load() {
	}
}

func (l *largest) get() time.Duration { return time.Duration(l.ns.Load()) }

func startLoad(b *breaker.Breaker) *load {
	l := &load{}
	for range 2 {
		l.every(&l.longest, func() {
			err := b.Run(context.Background(), func(context.Context) error { l.admitted.Add(1); return nil })
			l.calls.Add(1)
			if err != nil && !errors.Is(err, breaker.ErrOpen) {
				l.failed.Add(1)
			}
		})
	}
	l.every(&l.stalled, func() {})
	return l
}

// every does something over and over, and notes how long it took.
func (l *load) every(took *largest, do func()) {
	l.done.Go(func() {
		for n := 0; !l.stop.Load(); n++ {
			start := time.Now()
			do()
			took.note(time.Since(start))
			if n%500 == 0 {
				pass(time.Millisecond)
			}
		}
	})
}

func (l *load) end() {
	l.stop.Store(true)
	l.done.Wait()
}

// Redis hangs while two goroutines call, until the replica has found out and for some time more. No call fails, none waits
// for Redis, and afterwards the fleet is one again.
func TestAHungRedisDelaysNoCallAndFailsNone(t *testing.T) {
	server := redistest.Start(t)
	b, m := joinManager(t, server.URL(), "web-1", tierName)

	storm := startLoad(b)
	server.Stop()
	stopped := time.Now()
	await.Until(t, "the replica says that it stands on its own verdict", func() bool { return b.Status().Verdict == breaker.Own })
	pass(time.Second)
	hung := time.Since(stopped)
	server.Cont()
	storm.end()
	t.Logf("longest of %d calls with Redis hung for %v: %v; of a goroutine that called nothing: %v",
		storm.calls.Load(), hung, storm.longest.get(), storm.stalled.get())

	if n := storm.failed.Load(); n != 0 {
		t.Errorf("%d calls failed because of the store", n)
	}
	if storm.admitted.Load() != storm.calls.Load() {
		t.Errorf("%d of %d calls were refused by a closed breaker", storm.calls.Load()-storm.admitted.Load(), storm.calls.Load())
	}
	// A call that waits for Redis takes the store's timeout, a second, or until Redis is back.
	if longest := storm.longest.get(); longest > 500*time.Millisecond+4*storm.stalled.get() {
		t.Errorf("a call took %v: it waited for Redis", longest)
	}
	await.Until(t, "the store is back and the fleet's verdict holds", func() bool {
		return m.Status().StoreUp && b.Status().Verdict == breaker.Fleet
	})
}

// An open breaker stays open through an outage of its store, and is probed when its time is over.
func TestAnOpenBreakerStaysOpenThroughAnOutage(t *testing.T) {
	server := redistest.Start(t)
	policy := breaker.Policy{ConsecutiveFailures: 5, OpenFor: 4 * time.Second}
	b := join(t, server.URL(), "web-1", tierName, breaker.WithPolicy(policy))
	opened := time.Now() // not later than it does
	if _, err := b.Command(context.Background(), breaker.Command{Action: breaker.Trip, By: "test"}); err != nil {
		t.Fatal(err)
	}
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
		t.Skipf("not judged: this machine took %v for one command", time.Since(opened))
	}
	await.Until(t, "a call goes through by the replica's own probe", func() bool {
		return b.Run(context.Background(), func(context.Context) error { return nil }) == nil
	})
}
