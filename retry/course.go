package retry

import (
	"context"
	"math"
	"time"
)

const unlimited = time.Duration(math.MaxInt64)

// epoch only anchors the monotonic clock, which is read at half the price of time.Now.
var epoch = time.Now()

func now() time.Duration { return time.Since(epoch) }

// course is one call on its way through its attempts.
type course struct {
	*Retrier
	started time.Duration
	made    int // attempts
}

func (r *Retrier) begin() course {
	c := course{Retrier: r, started: now()}
	if r.budget != nil {
		r.budget.called(c.started)
	}
	return c
}

// limit counts one more attempt and returns how long it may take.
func (c *course) limit() time.Duration {
	c.made++
	limit := unlimited
	if c.policy.AttemptTimeout > 0 {
		limit = c.policy.AttemptTimeout
	}
	if c.policy.MaxElapsed > 0 {
		limit = min(limit, c.policy.MaxElapsed-(now()-c.started))
	}
	return limit
}

// next judges the failed attempt. It returns nil, after the wait, where another attempt is due, else the error that
// ends the call.
func (c *course) next(ctx context.Context, err error) error {
	if end := ended(ctx); end != nil {
		return join(err, end)
	}
	after, asks := retryAfter(err)
	switch {
	case isPermanent(err), c.retryIf != nil && !c.retryIf(err), after > c.policy.MaxRetryAfter:
		return err
	// mutant: attempts
	case c.made >= c.policy.Attempts:
		return c.exhausted(ByAttempts, err)
	}
	// mutant: wait
	wait := max(after, c.policy.Jitter.spread(c.policy.backoff(c.made-1), c.draw))
	// mutant: left
	if left := c.left(ctx); left <= 0 || wait > left {
		if asks {
			return err
		}
		return c.exhausted(ByTime, err)
	}
	// mutant: budget
	if c.budget != nil && !c.budget.take(now()) {
		return c.exhausted(ByBudget, err)
	}
	for _, fn := range c.onRetry {
		fn(Attempt{Number: c.made, Err: err, Wait: wait, Elapsed: now() - c.started})
	}
	if end := pause(ctx, wait); end != nil {
		return join(err, end)
	}
	return nil
}

// left is the time until MaxElapsed or the context's deadline, whichever comes first.
func (c *course) left(ctx context.Context) time.Duration {
	left := unlimited
	if c.policy.MaxElapsed > 0 {
		left = c.policy.MaxElapsed - (now() - c.started)
	}
	if deadline, ok := ctx.Deadline(); ok {
		left = min(left, time.Until(deadline))
	}
	return left
}

func (c *course) exhausted(cause Cause, last error) error {
	return &ExhaustedError{Cause: cause, Attempts: c.made, Elapsed: now() - c.started, Last: last}
}

// pause waits for d, or until ctx ends, and returns why ctx has ended, if it has.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
	return ended(ctx)
}
