// Package breakergrpc puts circuit breakers around gRPC calls: interceptors for clients and servers, unary and streaming.
//
//	conn, err := grpc.NewClient(target,
//		grpc.WithChainUnaryInterceptor(breakergrpc.UnaryClientInterceptor(users)),
//		grpc.WithChainStreamInterceptor(breakergrpc.StreamClientInterceptor(users)))
//
// # Whose fault is it?
//
// Outcomes go by status code. Unavailable, DeadlineExceeded, ResourceExhausted, Internal, Unknown and DataLoss are
// failures, Canceled is Ignored, every other code is the tier's answer and so a success: see [WithFailureCodes]. What says
// nothing about the tier, since the caller or this process is at fault or a guard refused, is Ignored, whatever its code. A
// unary call is judged when it returns, a stream at its end. Slow is what took longer than SlowCallAfter until then, or until
// the first message of a stream that the server sends on. What is
// Ignored is not slow, unless its caller gave it up and a SlowCallRate is set.
//
// How a client's call can end:
//
//	OK, a stream's io.EOF                 success  the tier answered
//	a code that is an answer              success  the same: NotFound, InvalidArgument, Unimplemented, ...
//	a failure code                        failure  the tier says that it cannot, or cannot be reached
//	its deadline is over                  failure  a tier that hangs is seen by nothing else
//	a probe's lease is over               failure  the same, and the caller gets DeadlineExceeded
//	the invoker panics                    failure  and goes on up
//	the caller cancelled the call, or
//	left the stream so                    ignored  it did not wait; slow after SlowCallAfter if SlowCallRate is set
//	a status of a guard (RefusedReason)   ignored  on whatever machine: the tier was not asked
//	a guard within refused (IsRefusal)    ignored  the same
//	invalid UTF-8, illegal or too much
//	metadata,
//	an unknown compressor or codec,
//	MaxCallSendMsgSize, credentials that
//	cannot be got, Send after CloseSend   ignored  the call, or its message, never left the process
//	no file or memory for a socket        ignored  this process lacks it
//	a message is too large for its
//	receiver                              ignored  the caller's fault, or its own limit
//	a probe's first message received      success  at once, and the stream lives on: it may never end
//
// How a handler's call can end:
//
//	nil, a code that is an answer         success  answered
//	a failure code                        failure  the handler says that it cannot
//	its deadline is over, unanswered      failure  the client got DeadlineExceeded, whatever the handler says then; of a
//	                                               stream: no message was sent in time
//	cancelled in the last tenth of the
//	time until its deadline, unanswered   failure  the client's timer was a little earlier
//	the client cancelled the call         ignored  nobody waited; slow after SlowCallAfter if SlowCallRate is set. A call
//	                                               that ends well is a success
//	a guard's refusal is passed on        ignored  and gets the status of one, so that the client knows
//	the client's message cannot be read   ignored  the error of RecvMsg, passed on
//	a panic, runtime.Goexit               failure  and goes on up
//	a probe's first message sent          success  at once, and the stream lives on: it may never end
//	a probe's lease is over before that   failure  a handler that hangs is seen by nothing else
//
// gRPC tells by words alone that a message cannot be marshalled or is too large to send. A server may say the same of its own
// messages, so the interceptor looks at a unary call's message again. It can do so with messages of protobuf only: those of
// another codec count by their code.
//
// # Refusals
//
// A refused call does not reach the network. Its error has the code Unavailable and a RetryInfo that says when to come
// back; errors.Is finds [breaker.ErrOpen] in it, and errors.As *[breaker.OpenError] with its RetryAfter(). From a server
// it reaches other machines as that status, with an ErrorInfo ([RefusedReason]) by which their interceptors know that the tier
// was not asked; [breaker.IsRefusal] tells it of the error that they return. The client interceptors read the RetryInfo of any
// server's error: it then has a RetryAfter() too, which package retry obeys.
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
