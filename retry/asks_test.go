package retry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/fallback"
	"github.com/commontrip/commontrip/retry"
)

type (
	tier  = fallback.Tier[string, string]
	chain = fallback.Chain[string, string]
)

func mustChain(t *testing.T, tiers ...tier) *chain {
	t.Helper()
	c, err := fallback.New(tiers)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// says is a tier whose answers are errors, the last of them for ever, and then success for nil.
func says(name string, errs ...error) tier {
	return tier{Name: name, Call: func(context.Context, string) (string, error) {
		err := errs[0]
		if len(errs) > 1 {
			errs = errs[1:]
		}
		return name, err
	}}
}

// refuses is a guard that refuses with its error.
type refuses struct{ err error }

func (g refuses) Run(context.Context, func(context.Context) error) error { return g.err }

// refusal is what a guard that refused says.
type refusal struct{ after time.Duration }

func (e *refusal) Error() string             { return "refused" }
func (e *refusal) RetryAfter() time.Duration { return e.after }
func (e *refusal) Refused() bool             { return true }

// The first error with the method was believed, so that a retrier waited 100 ms although a tier had said 30 s.
func TestTheLongestTimeInTheErrorsTreeIsWaited(t *testing.T) {
	const asked = 30 * time.Second
	for name, err := range map[string]error{
		"unknown, then named":    errors.Join(&afterError{0}, &afterError{asked}),
		"named, then unknown":    errors.Join(&afterError{asked}, &afterError{0}),
		"shorter, then longer":   errors.Join(&afterError{time.Second}, fmt.Errorf("b: %w", &afterError{asked})),
		"longer within shorter":  fmt.Errorf("%w: %w", &afterError{time.Second}, &wrapError{&afterError{asked}}),
		"a chain of one tier":    failed(t, says("a", &afterError{asked})),
		"a chain of two":         failed(t, says("a", &afterError{asked}), says("b", errBoom)),
		"a chain, both named it": failed(t, says("a", &afterError{time.Second}), says("b", &afterError{asked})),
		"a chain in a retrier":   &retry.ExhaustedError{Last: failed(t, says("a", &afterError{asked}))},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start, calls := time.Now(), 0
				r := mustNew(t, retry.Policy{Delay: 100 * time.Millisecond, Jitter: retry.NoJitter})
				if got := r.Run(t.Context(), func(context.Context) error {
					if calls++; calls == 1 {
						return err
					}
					return nil
				}); got != nil || time.Since(start) != asked {
					t.Errorf("%v, after %v; want %v", got, time.Since(start), asked)
				}
			})
		})
	}
}

// failed is the error of a chain of those tiers.
func failed(t *testing.T, tiers ...tier) error {
	t.Helper()
	_, err := mustChain(t, tiers...).Do(t.Context(), "x")
	if err == nil {
		t.Fatal("the chain served")
	}
	return err
}

// A tier at rest must not keep a retrier from asking the others again.
func TestAChainIsAskedAgainAsSoonAsOneOfItsTiersMayServe(t *testing.T) {
	resting := func(name string, d time.Duration) tier {
		return tier{Name: name, Call: says(name, nil).Call, Guards: []fallback.Guard{refuses{&refusal{d}}}}
	}
	for name, c := range map[string]struct {
		tiers []tier
		want  time.Duration
	}{
		"one rests, one failed": {[]tier{resting("a", time.Hour), says("b", errBoom, nil)}, 100 * time.Millisecond},
		"one rests, one named":  {[]tier{resting("a", time.Hour), says("b", &afterError{2 * time.Second}, nil)}, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				docs := mustChain(t, c.tiers...)
				got, err := retry.Do(t.Context(), mustNew(t, retry.Policy{Delay: 100 * time.Millisecond, Jitter: retry.NoJitter}),
					func(ctx context.Context) (string, error) { return docs.Do(ctx, "x") })
				if got != "b" || err != nil || time.Since(start) != c.want {
					t.Errorf("%q, %v, after %v; want %v", got, err, time.Since(start), c.want)
				}
			})
		})
	}
}

// One tier's mark ended the retry of a chain whose other tier would have served next time.
func TestAChainsErrorIsPermanentOnlyIfEveryTiersIs(t *testing.T) {
	dead := retry.Permanent(errors.New("no such method"))
	for name, c := range map[string]struct {
		tiers []tier
		calls int
	}{
		"the first tier's": {[]tier{says("a", dead), says("b", errBoom, nil)}, 2},
		"the last tier's":  {[]tier{says("a", errBoom, nil), says("b", dead)}, 2},
		"a skipped tier's": {[]tier{{Name: "a", Call: says("a", nil).Call, Guards: []fallback.Guard{refuses{dead}}}, says("b", dead)}, 3},
		"each tier's":      {[]tier{says("a", dead), says("b", fmt.Errorf("b: %w", dead))}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				docs, calls := mustChain(t, c.tiers...), 0
				_, err := retry.Do(t.Context(), mustNew(t, retry.Policy{Delay: 1}), func(ctx context.Context) (string, error) {
					calls++
					return docs.Do(ctx, "x")
				})
				if calls != c.calls || (err == nil) != (c.calls == 2) {
					t.Errorf("%v after %d calls, want %d", err, calls, c.calls)
				}
			})
		})
	}
}

type ownPermanent struct{}

func (ownPermanent) Error() string   { return "never" }
func (ownPermanent) Permanent() bool { return true }

func TestAnErrorMaySayItselfThatItIsPermanent(t *testing.T) {
	calls := 0
	err := mustNew(t, retry.Policy{Delay: 1}).Run(t.Context(), func(context.Context) error {
		calls++
		return errors.Join(io.EOF, ownPermanent{})
	})
	if calls != 1 || !errors.Is(err, ownPermanent{}) {
		t.Errorf("%v after %d calls", err, calls)
	}
}

// errors.Is found neither in the error who had ended the context, nor why.
func TestTheContextsCauseIsInTheError(t *testing.T) {
	shutdown, slow := errors.New("shutting down"), errors.New("the page's time is spent")
	ended := func(ctx context.Context) context.Context {
		ctx, cancel := context.WithCancelCause(ctx)
		cancel(shutdown)
		return ctx
	}
	within := func(ctx context.Context, d time.Duration) context.Context {
		ctx, cancel := context.WithTimeoutCause(ctx, d, slow)
		t.Cleanup(cancel)
		return ctx
	}
	for name, c := range map[string]struct {
		ctx   func(context.Context) context.Context
		fn    func(context.Context) error
		wants []error
	}{
		"before the first attempt": {ended, fail, []error{context.Canceled, shutdown}},
		"while an attempt runs": {
			func(ctx context.Context) context.Context { return within(ctx, time.Second) },
			func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
			[]error{context.DeadlineExceeded, slow},
		},
		"in the instant of an attempt's end": {
			func(ctx context.Context) context.Context { return within(ctx, time.Second) },
			func(context.Context) error { time.Sleep(time.Second); return errBoom },
			[]error{context.DeadlineExceeded, slow, errBoom},
		},
		"while it waits": {
			func(ctx context.Context) context.Context {
				ctx, cancel := context.WithCancelCause(ctx)
				time.AfterFunc(time.Millisecond, func() { cancel(shutdown) })
				return ctx
			},
			fail,
			[]error{context.Canceled, shutdown, errBoom},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				err := mustNew(t, retry.Policy{Jitter: retry.NoJitter}).Run(c.ctx(t.Context()), c.fn)
				for _, want := range c.wants {
					if !errors.Is(err, want) {
						t.Errorf("%v is no %v", err, want)
					}
				}
			})
		})
	}
}

// An error that asked for 6 s got no retry at all. A plain one would have been waited for 60 s.
func TestAnErrorMayAskForAsLongAsABackoffMayLast(t *testing.T) {
	for _, c := range []struct {
		policy retry.Policy
		err    error
		calls  int
	}{
		{retry.Policy{}, &afterError{6 * time.Second}, 2},
		{retry.Policy{}, &afterError{time.Minute}, 2},
		{retry.Policy{}, &afterError{time.Minute + 1}, 1},
		{retry.Policy{MaxDelay: time.Hour}, &afterError{time.Hour}, 2},
		{retry.Policy{Delay: 1, MaxDelay: 2}, &afterError{5 * time.Second}, 2},
		{retry.Policy{MaxRetryAfter: time.Second}, &afterError{6 * time.Second}, 1},
		// a guard's refusal is known at once, and is not stood in line for
		{retry.Policy{}, &refusal{5 * time.Second}, 2},
		{retry.Policy{}, &wrapError{&refusal{6 * time.Second}}, 1},
		{retry.Policy{MaxRefusal: 6 * time.Second}, &refusal{6 * time.Second}, 2},
		{retry.Policy{MaxRetryAfter: time.Minute}, &refusal{time.Minute}, 2},
	} {
		synctest.Test(t, func(t *testing.T) {
			calls := 0
			c.policy.Jitter = retry.NoJitter
			err := mustNew(t, c.policy).Run(t.Context(), func(context.Context) error {
				if calls++; calls == 1 {
					return c.err
				}
				return nil
			})
			if calls != c.calls || c.calls == 1 && !same(err, c.err) {
				t.Errorf("%+v: %v, %d calls after %v; want %d", c.policy, err, calls, c.err, c.calls)
			}
		})
	}
}

// 500 callers that were told 2 s came back in one instant.
func TestCallersThatWereToldTheSameTimeDoNotComeBackTogether(t *testing.T) {
	for _, jitter := range []retry.Jitter{retry.FullJitter, retry.EqualJitter} {
		synctest.Test(t, func(t *testing.T) {
			const callers, told = 500, 2 * time.Second
			r := mustNew(t, retry.Policy{Delay: time.Millisecond, Jitter: jitter})
			var mu sync.Mutex
			back := map[time.Duration]int{} // in tenths of a second
			start := time.Now()
			var all sync.WaitGroup
			for range callers {
				all.Go(func() {
					first := true
					_ = r.Run(t.Context(), func(context.Context) error {
						if first {
							first = false
							return &afterError{told}
						}
						mu.Lock()
						defer mu.Unlock()
						at := time.Since(start)
						if at < told || at > told+told/2 {
							t.Errorf("%v: back after %v", jitter, at)
						}
						back[at/(100*time.Millisecond)]++
						return nil
					})
				})
			}
			all.Wait()
			for at, n := range back {
				if n > callers/4 { // ten tenths share them
					t.Errorf("%v: %d of %d callers came back in tenth %d", jitter, n, callers, at)
				}
			}
		})
	}
}

func TestTheSpreadAboveALongTimeLeavesTimeForTheAttempt(t *testing.T) {
	for range 100 {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			calls := 0
			err := mustNew(t, retry.Policy{Delay: 1, MaxElapsed: 4 * time.Second}).Run(ctx, func(ctx context.Context) error {
				if calls++; calls == 1 {
					return &afterError{2 * time.Second}
				}
				if by, _ := ctx.Deadline(); time.Until(by) < 500*time.Millisecond {
					return fmt.Errorf("%v are left", time.Until(by))
				}
				return nil
			})
			if err != nil || calls != 2 {
				t.Errorf("%v after %d calls", err, calls)
			}
		})
	}
}
