package breakergrpc_test

import (
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/transport/breakergrpc"
)

// answering is a tier that answers unary calls with that error.
func answering(err error) *tier {
	return &tier{unary: func(context.Context, *pb.SimpleRequest) (*pb.SimpleResponse, error) {
		return &pb.SimpleResponse{}, err
	}}
}

var byCode = map[codes.Code]count{
	codes.OK: success, codes.Canceled: ignored, codes.Unknown: failure, codes.InvalidArgument: success,
	codes.DeadlineExceeded: failure, codes.NotFound: success, codes.AlreadyExists: success, codes.PermissionDenied: success,
	codes.ResourceExhausted: failure, codes.FailedPrecondition: success, codes.Aborted: success, codes.OutOfRange: success,
	codes.Unimplemented: success, codes.Internal: failure, codes.Unavailable: failure, codes.DataLoss: failure,
	codes.Unauthenticated: success,
}

func TestUnaryCallsCountByCode(t *testing.T) {
	for code, want := range byCode {
		t.Run(code.String(), func(t *testing.T) {
			client, server := newBreaker(t), newBreaker(t)
			addr := serve(t, answering(status.Error(code, "as told")),
				grpc.UnaryInterceptor(breakergrpc.UnaryServerInterceptor(server)))
			_, err := guarded(t, addr, client).UnaryCall(t.Context(), &pb.SimpleRequest{})
			if status.Code(err) != code {
				t.Errorf("the caller got %v, want the tier's %v", err, code)
			}
			wantCount(t, client, want)
			wantCount(t, server, want)
		})
	}
}

func TestWithFailureCodesReplacesTheCodes(t *testing.T) {
	for _, c := range []struct {
		codes []codes.Code
		sent  codes.Code
		want  count
	}{
		{[]codes.Code{codes.NotFound}, codes.NotFound, failure},
		{[]codes.Code{codes.NotFound}, codes.Unavailable, success},
		{[]codes.Code{codes.NotFound}, codes.Canceled, ignored},
		{[]codes.Code{codes.Canceled}, codes.Canceled, failure},
		{[]codes.Code{codes.OK}, codes.OK, success},
		{nil, codes.Unavailable, failure},
	} {
		b := newBreaker(t)
		_, _ = guarded(t, serve(t, answering(status.Error(c.sent, ""))), b, breakergrpc.WithFailureCodes(c.codes...)).
			UnaryCall(t.Context(), &pb.SimpleRequest{})
		if got := counted(t, b); got != c.want {
			t.Errorf("%v under %v counts %v, want %v", c.sent, c.codes, got, c.want)
		}
	}
}

func TestAServersHandlerMayReturnTheErrorOfItsContext(t *testing.T) {
	for err, want := range map[error]count{
		context.Canceled: ignored, context.DeadlineExceeded: failure, io.ErrUnexpectedEOF: failure,
	} {
		b := newBreaker(t)
		handler := func(context.Context, any) (any, error) { return nil, err }
		_, _ = breakergrpc.UnaryServerInterceptor(b)(t.Context(), nil, &grpc.UnaryServerInfo{FullMethod: "/s/m"}, handler)
		if got := counted(t, b); got != want {
			t.Errorf("%v counts %v, want %v", err, got, want)
		}
	}
}

func TestACallThatItsCallerCancelledIsIgnoredOnBothSides(t *testing.T) {
	client, server := newBreaker(t), newBreaker(t)
	arrived := make(chan struct{})
	addr := serve(t, &tier{unary: func(ctx context.Context, _ *pb.SimpleRequest) (*pb.SimpleResponse, error) {
		close(arrived)
		<-ctx.Done()
		return nil, status.Error(codes.Internal, "the query was cancelled") // what many a driver makes of it
	}}, grpc.UnaryInterceptor(breakergrpc.UnaryServerInterceptor(server)))
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	if _, err := guarded(t, addr, client).UnaryCall(ctx, &pb.SimpleRequest{}); status.Code(err) != codes.Canceled {
		t.Errorf("error is %v, want Canceled", err)
	}
	wantCount(t, client, ignored)
	until(t, "the server's handler has not been counted", func() bool { return counted(t, server) != nothing })
	wantCount(t, server, ignored)
}

func TestACallThatItsCallerCancelledIsIgnoredWhateverItsCode(t *testing.T) {
	for code := range byCode {
		if code == codes.OK {
			continue // it was answered in time
		}
		b := newBreaker(t, breaker.WithClassifier(func(context.Context, error) breaker.Outcome { return breaker.Failure }))
		ctx, leave := context.WithCancel(t.Context())
		_, _ = breakergrpc.UnaryServerInterceptor(b)(ctx, nil, &grpc.UnaryServerInfo{}, func(context.Context, any) (any, error) {
			leave()
			return nil, status.Error(code, "too late")
		})
		if got := counted(t, b); got != ignored {
			t.Errorf("%v counts %v, want %v", code, got, ignored)
		}
	}
}

func TestACallThatMissedItsDeadlineIsAFailure(t *testing.T) {
	var came atomic.Bool
	addr := serve(t, &tier{unary: func(ctx context.Context, _ *pb.SimpleRequest) (*pb.SimpleResponse, error) {
		came.Store(true)
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	// Until the deadline is long enough that the call reaches the tier on this machine.
	for within := 20 * time.Millisecond; ; within *= 2 {
		b := newBreaker(t)
		ctx, cancel := context.WithTimeout(t.Context(), within)
		_, err := guarded(t, addr, b).UnaryCall(ctx, &pb.SimpleRequest{})
		cancel()
		if status.Code(err) != codes.DeadlineExceeded {
			t.Fatalf("error is %v, want DeadlineExceeded", err)
		}
		if came.Load() {
			wantCount(t, b, failure)
			return
		}
	}
}

type key struct{}

// Elsewhere a call's context and metadata were those of the first call that came through the interceptor.
func TestContextAndMetadataSurvive(t *testing.T) {
	seen := make(chan string, 2)
	report := func(ctx context.Context) {
		md, _ := metadata.FromIncomingContext(ctx)
		who, _ := ctx.Value(key{}).(string)
		seen <- strings.Join(append(md.Get("user"), who), " ")
	}
	mark := func(ctx context.Context) context.Context { return context.WithValue(ctx, key{}, "marked") }
	b := newBreaker(t)
	addr := serve(t, &tier{
		unary: func(ctx context.Context, _ *pb.SimpleRequest) (*pb.SimpleResponse, error) {
			report(ctx)
			return &pb.SimpleResponse{}, nil
		},
		talk: func(s grpc.BidiStreamingServer[pb.StreamingOutputCallRequest, pb.StreamingOutputCallResponse]) error {
			report(s.Context())
			return nil
		},
	},
		grpc.ChainUnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
			return h(mark(ctx), req)
		}, breakergrpc.UnaryServerInterceptor(b)),
		grpc.ChainStreamInterceptor(func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, h grpc.StreamHandler) error {
			return h(srv, &marked{ss, mark(ss.Context())})
		}, breakergrpc.StreamServerInterceptor(b)))
	client := guarded(t, addr, newBreaker(t))
	for _, user := range []string{"ada", "bob"} {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "user", user)
		if _, err := client.UnaryCall(ctx, &pb.SimpleRequest{}); err != nil {
			t.Fatal(err)
		}
		if got := <-seen; got != user+" marked" {
			t.Errorf("a unary call of %s was seen as %q", user, got)
		}
		stream, err := client.FullDuplexCall(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if got := <-seen; got != user+" marked" {
			t.Errorf("a stream of %s was seen as %q", user, got)
		}
	}
}

type marked struct {
	grpc.ServerStream
	ctx context.Context
}

func (m *marked) Context() context.Context { return m.ctx }

func TestWithPickChoosesByMethod(t *testing.T) {
	open := newBreaker(t)
	command(t, open, breaker.Trip)
	failed := errors.New("no breaker for you")
	denied := status.Error(codes.PermissionDenied, "not you")
	addr := serve(t, answering(nil))
	for name, c := range map[string]struct {
		b    *breaker.Breaker
		err  error
		want codes.Code
	}{
		"none: unguarded":         {nil, nil, codes.OK},
		"an open one: refused":    {open, nil, codes.Unavailable},
		"an error":                {nil, failed, codes.Unavailable},
		"an error with a status":  {nil, denied, codes.PermissionDenied},
		"an error and a breaker?": {open, failed, codes.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			var asked string
			client := guarded(t, addr, nil, breakergrpc.WithPick(func(method string) (*breaker.Breaker, error) {
				asked = method
				return c.b, c.err
			}))
			_, err := client.UnaryCall(t.Context(), &pb.SimpleRequest{})
			if status.Code(err) != c.want || c.err != nil && !errors.Is(err, c.err) {
				t.Errorf("error is %v, want %v", err, c.want)
			}
			if asked != pb.TestService_UnaryCall_FullMethodName {
				t.Errorf("asked for %q", asked)
			}
		})
	}
}

func TestAPanicIsAFailureAndGoesUp(t *testing.T) {
	info := &grpc.UnaryServerInfo{FullMethod: "/s/m"}
	streamInfo := &grpc.StreamServerInfo{FullMethod: "/s/m"}
	for name, call := range map[string]func(b *breaker.Breaker, fail func()){
		"unary server": func(b *breaker.Breaker, fail func()) {
			_, _ = breakergrpc.UnaryServerInterceptor(b)(t.Context(), nil, info,
				func(context.Context, any) (any, error) { fail(); return nil, nil })
		},
		"stream server": func(b *breaker.Breaker, fail func()) {
			_ = breakergrpc.StreamServerInterceptor(b)(nil, &fakeServerStream{ctx: t.Context()}, streamInfo,
				func(any, grpc.ServerStream) error { fail(); return nil })
		},
		"unary client": func(b *breaker.Breaker, fail func()) {
			_ = breakergrpc.UnaryClientInterceptor(b)(t.Context(), "/s/m", nil, nil, nil,
				func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error {
					fail()
					return nil
				})
		},
		"stream client": func(b *breaker.Breaker, fail func()) {
			_, _ = breakergrpc.StreamClientInterceptor(b)(t.Context(), &grpc.StreamDesc{}, nil, "/s/m",
				func(context.Context, *grpc.StreamDesc, *grpc.ClientConn, string, ...grpc.CallOption) (grpc.ClientStream, error) {
					fail()
					return nil, nil
				})
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBreaker(t)
			func() {
				defer func() {
					if got := recover(); got != "boom" {
						t.Errorf("panic is %v, want boom", got)
					}
				}()
				call(b, func() { panic("boom") })
			}()
			wantCount(t, b, failure)
		})
		t.Run(name+", Goexit", func(t *testing.T) {
			b := newBreaker(t)
			gone := make(chan struct{})
			go func() { defer close(gone); call(b, runtime.Goexit) }()
			<-gone
			wantCount(t, b, failure)
		})
	}
}

type fakeServerStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (f *fakeServerStream) Context() context.Context { return f.ctx }

func TestNilIsRefusedWithASentence(t *testing.T) {
	b := newBreaker(t)
	for name, fn := range map[string]func(){
		"breakergrpc: UnaryClientInterceptor: nil *breaker.Breaker":  func() { breakergrpc.UnaryClientInterceptor(nil) },
		"breakergrpc: StreamClientInterceptor: nil *breaker.Breaker": func() { breakergrpc.StreamClientInterceptor(nil) },
		"breakergrpc: UnaryServerInterceptor: nil *breaker.Breaker":  func() { breakergrpc.UnaryServerInterceptor(nil) },
		"breakergrpc: StreamServerInterceptor: nil *breaker.Breaker": func() { breakergrpc.StreamServerInterceptor(nil) },
		"breakergrpc: UnaryClientInterceptor: nil Option":            func() { breakergrpc.UnaryClientInterceptor(b, nil) },
		"breakergrpc: WithPick: nil function":                        func() { breakergrpc.WithPick(nil) },
		"breakergrpc: PerMethod: nil *breaker.Manager":               func() { breakergrpc.PerMethod(nil, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if got, _ := recover().(string); !strings.HasPrefix(got, name) {
					t.Errorf("panic is %q", got)
				}
			}()
			fn()
		})
	}
}
