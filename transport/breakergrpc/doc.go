// Package breakergrpc puts circuit breakers around gRPC calls: interceptors for clients and servers, unary and streaming.
//
//	conn, err := grpc.NewClient(target,
//		grpc.WithChainUnaryInterceptor(breakergrpc.UnaryClientInterceptor(users)),
//		grpc.WithChainStreamInterceptor(breakergrpc.StreamClientInterceptor(users)))
//
// # What counts
//
// Outcomes go by status code. Unavailable, DeadlineExceeded, ResourceExhausted, Internal, Unknown and DataLoss are
// failures, Canceled is Ignored, every other code is the tier's answer and so a success: see [WithFailureCodes]. A call
// whose caller cancelled it says nothing about the tier and is Ignored. A unary call is judged when it returns, a stream at
// its end; one that its caller leaves by cancelling its context gives its permit back.
//
// # Refusals
//
// A refused call does not reach the network. Its error has the code Unavailable and a RetryInfo that says when to come
// back; errors.Is finds [breaker.ErrOpen] in it, and errors.As *[breaker.OpenError] with its RetryAfter(). From a server
// it reaches other machines as that status. The client interceptors read the RetryInfo of any server's error: it then
// has a RetryAfter() too, which package retry obeys.
//
// # One breaker, or one a method
//
// An interceptor guards all methods with the breaker given, or picks one for each: [PerMethod] makes them up to a limit,
// [WithPick] takes any function, and nil from it leaves a method unguarded. The guarded call's context and metadata are
// the caller's own; only that of a probe, a call that finds out whether the tier is back, ends with the probe's lease.
//
// A chain of interceptors runs from the first to the last: put the breaker inside of retriers, so that each attempt is
// evidence, and outside of what should not count as the tier's.
package breakergrpc
