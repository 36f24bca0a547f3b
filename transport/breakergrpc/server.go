package breakergrpc

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
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
		resp, err := handler(permit.Context(), req)
		s.settleServed(ctx, &permit, false, err)
		return resp, passedOn(err)
	}
}

// StreamServerInterceptor is [UnaryServerInterceptor] for streams; the outcome is recorded when the handler returns. A probe is
// a success with its first message sent, since a stream may never end. Before that its context ends with its lease.
func StreamServerInterceptor(b *breaker.Breaker, opts ...Option) grpc.StreamServerInterceptor {
	s := newSettings("StreamServerInterceptor", b, opts)
	return func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		served := &serverStream{ServerStream: ss, caller: ss.Context()}
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
		s.settleServed(served.caller, &served.permit, served.answered.Load(), err)
		return passedOn(err)
	}
}

// settleServed settles what a handler has done with a call. A call that was not answered before its deadline is a failure,
// whatever the handler says of it. answered: a stream's first message was sent in time.
func (s *settings) settleServed(caller context.Context, p *breaker.Permit, answered bool, err error) {
	if !answered && late(caller) && !refused(err) && (err == nil || !slices.Contains(s.failures, statusOf(err).Code())) {
		err = context.DeadlineExceeded
		if !slices.Contains(s.failures, codes.DeadlineExceeded) {
			p.Done(err)
			return
		}
	}
	s.settle(caller, p, err)
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
	return ok && err != nil && !late(s.caller) &&
		(errors.Is(err, recv.err) || statusOf(err).Code() == statusOf(recv.err).Code() && statusOf(err).Message() == statusOf(recv.err).Message())
}
