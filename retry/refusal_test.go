package retry_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/internal/guard"
	"github.com/commontrip/commontrip/retry"
)

// full is a guard's refusal that names no time.
type full struct{}

func (full) Error() string { return "the bulkhead is full" }
func (full) Refused() bool { return true }

// resting is one that does.
type resting struct {
	full
	wait time.Duration
}

func (r resting) RetryAfter() time.Duration { return r.wait }

func TestARefusalIsTriedAgainOnlyIfItSaysWhen(t *testing.T) {
	always := retry.WithRetryIf(func(error) bool { return true })
	for name, c := range map[string]struct {
		err   error
		opts  []retry.Option
		calls int
		took  time.Duration
	}{
		"no time":             {full{}, nil, 1, 0},
		"no time, wrapped":    {fmt.Errorf("users: %w", full{}), nil, 1, 0},
		"no time, but wanted": {full{}, []retry.Option{always}, 3, 3 * time.Second},
		"soon":                {resting{wait: 2 * time.Second}, nil, 3, 4 * time.Second},
		"now":                 {resting{}, nil, 3, 3 * time.Second},
		"much later":          {resting{wait: time.Hour}, nil, 1, 0},
		"beside a failure":    {errors.Join(full{}, errBoom), nil, 3, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := mustNew(t, retry.Policy{Attempts: 3, Jitter: retry.NoJitter}, c.opts...)
				calls, began := 0, time.Now()
				err := r.Run(t.Context(), func(context.Context) error { calls++; return c.err })
				if calls != c.calls || time.Since(began) != c.took || !errors.Is(err, c.err) {
					t.Errorf("%d calls in %v, %v; want %d in %v", calls, time.Since(began), err, c.calls, c.took)
				}
				if got, want := guard.Refused(err), guard.Refused(c.err); got != want {
					t.Errorf("%v is a refusal: %v, want %v", err, got, want)
				}
			})
		})
	}
}

func TestARetryThatReachedTheTierIsNoRefusal(t *testing.T) {
	// A breaker around it ignored a tier that had failed, since the last attempt was refused.
	for name, last := range map[string]error{
		"given up at once": resting{wait: time.Hour},
		"exhausted":        resting{wait: time.Millisecond},
		"no time":          full{},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				err := mustNew(t, retry.Policy{}).Run(t.Context(), func(context.Context) error {
					if calls++; calls == 1 {
						return errBoom
					}
					return last
				})
				if guard.Refused(err) || !errors.Is(err, errBoom) || !errors.Is(err, last) {
					t.Errorf("%v; want both errors, and no refusal", err)
				}
			})
		})
	}
	t.Run("refused, then failed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			calls := 0
			err := mustNew(t, retry.Policy{Attempts: 2}).Run(t.Context(), func(context.Context) error {
				if calls++; calls == 1 {
					return resting{wait: time.Millisecond}
				}
				return errBoom
			})
			if guard.Refused(err) || exhausted(t, err).Last != errBoom { //nolint:errorlint // as it is
				t.Errorf("%v", err)
			}
		})
	})
}

func TestAWaitForAGuardThatTheCallersContextEndsIsARefusal(t *testing.T) {
	// A breaker around it took the deadline for the tier's failure.
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(500*time.Millisecond, cancel)
		err := mustNew(t, retry.Policy{}).Run(ctx, func(context.Context) error { return resting{wait: time.Second} })
		if !guard.Refused(err) || !errors.Is(err, context.Canceled) || !errors.Is(err, resting{wait: time.Second}) {
			t.Errorf("%v; want a refusal that the context ended", err)
		}
	})
}
