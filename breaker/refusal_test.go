package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/breaker"
)

// bulkhead is a guard of another library: full, and it says so in its own way.
type bulkhead struct{ err error }

func (b bulkhead) Run(context.Context, func(context.Context) error) error { return b.err }

// errFull has the one shape that all guards share.
type errFull struct{}

func (errFull) Error() string { return "the bulkhead is full" }
func (errFull) Refused() bool { return true }

func TestARefusalOfAGuardInsideSaysNothingOfTheTier(t *testing.T) {
	// Five refusals of an inner breaker opened the outer one, which outlived it, and an operator's reset was undone at once.
	inner := solo(t)
	if _, err := inner.Command(t.Context(), breaker.Command{Action: breaker.ForceOpen, By: "test"}); err != nil {
		t.Fatal(err)
	}
	full := errors.New("full")
	for name, run := range map[string]func(context.Context, func(context.Context) error) error{
		"a breaker": inner.Run,
		"a breaker, wrapped": func(ctx context.Context, fn func(context.Context) error) error {
			return fmt.Errorf("users: %w", inner.Run(ctx, fn))
		},
		"ErrOpen itself":                bulkhead{breaker.ErrOpen}.Run,
		"another library's bulkhead":    bulkhead{errFull{}}.Run,
		"one that is made to say so":    bulkhead{breaker.AsRefusal(full)}.Run,
		"two guards, and both refuse":   bulkhead{errors.Join(errFull{}, breaker.ErrOpen)}.Run,
		"an error made for such a test": bulkhead{breaker.NewOpenError("db", breaker.RefusedOpen, time.Second)}.Run,
	} {
		t.Run(name, func(t *testing.T) {
			outer := solo(t)
			times(20, func() {
				if err := outer.Run(t.Context(), func(ctx context.Context) error { return run(ctx, succeed) }); err == nil {
					t.Fatal("not refused")
				}
			})
			wantState(t, outer, breaker.Closed)
			if s, _ := outer.Snapshot(t.Context()); s.Totals.Ignored != 20 || s.Totals.Calls != 0 {
				t.Errorf("%+v; want 20 ignored", s.Totals)
			}
		})
	}
}

func TestARefusalBesideAFailureIsAFailure(t *testing.T) {
	// One of two tiers was asked, and failed.
	for name, err := range map[string]error{
		"joined":        errors.Join(breaker.ErrOpen, errTier),
		"in one format": fmt.Errorf("%w, before: %w", errFull{}, errTier),
		"in a panic":    errors.Join(breaker.ErrPanic, breaker.ErrOpen),
	} {
		t.Run(name, func(t *testing.T) {
			b := solo(t)
			times(5, func() { _ = b.Run(t.Context(), bulkhead{err}.fail) })
			wantState(t, b, breaker.Open)
		})
	}
}

func (b bulkhead) fail(context.Context) error { return b.err }

func TestARefusalIsTold(t *testing.T) {
	full := errors.New("full")
	for _, c := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{errTier, false},
		{breaker.ErrOpen, true},
		{fmt.Errorf("a: %w", errFull{}), true},
		{breaker.AsRefusal(full), true},
		{errors.Join(errTier, errFull{}), false},
	} {
		if got := breaker.IsRefusal(c.err); got != c.want {
			t.Errorf("%v is a refusal: %v, want %v", c.err, got, c.want)
		}
	}
	if err := breaker.AsRefusal(full); !errors.Is(err, full) || err.Error() != full.Error() {
		t.Errorf("the mark hides %v", err)
	}
}

func TestACallNestedInAProbeRunsUnderIt(t *testing.T) {
	// The inner call was refused as RefusedProbing, which failed the outer one: such a breaker never closed.
	nested := func(b *breaker.Breaker, n *atomic.Int64, inner error) func(context.Context) error {
		return func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(context.WithValue(ctx, &ctx, 1), time.Minute)
			defer cancel()
			_, err := breaker.Do(ctx, b, func(ctx context.Context) (int, error) {
				p, err := b.Acquire(ctx)
				if err != nil {
					return 0, err
				}
				if p.Probe() {
					return 0, errors.New("a part of a probe says that it is one")
				}
				n.Add(1)
				p.Done(inner) // counts for nothing: the probe's own outcome decides
				return 1, p.Context().Err()
			})
			return err
		}
	}
	t.Run("one caller", func(t *testing.T) {
		inVirtualTime(t, func(t *testing.T) {
			var n atomic.Int64
			b := halfOpen(t, short)
			if err := b.Run(t.Context(), nested(b, &n, errTier)); err != nil {
				t.Fatal(err)
			}
			wantState(t, b, breaker.Closed)
			if s, _ := b.Snapshot(t.Context()); n.Load() != 1 || s.Totals.Calls != 4 || s.Totals.Failures != 3 {
				t.Errorf("%d inner calls, %+v; want 1, and one success beside the 3 failures", n.Load(), s.Totals)
			}
		})
	})
	t.Run("ten callers", func(t *testing.T) {
		inVirtualTime(t, func(t *testing.T) {
			var n atomic.Int64
			p := short
			p.Probes, p.ProbeSuccesses = 3, 2
			b := halfOpen(t, p)
			var wg sync.WaitGroup
			for range 10 {
				wg.Go(func() {
					if err := b.Run(t.Context(), nested(b, &n, nil)); err != nil && !errors.Is(err, breaker.ErrOpen) {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			wantState(t, b, breaker.Closed)
		})
	})
	t.Run("a failing one fails the probe", func(t *testing.T) {
		inVirtualTime(t, func(t *testing.T) {
			b := halfOpen(t, short)
			if err := b.Run(t.Context(), func(ctx context.Context) error { return b.Run(ctx, fail) }); !errors.Is(err, errTier) {
				t.Fatal(err)
			}
			wantState(t, b, breaker.Open)
		})
	})
	t.Run("a probe that is settled has no parts", func(t *testing.T) {
		inVirtualTime(t, func(t *testing.T) {
			p := short
			p.ProbeSuccesses = 2
			b := halfOpen(t, p)
			first, err := b.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			first.Done(nil)
			second, err := b.Acquire(first.Context())
			if err != nil || !second.Probe() {
				t.Fatalf("no probe of its own: %v", err)
			}
			second.Done(nil)
			wantState(t, b, breaker.Closed)
		})
	})
	t.Run("another breaker's probe is none of this", func(t *testing.T) {
		inVirtualTime(t, func(t *testing.T) {
			a, b := halfOpen(t, short), halfOpen(t, short)
			time.Sleep(time.Second)
			if err := a.Run(t.Context(), func(ctx context.Context) error { return b.Run(ctx, succeed) }); err != nil {
				t.Fatal(err)
			}
			wantState(t, a, breaker.Closed)
			wantState(t, b, breaker.Closed)
		})
	})
	t.Run("a later call under its context is a call like any", func(t *testing.T) {
		// It was taken for the probe, which was settled already, and so its outcome was lost.
		inVirtualTime(t, func(t *testing.T) {
			b := halfOpen(t, short)
			probe, err := b.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			probe.Done(nil)
			wantState(t, b, breaker.Closed)
			times(3, func() { _ = b.Run(probe.Context(), fail) })
			wantState(t, b, breaker.Open)
		})
	})
	t.Run("another breaker's outcome is not the probe's", func(t *testing.T) {
		// A failure inside settled the probe around it, and was missing where it belonged.
		inVirtualTime(t, func(t *testing.T) {
			b, inner := halfOpen(t, short), solo(t, breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 1}))
			if err := b.Run(t.Context(), func(ctx context.Context) error { _ = inner.Run(ctx, fail); return nil }); err != nil {
				t.Fatal(err)
			}
			wantState(t, b, breaker.Closed)
			wantState(t, inner, breaker.Open)
		})
	})
	t.Run("in a fleet", func(t *testing.T) {
		inVirtualTime(t, func(t *testing.T) {
			var n atomic.Int64
			r := newFleet(t).replica(breaker.WithPolicy(streak))
			defer r.close()
			b := r.register(t, "tier")
			times(5, func() { _ = b.Run(t.Context(), fail) })
			_ = r.Sync(t.Context())
			wantState(t, b, breaker.Open)
			time.Sleep(11 * time.Second)
			times(2, func() {
				if err := b.Run(t.Context(), nested(b, &n, errTier)); err != nil {
					t.Error(err)
				}
				synctest.Wait()
				time.Sleep(100 * time.Millisecond)
			})
			wantState(t, b, breaker.Closed)
		})
	})
}
