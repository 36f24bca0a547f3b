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

// Redis hangs while two goroutines call, until the replica has found out and both have called some thousand times more. No
// call fails and none waits for Redis: one that did would wait as long as Redis hangs, and so keep it from being resumed.
func TestAHungRedisDelaysNoCallAndFailsNone(t *testing.T) {
	server := redistest.Start(t)
	b, m := joinManager(t, server.URL()+"?read_timeout=1h&write_timeout=1h", "web-1", tierName)
	var callers [2]struct{ made, admitted, failed atomic.Uint64 }
	ctx, stop := context.WithCancel(context.Background())
	var calling sync.WaitGroup
	defer calling.Wait()
	defer stop()
	for i := range callers {
		c := &callers[i]
		calling.Go(func() {
			for ctx.Err() == nil {
				err := b.Run(context.Background(), func(context.Context) error { c.admitted.Add(1); return nil })
				if err != nil && !errors.Is(err, breaker.ErrOpen) {
					c.failed.Add(1)
				}
				if c.made.Add(1)%500 == 0 {
					pass(time.Millisecond) // what is waited for wants the processor, too
				}
			}
		})
	}
	server.Stop()
	await.Until(t, "the replica says that it stands on its own verdict", func() bool { return b.Status().Verdict == breaker.Own })
	for i := range callers {
		before := callers[i].made.Load()
		await.Until(t, "calls come to their end while Redis hangs", func() bool { return callers[i].made.Load() > before+5000 })
	}
	server.Cont()
	await.Until(t, "the store is back and the fleet's verdict holds", func() bool {
		return m.Status().StoreUp && b.Status().Verdict == breaker.Fleet
	})
	stop()
	calling.Wait()
	for i := range callers {
		c := &callers[i]
		if made, admitted, failed := c.made.Load(), c.admitted.Load(), c.failed.Load(); admitted != made || failed != 0 {
			t.Errorf("of %d calls a closed breaker admitted %d, and %d failed because of the store", made, admitted, failed)
		}
	}
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
