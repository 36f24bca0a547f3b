package breakergrpc_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/transport/breakergrpc"
)

// probing gives a breaker in virtual time whose next call is a probe.
func probing(t *testing.T) *breaker.Breaker {
	t.Helper()
	b := newBreaker(t, breaker.WithPolicy(breaker.Policy{
		ConsecutiveFailures: 1, OpenFor: time.Second, ProbeLease: 10 * time.Second, ProbeSuccesses: 1,
	}))
	command(t, b, breaker.Trip)
	<-time.After(2 * time.Second)
	return b
}

// gRPC calls any ended context Canceled, which must not let a tier that hangs off as if its caller had left.
func TestAProbeThatOutlivesItsLeaseIsCancelledAndAFailure(t *testing.T) {
	hang := func(ctx context.Context) error { <-ctx.Done(); return status.Error(codes.Canceled, "context canceled") }
	for name, call := range map[string]func(ctx context.Context, b *breaker.Breaker){
		"unary client": func(ctx context.Context, b *breaker.Breaker) {
			_ = breakergrpc.UnaryClientInterceptor(b)(ctx, "/s/m", nil, nil, nil,
				func(ctx context.Context, _ string, _, _ any, _ *grpc.ClientConn, _ ...grpc.CallOption) error {
					return hang(ctx)
				})
		},
		"stream client": func(ctx context.Context, b *breaker.Breaker) {
			stream, err := breakergrpc.StreamClientInterceptor(b)(ctx, &grpc.StreamDesc{ServerStreams: true}, nil, "/s/m",
				func(ctx context.Context, _ *grpc.StreamDesc, _ *grpc.ClientConn, _ string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
					return &fakeClientStream{recv: func() error { return hang(ctx) }}, nil
				})
			if err == nil {
				_ = stream.RecvMsg(nil)
			}
		},
		"stream client that nobody reads": func(ctx context.Context, b *breaker.Breaker) {
			_, _ = breakergrpc.StreamClientInterceptor(b)(ctx, &grpc.StreamDesc{ServerStreams: true}, nil, "/s/m",
				func(context.Context, *grpc.StreamDesc, *grpc.ClientConn, string, ...grpc.CallOption) (grpc.ClientStream, error) {
					return &fakeClientStream{}, nil
				})
			<-time.After(9500 * time.Millisecond)
		},
		"unary server": func(ctx context.Context, b *breaker.Breaker) {
			_, _ = breakergrpc.UnaryServerInterceptor(b)(ctx, nil, &grpc.UnaryServerInfo{},
				func(ctx context.Context, _ any) (any, error) { return nil, hang(ctx) })
		},
		"stream server": func(ctx context.Context, b *breaker.Breaker) {
			_ = breakergrpc.StreamServerInterceptor(b)(nil, &fakeServerStream{ctx: ctx}, &grpc.StreamServerInfo{},
				func(_ any, ss grpc.ServerStream) error { return hang(ss.Context()) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := probing(t)
				call(t.Context(), b)
				synctest.Wait()
				wantCount(t, b, failure)
				if b.State() != breaker.Open {
					t.Errorf("state is %v, want open again", b.State())
				}
			})
		})
	}
}

type fakeClientStream struct {
	grpc.ClientStream
	recv func() error
}

func (f *fakeClientStream) RecvMsg(any) error { return f.recv() }
