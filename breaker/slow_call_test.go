package breaker_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
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
	inVirtualTime(t, func(t *testing.T) {
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

// givenUpAfter runs a call of 20 s whose caller cancels it after d.
func givenUpAfter(t *testing.T, b *breaker.Breaker, d time.Duration) error {
	ctx, cancel := context.WithCancel(t.Context())
	defer time.AfterFunc(d, cancel).Stop()
	return b.Run(ctx, lasting(20*time.Second))
}

// Two hundred calls of 20 s that their callers cancelled were Ignored, and the breaker stayed closed.
func TestATierThatHangsOpensThoughItsCallersGiveUp(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		b := solo(t, breaker.WithPolicy(slowPolicy))
		times(50, func() { _ = givenUpAfter(t, b, time.Second) }) // no more than SlowCallAfter: nobody knows
		times(9, func() { _ = givenUpAfter(t, b, time.Second+time.Millisecond) })
		wantState(t, b, breaker.Closed)
		_ = givenUpAfter(t, b, 2*time.Second)
		wantState(t, b, breaker.Open)
		s, err := b.Snapshot(t.Context())
		want := store.Totals{Calls: 10, Slow: 10, Ignored: 50}
		if err != nil || s.Reason != breaker.BySlowCallRate || s.Totals != want {
			t.Fatalf("%+v, %v; want totals %+v", s, err, want)
		}
		if mine := b.Status().Totals; mine.Calls != want.Calls || mine.Slow != want.Slow || mine.Ignored != want.Ignored {
			t.Errorf("the replica counts %+v, the store %+v", mine, want)
		}

		time.Sleep(slowPolicy.OpenFor)
		_ = givenUpAfter(t, b, 2*time.Second) // a slow probe
		wantState(t, b, breaker.Open)
		time.Sleep(slowPolicy.OpenFor)
		_ = givenUpAfter(t, b, time.Second/2) // one that says nothing
		wantState(t, b, breaker.HalfOpen)
	})
}

func TestACallThatWasGivenUpBreaksNoStreakAndIsNoFailure(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		p := slowPolicy
		p.ConsecutiveFailures, p.SlowCallRate = 3, 1
		b := solo(t, breaker.WithPolicy(p))
		times(2, func() { _ = b.Run(t.Context(), fail) })
		times(3, func() { _ = givenUpAfter(t, b, 2*time.Second) })
		wantState(t, b, breaker.Closed)
		_ = b.Run(t.Context(), fail)
		wantState(t, b, breaker.Open)
	})
}

// What is ignored for another reason than its caller's patience says nothing, however long it took.
func TestOtherIgnoredCallsAreNotSlow(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		ours := errors.New("our own fault")
		unjudged := slowPolicy
		unjudged.SlowCallRate, unjudged.ConsecutiveFailures = 0, 5
		for name, c := range map[string]struct {
			policy breaker.Policy
			call   func(b *breaker.Breaker)
		}{
			"an ignored error": {slowPolicy, func(b *breaker.Breaker) {
				_ = b.Run(t.Context(), func(context.Context) error { time.Sleep(2 * time.Second); return ours })
			}},
			"a permit that is given back": {slowPolicy, func(b *breaker.Breaker) {
				p, _ := b.Acquire(t.Context())
				time.Sleep(2 * time.Second)
				p.Record(breaker.Ignored)
			}},
			"no rule judges slow calls": {unjudged, func(b *breaker.Breaker) { _ = givenUpAfter(t, b, 2*time.Second) }},
		} {
			b := solo(t, breaker.WithPolicy(c.policy), breaker.WithIgnore(ours))
			times(20, func() { c.call(b) })
			s, err := b.Snapshot(t.Context())
			if want := (store.Totals{Ignored: 20}); err != nil || s.State != breaker.Closed || s.Totals != want {
				t.Errorf("%s: %v, %+v, %v; want closed, %+v", name, s.State, s.Totals, err, want)
			}
		}
	})
}

func TestARemoteStoreHearsOfSlowCallsThatWereGivenUp(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.replica()
		defer r.close()
		b := r.register(t, "tier", breaker.WithPolicy(slowPolicy))
		times(10, func() { _ = givenUpAfter(t, b, 2*time.Second) })
		time.Sleep(100 * time.Millisecond)
		if s := f.read("tier"); s.State != breaker.Open || s.Reason != breaker.BySlowCallRate || s.Totals.Slow != 10 {
			t.Errorf("%+v", s)
		}
	})
}

func TestACallThatWasAnsweredInTimeIsNotSlowHoweverLongItLasts(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		for name, c := range map[string]struct {
			before, after time.Duration
			calls         int
			want          store.Totals
		}{
			"in time":       {time.Second, time.Hour, 20, store.Totals{Calls: 20}},
			"too late":      {time.Second + 2*time.Millisecond, time.Hour, 10, store.Totals{Calls: 10, Slow: 10}},
			"said again":    {0, 2 * time.Second, 20, store.Totals{Calls: 20}},
			"one in a rush": {0, 0, 20, store.Totals{Calls: 20}},
		} {
			b := solo(t, breaker.WithPolicy(slowPolicy))
			times(c.calls, func() {
				p, err := b.Acquire(t.Context())
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				time.Sleep(c.before)
				p.Answered()
				time.Sleep(c.after)
				p.Answered()
				p.Done(nil)
				p.Answered() // of a call that has ended it says nothing
			})
			if s, err := b.Snapshot(t.Context()); err != nil || s.Totals != c.want {
				t.Errorf("%s: %+v, %v; want %+v", name, s.Totals, err, c.want)
			}
		}
		var none breaker.Permit
		none.Answered()
	})
}
