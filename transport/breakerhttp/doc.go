// Package breakerhttp puts circuit breakers around HTTP: a round tripper for clients, a middleware for servers.
//
//	client := &http.Client{Transport: breakerhttp.NewTransport(nil, users)}
//	http.Handle("/report", breakerhttp.Middleware(reports)(handler))
//
// # Whose fault is it?
//
// An error, 429, and 5xx but 501 are failures; any other status is an answer, and so a success: see [WithOutcome]. What says
// nothing about the tier, since the caller or this process is at fault or a guard refused, is Ignored. Slow is what took longer
// than SlowCallAfter: until the headers at a client (or the body's end, with [WithBodyOutcome]), at a server until a good answer
// is on its way to the client, or the handler returns. What is Ignored is not slow, unless its caller gave it up and a SlowCallRate is set.
//
// How a client's request can end (a [NewTransport]):
//
//	a status that is not a failure        success  the tier answered
//	429, 5xx but 501                      failure  the tier says that it cannot
//	the same with RefusedHeader           ignored  a guard answered in the place of the tier
//	connection refused, reset, DNS, TLS   failure  the tier cannot be reached
//	no file or memory for a socket,
//	no roots to trust                     ignored  this process lacks it
//	a deadline, http.Client.Timeout       failure  a tier that hangs is seen by nothing else
//	a probe's lease is over               failure  the same, and the caller gets a timeout
//	neither a response nor an error       failure  the tier did not answer
//	base panics                           failure  and goes on up
//	the caller cancelled the request      ignored  it did not wait; slow after SlowCallAfter if SlowCallRate is set
//	a guard within refused (IsRefusal)    ignored  the tier was not asked
//	a bad header, trailer, method, URL,
//	scheme, host or port                  ignored  the request never left the process
//	its own body cannot be read, or is
//	not as long as announced              ignored  the caller's fault; MaxBytesReader of a proxied upload too
//	its deadline is over while the rest
//	of its own body is waited for         ignored  the tier has not got the request
//	the answer's body breaks off          success  it was judged at the headers
//	the same, WithBodyOutcome             failure  the tier did not answer whole; the caller's deadline too
//	the body is left, WithBodyOutcome     success  the caller had enough: closed early, or cancelled
//
// How a handler's request can end (a [Middleware]):
//
//	a status that is not one, or none     success  answered; a handler that writes nothing has answered 200
//	429, 5xx but 501                      failure  the handler says that it cannot
//	the same with RefusedHeader           ignored  a guard within answered, by WriteError or another Middleware
//	unanswered, its deadline is over      failure  the client got 503 or 504 from the one that set the deadline
//	an answer that begins after it        failure  the same
//	the server's WriteTimeout was over
//	before the answer began               failure  the client got nothing
//	an answer that http.TimeoutHandler
//	threw away                            failure  the same
//	begun in time, ended after it         success  the client is slow, or the answer is a stream
//	a panic, runtime.Goexit               failure  and goes on up
//	a panic with http.ErrAbortHandler     ignored  and goes on up
//	the client went away, and it was
//	unanswered or failed                  ignored  nobody waited; slow after SlowCallAfter if SlowCallRate is set
//	the client went away during a good
//	answer                                success  it was answered
//	its upload broke, and it failed       ignored  the client's fault
//	its deadline is over while the rest
//	of its upload is waited for           ignored  the same
//	Hijack, 101                           success  at once: it is a connection now
//	a probe, flushed or hijacked          success  at once, and its context lives on: a stream may never end
//	a probe's lease is over before that   failure  a handler that hangs is seen by nothing else
//
// A reverse proxy within answers 502 for whatever its transport says, a refusal and an upload over its limit too: give it
// [ProxyError] as its ErrorHandler, or the Middleware counts failures.
//
// # Refusals
//
// A refused request does not reach the network: the transport returns a *[breaker.OpenError], which http.Client wraps in
// a *url.Error, so look with errors.Is and errors.As. The middleware answers 503 with Retry-After; [WriteError] does the
// same in handlers of your own, for all errors that may know when to come back. Both set [RefusedHeader], by which breakers further
// out, in this process and in others, know that the tier was not asked. [CheckResponse] gives such a response a Refused().
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
