// Package fallback asks the first of several tiers that can answer: the fast one, else the reliable one, else the last
// resort.
//
// A [Tier] is one way to get an answer, with the guards that stand before it. A [Chain], made once by [New] and shared
// by all callers, asks its tiers in order until one serves:
//
//	docs, err := fallback.New([]fallback.Tier[Query, Doc]{
//		{Name: "mcp", Call: viaMCP, Guards: []fallback.Guard{up, again, breaker}, Timeout: time.Second},
//		{Name: "rest", Call: viaREST},
//	})
//	...
//	doc, err := docs.Do(ctx, query)
//
// # Guards
//
// A [Guard] is anything with Run(ctx, func(ctx) error) error: a circuit breaker, a retrier, a health check's guard, a
// bulkhead of one's own. Guards run outermost first, each around the next, the tier's Call innermost. The chain knows
// none of their types: a tier was skipped if its guards returned without entering Call, and has failed if an error came back
// after Call was entered. A guard within Call, such as a breaker in an HTTP client, may refuse too. If its error says so, by a
// method Refused() bool that returns true, and Call met nothing else, the tier was skipped. A guard may call on more than
// once, as a retrier does, or from another goroutine, as a timeout may. The answer is that of the last Call that had succeeded when the
// outermost guard returned; what ends later is dropped, and a guard that calls on later is refused by an error and
// reaches no Call. A guard that returns nil although no Call succeeded has claimed a success without an answer: that
// is an error, [ErrNoAnswer], of a tier that was skipped or has failed by the same rule.
//
// # Going on and stopping
//
// A skipped tier is always passed over. After a tier that failed the chain goes on, unless [WithFallIf] says that this
// error is the answer (the thing asked for does not exist; the next tier would say no other): then it is returned as
// it is. If no tier is left, [AllTiersFailedError] holds what each of them said, and knows when to come back if a tier that
// was asked named a time, or all were only skipped. A retrier around the chain goes on unless the error of every tier is
// permanent. Once the caller's own context has ended nothing more is asked: the last error is returned, joined with the
// context's and its cause, so that errors.Is finds each. A panic or runtime.Goexit in a tier goes up untouched; no
// other tier is asked.
//
// With an error the answer is the zero Res.
//
// The request is handed to each tier that is asked. So it must be good for more than one of them: what a tier reads up,
// such as an io.Reader or the body of an *http.Request, is empty for the next one, which may answer it all the same. Let
// each Call make what it sends; for HTTP, breakerhttp.Attempt does, and refuses what can be sent only once.
//
// # Time
//
// Tier.Timeout is outermost: it holds for the guards, their waits and all attempts together, and its end makes the
// chain go on. A timeout for each attempt belongs to the retrier. The tier's context is cancelled when the tier
// returns, if it has a Timeout: what hangs on it, such as the body of an HTTP response, must be read in Call. Calls
// and guards are not abandoned: one that does not obey its context holds up the chain.
//
// # Who served
//
// [Chain.Trace] returns, and an observer ([WithObserver]) sees, which tier served, which were skipped or failed before
// it, why, and how long each took. An observer sees a panic and a Goexit too, as an attempt with [ErrPanic].
//
// A Chain is immutable and safe for concurrent use. It starts no goroutine. A tier without guards and timeout costs no
// allocation; one with n guards costs n.
package fallback
