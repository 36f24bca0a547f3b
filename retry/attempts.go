package retry

import (
	"context"
	"math"
	"time"

	"github.com/commontrip/commontrip/internal/guard"
)

const unlimited = time.Duration(math.MaxInt64)

// epoch only anchors the monotonic clock, which is read at half the price of time.Now.
var epoch = time.Now()

func now() time.Duration { return time.Since(epoch) }

// attempts are those of one call: how many were made, and since when.
type attempts struct {
	*Retrier
	started time.Duration
	made    int // attempts
	refusals
}

func (r *Retrier) begin() attempts {
	a := attempts{Retrier: r, started: now()}
	if r.budget != nil {
		r.budget.called(a.started)
	}
	return a
}

// limit counts one more attempt and returns how long it may take.
func (a *attempts) limit() time.Duration {
	a.made++
	limit := unlimited
	if a.policy.AttemptTimeout > 0 {
		limit = a.policy.AttemptTimeout
	}
	if a.policy.MaxElapsed > 0 {
		limit = min(limit, a.policy.MaxElapsed-(now()-a.started))
	}
	return limit
}

// next judges the failed attempt. It returns nil, after the wait, if another attempt is due, else the error that
// ends the call.
func (a *attempts) next(ctx context.Context, err error) error {
	if end := guard.Ended(ctx); end != nil {
		return guard.Join(end, "attempt", err)
	}
	after, asks := guard.RetryAfter(err), guard.HasRetryAfter(err)
	longest := a.policy.MaxRetryAfter
	if a.refused {
		longest = a.policy.MaxRefusal
	}
	switch {
	case guard.Permanent(err), a.retryIf != nil && !a.retryIf(err), after > longest,
		a.refused && !asks && a.retryIf == nil:
		return err
	// mutant: attempts
	case a.made >= a.policy.Attempts:
		return a.exhausted(ByAttempts, err)
	}
	// mutant: wait
	wait := max(after, a.policy.Jitter.spread(a.policy.backoff(a.made-1), a.draw))
	left := a.left(ctx)
	// mutant: left
	if left <= 0 || wait > left {
		if asks {
			return err
		}
		return a.exhausted(ByTime, err)
	}
	if wait == after {
		wait += a.policy.Jitter.above(after, left, a.draw)
	}
	// mutant: budget
	if a.budget != nil && !a.budget.pay() {
		return a.exhausted(ByBudget, err)
	}
	for _, fn := range a.onRetry {
		fn(ctx, Attempt{Number: a.made, Err: err, Wait: wait, Elapsed: now() - a.started})
	}
	if end := pause(ctx, wait); end != nil {
		return guard.Join(end, "attempt", err)
	}
	return nil
}

// left is the time until MaxElapsed or the context's deadline, whichever comes first.
func (a *attempts) left(ctx context.Context) time.Duration {
	left := unlimited
	if a.policy.MaxElapsed > 0 {
		left = a.policy.MaxElapsed - (now() - a.started)
	}
	if deadline, ok := ctx.Deadline(); ok {
		left = min(left, time.Until(deadline))
	}
	return left
}

func (a *attempts) exhausted(cause Cause, last error) error {
	return &ExhaustedError{Cause: cause, Attempts: a.made, Elapsed: now() - a.started, Last: last}
}

// pause waits for d, or until ctx ends, and returns why ctx has ended, if it has.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
	return guard.Ended(ctx)
}
