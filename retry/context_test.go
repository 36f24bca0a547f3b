package retry_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/retry"
)

// afterError names the time after which it is worth asking again, as an open breaker's refusal does.
type afterError struct{ after time.Duration }

func (e *afterError) Error() string             { return "come back in " + e.after.String() }
func (e *afterError) RetryAfter() time.Duration { return e.after }

func TestEndedContextMakesNoCall(t *testing.T) {
	calls := 0
	r := mustNew(t, retry.Policy{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Run(ctx, func(context.Context) error { calls++; return nil }); !same(err, context.Canceled) || calls != 0 {
		t.Errorf("cancelled: err %v after %d calls", err, calls)
	}
	ctx, cancel = context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	if err := r.Run(ctx, func(context.Context) error { calls++; return nil }); !same(err, context.DeadlineExceeded) || calls != 0 {
		t.Errorf("timed out: err %v after %d calls", err, calls)
	}
}

func TestCancellationEndsTheWaitAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(300*time.Millisecond, cancel)
		start, calls := time.Now(), 0
		err := mustNew(t, retry.Policy{Jitter: retry.NoJitter}).Run(ctx, func(context.Context) error { calls++; return errBoom })
		if time.Since(start) != 300*time.Millisecond || calls != 1 {
			t.Errorf("returned after %v and %d calls", time.Since(start), calls)
		}
		if !errors.Is(err, errBoom) || !errors.Is(err, context.Canceled) || errors.Is(err, retry.ErrExhausted) {
			t.Errorf("err = %v", err)
		}
		if want := "context canceled; last attempt: boom"; err.Error() != want {
			t.Errorf("text %q, want %q", err, want)
		}
	})
}

func TestContextThatEndsDuringAnAttemptEndsTheCall(t *testing.T) {
	for name, given := range map[string]error{"another error": errBoom, "its own": context.Canceled, "permanent": retry.Permanent(errBoom)} {
		ctx, cancel := context.WithCancel(t.Context())
		calls := 0
		r := mustNew(t, retry.Policy{}, retry.WithRetryIf(func(error) bool { t.Error("RetryIf was asked"); return true }))
		err := r.Run(ctx, func(context.Context) error { calls++; cancel(); return given })
		if calls != 1 || !errors.Is(err, given) || !errors.Is(err, context.Canceled) {
			t.Errorf("%s: err %v after %d calls", name, err, calls)
		}
		if same(given, context.Canceled) && !same(err, given) {
			t.Errorf("%s: it was joined with itself: %v", name, err)
		}
	}
}

func TestASuccessCountsThoughTheContextEndedMeanwhile(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	v, err := retry.Do(ctx, mustNew(t, retry.Policy{}), func(context.Context) (int, error) { cancel(); return 7, nil })
	if v != 7 || err != nil {
		t.Errorf("got %d, %v", v, err)
	}
}

func TestCallbackThatCancelsStopsTheRetryThoughNoWaitIsLeft(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	r := mustNew(t, retry.Policy{Delay: 1}, retry.WithOnRetry(func(retry.Attempt) { cancel() }))
	err := r.Run(ctx, func(context.Context) error { calls++; return errBoom })
	if calls != 1 || !errors.Is(err, context.Canceled) || !errors.Is(err, errBoom) {
		t.Errorf("err %v after %d calls", err, calls)
	}
}

func TestAnAttemptsOwnTimeoutIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := mustNew(t, retry.Policy{AttemptTimeout: 50 * time.Millisecond, Delay: time.Second, Jitter: retry.NoJitter})
		start, calls := time.Now(), 0
		err := r.Run(t.Context(), func(ctx context.Context) error {
			if calls++; calls == 3 {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		})
		if err != nil || calls != 3 || time.Since(start) != 3100*time.Millisecond {
			t.Errorf("err %v after %d calls and %v", err, calls, time.Since(start))
		}
	})
}

// Once a deadline of the caller's that ended in the same instant as the attempt's own could be taken for either.
func TestTheCallersDeadlineIsNeverTakenForTheAttempts(t *testing.T) {
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			r, calls := mustNew(t, retry.Policy{AttemptTimeout: time.Second, Delay: 1}), 0
			err := r.Run(ctx, func(ctx context.Context) error { calls++; <-ctx.Done(); return errBoom })
			if calls != 1 || !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errBoom) || errors.Is(err, retry.ErrExhausted) {
				t.Errorf("err %v after %d calls", err, calls)
			}
		})
	}
}

func TestAttemptsContextEndsWithTheAttempt(t *testing.T) {
	for name, p := range map[string]retry.Policy{"attempt timeout": {AttemptTimeout: time.Hour}, "time in all": {MaxElapsed: time.Hour}} {
		var seen []context.Context
		err := mustNew(t, p).Run(t.Context(), func(ctx context.Context) error {
			for _, before := range seen {
				if before.Err() == nil {
					t.Errorf("%s: an attempt's context outlived it", name)
				}
			}
			if _, bounded := ctx.Deadline(); !bounded || ctx.Err() != nil {
				t.Errorf("%s: bounded %v, %v", name, bounded, ctx.Err())
			}
			seen = append(seen, ctx)
			return nil
		})
		if err != nil || len(seen) != 1 || seen[0].Err() != context.Canceled {
			t.Errorf("%s: err %v, contexts %v", name, err, seen)
		}
	}
}

func TestWithoutLimitsTheCallGetsTheCallersContext(t *testing.T) {
	_ = mustNew(t, retry.Policy{}).Run(t.Context(), func(ctx context.Context) error {
		if ctx != t.Context() {
			t.Error("it is another")
		}
		return nil
	})
}

func TestMaxElapsedBoundsAttemptsToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := mustNew(t, retry.Policy{Attempts: 10, MaxElapsed: 2200 * time.Millisecond, AttemptTimeout: time.Second, Delay: 500 * time.Millisecond, Multiplier: 1, Jitter: retry.NoJitter})
		start := time.Now()
		err := r.Run(t.Context(), func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		// 1 s of attempt, 0.5 s of wait, and what is left for the second attempt
		e := exhausted(t, err)
		if e.Cause != retry.ByTime || e.Attempts != 2 || time.Since(start) != 2200*time.Millisecond || e.Elapsed != 2200*time.Millisecond {
			t.Errorf("got %+v after %v", *e, time.Since(start))
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the attempt's error is lost: %v", err)
		}
	})
}

func TestNoAttemptFollowsWhereNoTimeIsLeftThoughTheBackoffIsNothing(t *testing.T) {
	for range 100 {
		synctest.Test(t, func(t *testing.T) {
			r, calls := mustNew(t, retry.Policy{MaxElapsed: time.Second, Delay: 1}), 0 // half of all waits drawn are 0
			err := r.Run(t.Context(), func(context.Context) error { calls++; <-time.After(time.Second); return errBoom })
			if e := exhausted(t, err); e.Cause != retry.ByTime || calls != 1 {
				t.Errorf("%v after %d calls", e, calls)
			}
		})
	}
}

func TestABackoffThatDoesNotFitIsNotBegun(t *testing.T) {
	for name, c := range map[string]struct {
		maxElapsed, deadline time.Duration
	}{
		"time in all":      {maxElapsed: 2900 * time.Millisecond},
		"context":          {deadline: 2900 * time.Millisecond},
		"both, the former": {maxElapsed: 2900 * time.Millisecond, deadline: time.Hour},
		"both, the latter": {maxElapsed: time.Hour, deadline: 2900 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if c.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, c.deadline)
					defer cancel()
				}
				r := mustNew(t, retry.Policy{Attempts: 9, MaxElapsed: c.maxElapsed, Jitter: retry.NoJitter})
				e := exhausted(t, r.Run(ctx, fail))
				// after 1 s there are 1.9 s left, and the next backoff is 2 s
				if e.Cause != retry.ByTime || e.Attempts != 2 || e.Elapsed != time.Second || !same(e.Last, errBoom) {
					t.Errorf("got %+v", *e)
				}
			})
		})
	}
}

func TestABackoffThatJustFitsIsWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := mustNew(t, retry.Policy{Attempts: 9, MaxElapsed: 3 * time.Second, Jitter: retry.NoJitter})
		if e := exhausted(t, r.Run(t.Context(), fail)); e.Attempts != 3 || e.Elapsed != 3*time.Second || e.Cause != retry.ByTime {
			t.Errorf("got %+v", *e)
		}
	})
}

func TestWaitIsTheLargerOfBackoffAndRetryAfter(t *testing.T) {
	for name, c := range map[string]struct{ after, want time.Duration }{
		"longer than the backoff":  {3 * time.Second, 3 * time.Second},
		"shorter than the backoff": {time.Millisecond, time.Second},
		"nothing":                  {0, time.Second},
		"negative":                 {-time.Hour, time.Second},
		"the longest allowed":      {time.Minute, time.Minute},
	} {
		for how, wrap := range map[string]func(error) error{
			"bare":    func(err error) error { return err },
			"wrapped": func(err error) error { return errors.Join(errBoom, &wrapError{err}) },
		} {
			t.Run(name+", "+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					start, calls := time.Now(), 0
					err := mustNew(t, retry.Policy{Jitter: retry.NoJitter}).Run(t.Context(), func(context.Context) error {
						if calls++; calls == 1 {
							return wrap(&afterError{c.after})
						}
						return nil
					})
					if err != nil || time.Since(start) != c.want {
						t.Errorf("err %v, waited %v, want %v", err, time.Since(start), c.want)
					}
				})
			})
		}
	}
}

type wrapError struct{ err error }

func (e *wrapError) Error() string { return "wrapped: " + e.err.Error() }
func (e *wrapError) Unwrap() error { return e.err }

func TestRetryAfterThatCannotBeWaitedForEndsTheCallWithThatVeryError(t *testing.T) {
	for name, c := range map[string]struct {
		policy   retry.Policy
		deadline time.Duration
		after    time.Duration
	}{
		"longer than MaxRetryAfter":                       {after: time.Minute + 1},
		"longer than MaxRetryAfter if backoffs are short": {policy: retry.Policy{Delay: 1, MaxDelay: time.Second}, after: 5*time.Second + 1},
		"longer than an own maximum":                      {policy: retry.Policy{MaxRetryAfter: time.Minute}, after: time.Minute + 1},
		"in the last attempt":                             {policy: retry.Policy{Attempts: 1}, after: time.Hour},
		"longer than what is left":                        {policy: retry.Policy{MaxElapsed: 2 * time.Second}, after: 2*time.Second + 1},
		"longer than the deadline":                        {deadline: 2 * time.Second, after: 2*time.Second + 1},
		"its backoff does not fit either":                 {policy: retry.Policy{MaxElapsed: 500 * time.Millisecond}, after: time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if c.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, c.deadline)
					defer cancel()
				}
				c.policy.Jitter = retry.NoJitter
				start, calls, given := time.Now(), 0, &wrapError{&afterError{c.after}}
				err := mustNew(t, c.policy).Run(ctx, func(context.Context) error { calls++; return given })
				if !same(err, error(given)) || calls != 1 || time.Since(start) != 0 {
					t.Errorf("got %v after %d calls and %v", err, calls, time.Since(start))
				}
			})
		})
	}
}

func TestAttemptsUsedUpOnAnErrorWithRetryAfterAreExhausted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		err := mustNew(t, retry.Policy{}).Run(t.Context(), func(context.Context) error { return &afterError{time.Second} })
		if e := exhausted(t, err); e.Cause != retry.ByAttempts {
			t.Errorf("got %+v", *e)
		}
		if _, ok := errors.AsType[*afterError](err); !ok {
			t.Errorf("the last error is lost: %v", err)
		}
	})
}

// Retriers outside a breaker were seen to spend all their attempts on its refusals within microseconds.
func TestAnOpenBreakerIsNotAskedAgainInATightLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opensAt, calls, refused := time.Now().Add(4*time.Second), 0, 0
		breaker := func(fn func() error) error {
			if left := time.Until(opensAt); left > 0 {
				refused++
				return &afterError{left}
			}
			return fn()
		}
		err := mustNew(t, retry.Policy{Delay: 1}).Run(t.Context(), func(context.Context) error {
			return breaker(func() error { calls++; return nil })
		})
		if err != nil || calls != 1 || refused != 1 {
			t.Errorf("err %v, %d calls, refused %d times", err, calls, refused)
		}
	})
}

// A body that hung on the attempt's context was cut off when the attempt returned.
func TestResponseBodyIsReadableAfterTheCallReturned(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Header.Get("Attempt") == "1" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, strings.Repeat(string(body), 1<<18))
	}))
	defer server.Close()
	attempt := 0
	resp, err := retry.Do(t.Context(), mustNew(t, retry.Policy{Delay: 1}), func(ctx context.Context) (*http.Response, error) {
		attempt++
		// the body is made again in each attempt: the one before has been read
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL, strings.NewReader("ab"))
		if err != nil {
			return nil, retry.Permanent(err)
		}
		req.Header.Set("Attempt", []string{"", "1", "2"}[attempt])
		resp, err := server.Client().Do(req)
		if err == nil && resp.StatusCode >= 500 {
			resp.Body.Close()
			return nil, errors.New(resp.Status)
		}
		return resp, err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || len(body) != 2<<18 || attempt != 2 {
		t.Errorf("read %d bytes, %v, in attempt %d", len(body), err, attempt)
	}
}
