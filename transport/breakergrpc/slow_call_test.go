package breakergrpc_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/transport/breakergrpc"
)

// A tier that hangs was invisible behind callers that give up: their calls said nothing.
func TestACallThatIsGivenUpAfterSlowCallAfterCountsAsSlow(t *testing.T) {
	hang := func(ctx context.Context) error {
		select {
		case <-time.After(20 * time.Second):
			return nil
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		}
	}
	for name, call := range map[string]func(ctx context.Context, b *breaker.Breaker){
		"unary client": func(ctx context.Context, b *breaker.Breaker) {
			_ = breakergrpc.UnaryClientInterceptor(b)(ctx, "/tier/Call", nil, nil, nil,
				func(ctx context.Context, _ string, _, _ any, _ *grpc.ClientConn, _ ...grpc.CallOption) error {
					return hang(ctx)
				})
		},
		"stream client": func(ctx context.Context, b *breaker.Breaker) {
			stream, err := breakergrpc.StreamClientInterceptor(b)(ctx, &grpc.StreamDesc{ServerStreams: true}, nil, "/tier/Call",
				func(ctx context.Context, _ *grpc.StreamDesc, _ *grpc.ClientConn, _ string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
					return &fakeClientStream{recv: func() error { return hang(ctx) }}, nil
				})
			if err == nil {
				_ = stream.RecvMsg(nil)
			}
		},
		"stream server": func(ctx context.Context, b *breaker.Breaker) {
			_ = breakergrpc.StreamServerInterceptor(b)(nil, &fakeServerStream{ctx: ctx}, &grpc.StreamServerInfo{FullMethod: "/tier/Call"},
				func(_ any, ss grpc.ServerStream) error { return hang(ss.Context()) })
		},
		"unary server": func(ctx context.Context, b *breaker.Breaker) {
			_, _ = breakergrpc.UnaryServerInterceptor(b)(ctx, nil, &grpc.UnaryServerInfo{FullMethod: "/tier/Call"},
				func(ctx context.Context, _ any) (any, error) { return nil, hang(ctx) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				givenUp := func(p breaker.Policy) store.Snapshot {
					b, err := breaker.New("tier", breaker.WithPolicy(p))
					if err != nil {
						t.Fatal(err)
					}
					for range 10 {
						ctx, cancel := context.WithCancel(t.Context())
						time.AfterFunc(2*time.Second, cancel)
						call(ctx, b)
					}
					s, err := b.Snapshot(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					return s
				}
				s := givenUp(breaker.Policy{MinCalls: 10, SlowCallRate: 0.5, SlowCallAfter: time.Second})
				if want := (store.Totals{Calls: 10, Slow: 10}); s.Reason != breaker.BySlowCallRate || s.Totals != want {
					t.Errorf("%v (%s), %+v; want open by slow calls, %+v", s.State, s.Reason, s.Totals, want)
				}
				s = givenUp(breaker.Policy{MinCalls: 10, FailureRate: 0.5, SlowCallAfter: time.Second})
				if want := (store.Totals{Ignored: 10}); s.State != breaker.Closed || s.Totals != want {
					t.Errorf("without a SlowCallRate: %v, %+v; want closed, %+v", s.State, s.Totals, want)
				}
			})
		})
	}
}

// Each healthy stream that its client left after an hour counted as a slow call.
func TestAStreamThatBeganInTimeIsNotSlowHoweverLongItLasts(t *testing.T) {
	for name, stream := range map[string]func(ctx context.Context, b *breaker.Breaker, before time.Duration){
		"client": func(ctx context.Context, b *breaker.Breaker, before time.Duration) {
			messages := 1
			s, err := breakergrpc.StreamClientInterceptor(b)(ctx, &grpc.StreamDesc{ServerStreams: true}, nil, "/tier/Watch",
				func(ctx context.Context, _ *grpc.StreamDesc, _ *grpc.ClientConn, _ string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
					return &fakeClientStream{recv: func() error {
						if messages--; messages == 0 {
							time.Sleep(before)
							return nil
						}
						<-ctx.Done()
						return status.FromContextError(ctx.Err()).Err()
					}}, nil
				})
			for err == nil {
				err = s.RecvMsg(nil)
			}
		},
		"server": func(ctx context.Context, b *breaker.Breaker, before time.Duration) {
			_ = breakergrpc.StreamServerInterceptor(b)(nil, &brokenStream{fakeServerStream{ctx: ctx}, nil}, &grpc.StreamServerInfo{},
				func(_ any, ss grpc.ServerStream) error {
					time.Sleep(before)
					_ = ss.SendMsg(nil)
					<-ctx.Done()
					return status.FromContextError(ctx.Err()).Err()
				})
		},
	} {
		for before, want := range map[time.Duration]store.Totals{time.Second: {Ignored: 1}, 2 * time.Second: {Calls: 1, Slow: 1}} {
			t.Run(name+", first message after "+before.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newBreaker(t, breaker.WithPolicy(breaker.Policy{SlowCallRate: 0.5, SlowCallAfter: time.Second}))
					ctx, cancel := context.WithCancel(t.Context())
					time.AfterFunc(time.Hour, cancel)
					stream(ctx, b, before)
					synctest.Wait()
					if got := totals(t, b); got != want {
						t.Errorf("%+v, want %+v", got, want)
					}
				})
			})
		}
	}
}
