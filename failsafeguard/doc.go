// Package failsafeguard puts policies of failsafe-go and guards of commontrip together: hedges, bulkheads, rate limiters and
// adaptive limiters as guards, and a breaker as a policy. It is a Go module of its own, so that nobody else inherits
// failsafe-go.
//
// # Policies as a guard
//
// [New] makes a guard of policies, the outermost first. It stands like any other guard, such as inside of a breaker or in
// the Guards of a fallback.Tier:
//
//	places, err := failsafeguard.New(bulkhead.New[any](100))
//	err = card.Run(ctx, func(ctx context.Context) error { return places.Run(ctx, call) })
//
// A call that its policies end before the guarded function has run is a refusal (breaker.IsRefusal): the tier was not asked.
// A breaker outside ignores it, a chain skips the tier, and a retrier does not try it again, since it names no time. A wait
// for a place that the caller's deadline ends is a refusal too. If one attempt reached the tier, the whole is not a refusal,
// although another was refused.
//
// # A breaker as a policy
//
// [Policy] makes a policy of a breaker, for code that is built around a failsafe.Executor:
//
//	executor := failsafe.With(retries, failsafeguard.Policy[User](users))
//
// # Hedges
//
// A hedge calls the function on goroutines of its own, several at once, and cancels those that lose. What they give must not
// meet in one variable: take [Do], which returns the winner's value, or a fallback.Chain. A breaker inside counts each attempt
// that ends by itself, and ignores those that were cancelled. The winner's context is cancelled too when its value is
// returned, so read the body of a response inside.
//
// # Panics
//
// A panic goes up to the caller of [Do], from a hedge's goroutine too, and gives its place in a bulkhead back; failsafe-go alone
// would end the process, and lose the place. One of an attempt for which nobody waits any more is dropped. runtime.Goexit
// must not be called inside: a hedge would wait for ever, and a place in a bulkhead is lost.
//
// # Timeouts
//
// A timeout policy outside of a breaker cancels the call's context. To the breaker that looks like a caller who gave up, and it
// ignores the call: a tier that hangs would never open it. Put the timeout inside of the breaker, or take
// context.WithTimeout, whose deadline is a failure. [Policy] knows the timeout policies of its executor and counts a failure.
package failsafeguard
