package breaker_test

import (
	"context"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
)

// slowPolicy opens on slow calls only.
var slowPolicy = breaker.Policy{
	WindowCalls: 20, MinCalls: 10, SlowCallRate: 0.5, SlowCallAfter: time.Second, OpenFor: 5 * time.Second,
}

// lasting is a call that takes that long and succeeds, unless its context ends before.
func lasting(d time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// A tier that always takes 5 s was closed nine times in half an hour, by the slow probes that found it slow.
func TestASlowTierStaysOutUntilItsProbesAreInTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := solo(t, breaker.WithPolicy(slowPolicy))
		times(10, func() { _ = b.Run(t.Context(), lasting(5*time.Second)) })
		wantState(t, b, breaker.Open)
		reached := 0
		for end := time.Now().Add(30 * time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			_ = b.Run(t.Context(), func(ctx context.Context) error { reached++; return lasting(5 * time.Second)(ctx) })
			if b.State() == breaker.Closed {
				t.Fatalf("slow probes closed it after %d calls", reached)
			}
		}
		if reached < 100 || reached > 200 {
			t.Errorf("%d calls reached a tier that is probed each 10 s for half an hour", reached)
		}
		times(100, func() {
			_ = b.Run(t.Context(), lasting(time.Second))
			time.Sleep(100 * time.Millisecond)
		})
		wantState(t, b, breaker.Closed)
	})
}
