package breakergrpc

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/commontrip/commontrip/breaker"
)

// UnaryServerInterceptor asks b before each unary call is handled. A refused one gets the code Unavailable with a
// RetryInfo, and its handler is not called. A panic in the handler is a failure and goes on up. A refusal that the handler
// returns, such as a *[breaker.OpenError] of a breaker within, gets the same code and details. A nil breaker without [WithPick]
// panics.
func UnaryServerInterceptor(b *breaker.Breaker, opts ...Option) grpc.UnaryServerInterceptor {
	s := newSettings("UnaryServerInterceptor", b, opts)
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		var permit breaker.Permit
		guarded, err := s.acquire(ctx, info.FullMethod, &permit)
		if err != nil {
			return nil, err
		}
		if !guarded {
			return handler(ctx, req)
		}
		defer permit.Done(breaker.ErrPanic) // has an effect only if handler panics
		began := time.Now()
		resp, err := handler(permit.Context(), req)
		s.settleServed(ctx, &permit, overdue(ctx, began), err)
		return resp, passedOn(err)
	}
}

// StreamServerInterceptor is [UnaryServerInterceptor] for streams; the outcome is recorded when the handler returns. A probe is
// a success with its first message sent, since a stream may never end. Before that its context ends with its lease.
func StreamServerInterceptor(b *breaker.Breaker, opts ...Option) grpc.StreamServerInterceptor {
	s := newSettings("StreamServerInterceptor", b, opts)
	return func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		served := &serverStream{ServerStream: ss, caller: ss.Context(), began: time.Now()}
		guarded, err := s.acquire(served.caller, info.FullMethod, &served.permit)
		if err != nil {
			return err
		}
		if !guarded {
			return handler(srv, ss)
		}
		defer served.permit.Done(breaker.ErrPanic) // has an effect only if handler panics
		err = handler(srv, served)
		if served.broke(err) {
			served.permit.Record(breaker.Ignored)
		}
		unanswered := !served.answered.Load() && overdue(served.caller, served.began)
		s.settleServed(served.caller, &served.permit, unanswered, err)
		return passedOn(err)
	}
}

// settleServed settles what a handler has done with a call. unanswered: its deadline came before an answer, which is a failure
// whatever the handler says of it.
func (s *settings) settleServed(caller context.Context, p *breaker.Permit, unanswered bool, err error) {
	switch {
	case !unanswered || refused(err):
	case errors.Is(caller.Err(), context.Canceled): // by its client, at the deadline
		p.Record(breaker.Failure)
	case err == nil || !slices.Contains(s.failures, statusOf(err).Code()):
		p.Done(context.DeadlineExceeded)
	}
	s.settle(caller, p, err)
}

// overdue reports whether the deadline of a served call is over. The client, whose deadline it is, cancels the call then. That
// may come before the timer here, which began to run when the call arrived: what is cancelled in the last tenth of its time is
// overdue.
func overdue(caller context.Context, began time.Time) bool {
	deadline, ok := caller.Deadline()
	return late(caller) || ok && caller.Err() != nil && time.Until(deadline) < deadline.Sub(began)/10
}

// passedOn is what a handler's error tells other machines. A guard's refusal gets the status of one: gRPC would make Unknown of
// it, which they count against this one. An error that joins a refusal's status with a failure loses the mark of a refusal.
func passedOn(err error) error {
	if err == nil {
		return nil
	}
	st, known := status.FromError(err)
	switch isRefusal := refused(err); {
	case isRefusal && !known:
		return &refusedError{err}
	case !isRefusal && known && marked(st):
		return status.Error(st.Code(), st.Message())
	default:
		return err
	}
}

// serverStream is a stream as its handler sees it.
type serverStream struct {
	grpc.ServerStream
	caller   context.Context
	began    time.Time
	permit   breaker.Permit
	answered atomic.Bool  // a message was sent in time
	broken   atomic.Value // of a brokenRecv: the client's side of the stream has failed
}

type brokenRecv struct{ err error }

// Context implements grpc.ServerStream: it is the probe's, if the stream is one.
func (s *serverStream) Context() context.Context {
	if s.permit.Probe() {
		return s.permit.Context()
	}
	return s.ServerStream.Context()
}

// SendMsg implements grpc.ServerStream.
func (s *serverStream) SendMsg(m any) error {
	err := s.ServerStream.SendMsg(m)
	if err == nil && !s.answered.Load() && !late(s.caller) {
		s.answered.Store(true)
		if s.permit.Probe() {
			s.permit.Done(nil)
		} else {
			s.permit.Answered()
		}
	}
	return err
}

// RecvMsg implements grpc.ServerStream.
func (s *serverStream) RecvMsg(m any) error {
	err := s.ServerStream.RecvMsg(m)
	if err != nil && !errors.Is(err, io.EOF) {
		s.broken.CompareAndSwap(nil, brokenRecv{err})
	}
	return err
}

// broke reports whether the handler passes on that its client's side has failed: a message that nobody can read, or none.
func (s *serverStream) broke(err error) bool {
	recv, ok := s.broken.Load().(brokenRecv)
	return ok && err != nil && !overdue(s.caller, s.began) &&
		(errors.Is(err, recv.err) || statusOf(err).Code() == statusOf(recv.err).Code() && statusOf(err).Message() == statusOf(recv.err).Message())
}
