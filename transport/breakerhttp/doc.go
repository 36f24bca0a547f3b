// Package breakerhttp puts circuit breakers around HTTP: a round tripper for clients, a middleware for servers.
//
//	client := &http.Client{Transport: breakerhttp.NewTransport(nil, users)}
//	http.Handle("/report", breakerhttp.Middleware(reports)(handler))
//
// # What counts
//
// An error, 429, and 5xx but 501 are failures; any other status is an answer, and so a success: see [WithOutcome]. A
// request that its caller cancelled is Ignored, one that ran into its deadline (http.Client.Timeout too) is a failure. A
// client's request is judged when the headers have come, and its body stays readable; a handler is judged when it returns.
//
// # Refusals
//
// A refused request does not reach the network: the transport returns a *[breaker.OpenError], which http.Client wraps in
// a *url.Error, so look with errors.Is and errors.As. The middleware answers 503 with Retry-After; [WriteError] does the
// same in handlers of your own, for all errors that may know when to come back.
//
// # One breaker, or one a host
//
// [WithPick] chooses a breaker for each request, and nil leaves it unguarded. [PerHost] makes them, up to a limit.
//
// # Retrying
//
// The retrier belongs outside, around the client: each attempt is then evidence, and a trip ends the retry. Since an HTTP
// answer is not an error, an attempt turns it into one with [CheckResponse], which keeps the tier's Retry-After for the
// retrier to obey, and puts the failed answer away so that its connection serves the next attempt. [Retryable] tells the
// retrier what can never succeed:
//
//	again, err := retry.New(retry.Policy{}, retry.WithRetryIf(breakerhttp.Retryable))
//
// A body can be sent only once, by a retrier's attempts and by the tiers of a chain alike: make the request within the
// attempt, or give each a copy by [Attempt], which refuses a body that cannot be made again. Read the answer within the
// attempt too, since its context ends with it.
package breakerhttp
