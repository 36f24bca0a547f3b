package breakergrpc

import (
	"context"

	"google.golang.org/grpc"

	"github.com/commontrip/commontrip/breaker"
)

// UnaryServerInterceptor asks b before each unary call is handled. A refused one gets the code Unavailable with a
// RetryInfo, and its handler is not called. A panic in the handler is a failure and goes on up. A nil breaker without
// [WithPick] panics.
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
		s.settle(ctx, &permit, err)
		return resp, err
	}
}

// StreamServerInterceptor is [UnaryServerInterceptor] for streams; the outcome is recorded when the handler returns. The
// context of a probe ends with its lease.
func StreamServerInterceptor(b *breaker.Breaker, opts ...Option) grpc.StreamServerInterceptor {
	s := newSettings("StreamServerInterceptor", b, opts)
	return func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		var permit breaker.Permit
		guarded, err := s.acquire(ss.Context(), info.FullMethod, &permit)
		if err != nil {
			return err
		}
		if !guarded {
			return handler(srv, ss)
		}
		defer permit.Done(breaker.ErrPanic) // has an effect only if handler panics
		served := ss
		if permit.Probe() {
			served = &probeStream{ServerStream: ss, ctx: permit.Context()}
		}
		err = handler(srv, served)
		s.settle(ss.Context(), &permit, err)
		return err
	}
}

// probeStream gives the handler the context of the probe that it is.
type probeStream struct {
	grpc.ServerStream
	ctx context.Context
}

// Context implements grpc.ServerStream.
func (s *probeStream) Context() context.Context { return s.ctx }
