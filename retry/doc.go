// Package retry calls again what failed, with exponential backoff, jitter, and a budget that keeps retries from making
// an outage worse.
//
// A [Policy] says how often, how long and how far apart; a [Retrier], made once by [New] and shared by all callers,
// follows it:
//
//	again, err := retry.New(retry.Policy{Attempts: 4, Delay: 100 * time.Millisecond})
//	...
//	user, err := retry.Do(ctx, again, func(ctx context.Context) (User, error) { return fetch(ctx, id) })
//
// [Retrier.Run] is the same for a call without a result. It has the shape that all guards of this module share,
// Run(ctx, func(ctx) error) error, so a retrier stands in a fallback tier beside a circuit breaker.
//
// # What is tried again
//
// Every error is, but those marked by [Permanent] (a chain's, if the error of each of its tiers is), those that [WithRetryIf]
// denies, refusals that name no time, and any error at all once the caller's context has ended. A panic or runtime.Goexit in
// the call is not an error: it goes up untouched.
//
// # Refusals
//
// A guard inside (a breaker, a bulkhead, a rate limiter) may refuse an attempt, and says so by an error with a method
// Refused() bool that returns true. Such an attempt did not reach the tier. It is made again only if the refusal has a method
// RetryAfter() time.Duration: by the same rule as any error that has one, but for MaxRefusal at most. Without it the refusal
// is returned at once, unless [WithRetryIf] says that it is worth another attempt. If no attempt reached the tier, what the
// caller gets is a refusal too, whatever ended the retry. If one did, it is none: the error holds the refusal and the tier's error.
//
// # How long it waits
//
// Backoff n, counted from 0, is min(MaxDelay, Delay * Multiplier^n), of which the jitter takes a random part. Errors that
// have a method RetryAfter() time.Duration (an open breaker's refusal, a 429 that names its time) are not asked again
// sooner than they say. The longest time in the error's tree counts, and 0 names none. An error that joins others and has
// the method itself speaks for them, as a fallback.AllTiersFailedError does. The wait is the larger of the two; to the time
// that was asked for the jitter adds up to half, so that all who were told the same do not come back in one instant.
//
// Waiting that cannot help is not begun. If an error asks for longer than MaxRetryAfter (a guard's refusal: than
// MaxRefusal), or for more than what is left of MaxElapsed or of the context's deadline, the call ends at once: with that
// very error, so that the caller above can act on it. A guard's refusal is an error with a method Refused() bool that says
// true. A plain backoff that does not fit ends the call at once too, with an [ExhaustedError] whose Cause is [ByTime].
//
// The caller's context ends a wait the moment it ends.
//
// # What the caller gets
//
//   - An error that is not tried again is returned as it is; one made by Permanent is still marked, so that a retrier
//     further out does not try it again either.
//   - Attempts, time or budget used up: *ExhaustedError, which Is [ErrExhausted] and unwraps to the last error.
//   - The context had ended before the first attempt: its error; nothing was called.
//   - It ended later: the last attempt's error joined with the context's, so that errors.Is finds both.
//   - Either way errors.Is finds the context's cause too, if it has one (context.WithCancelCause and the like).
//
// # Attempts and their contexts
//
// Without AttemptTimeout and MaxElapsed the call gets the caller's own context. With either it gets one that ends in
// time and is cancelled when the attempt returns: what hangs on it, such as the body of an HTTP response, must be read
// within the call. An attempt whose own time ran out is an ordinary failure and is tried again. Whatever the call
// consumes, such as the body of a request, it must make again in each attempt, and what it returns beside an error is
// dropped if another attempt follows: close it first.
//
// # Retries and a breaker
//
// Usually the retrier stands outside the breaker: each attempt is evidence, and a trip ends the retry at once if the
// breaker rests for longer than MaxRefusal. A retrier inside a breaker is legal; then all its attempts are one
// outcome.
//
// Everything here is safe for concurrent use, starts no goroutine, and allocates nothing if the first attempt
// succeeds and needs no context of its own.
package retry
