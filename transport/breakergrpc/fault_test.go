package breakergrpc_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/transport/breakergrpc"
)

// badCreds are credentials that cannot be got.
type badCreds struct{}

func (badCreds) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return nil, errors.New("no token")
}
func (badCreds) RequireTransportSecurity() bool { return false }

func TestACallThatNeverLeftTheProcessIsIgnored(t *testing.T) {
	// Five of them opened the breaker, in a fleet for all, while the tier answered.
	var asked atomic.Int32
	addr := serve(t, &tier{
		unary: func(context.Context, *pb.SimpleRequest) (*pb.SimpleResponse, error) {
			asked.Add(1)
			return &pb.SimpleResponse{}, nil
		},
		download: func(*pb.StreamingOutputCallRequest, downloads) error { asked.Add(1); return nil },
		talk:     func(s talks) error { _, err := s.Recv(); return err },
	})
	illegal := func(ctx context.Context) context.Context {
		return metadata.AppendToOutgoingContext(ctx, "token", "abc\n")
	}
	badKey := func(ctx context.Context) context.Context {
		return metadata.NewOutgoingContext(ctx, metadata.MD{"bad key": {"x"}})
	}
	same := func(ctx context.Context) context.Context { return ctx }
	text, long := "\xff", strings.Repeat("x", 1000)
	for name, c := range map[string]struct {
		ctx  func(context.Context) context.Context
		user string
		opt  grpc.CallOption
	}{
		"invalid UTF-8":         {same, text, grpc.EmptyCallOption{}},
		"illegal metadata":      {illegal, "", grpc.EmptyCallOption{}},
		"an illegal key":        {badKey, "", grpc.EmptyCallOption{}},
		"unknown compressor":    {same, "", grpc.UseCompressor("none such")},
		"unknown codec":         {same, "", grpc.CallContentSubtype("none such")},
		"MaxCallSendMsgSize":    {same, long, grpc.MaxCallSendMsgSize(100)},
		"credentials that fail": {same, "", grpc.PerRPCCredentials(badCreds{})},
	} {
		t.Run(name+", unary", func(t *testing.T) {
			b := newBreaker(t)
			_, err := guarded(t, addr, b).UnaryCall(c.ctx(t.Context()), &pb.SimpleRequest{
				ResponseStatus: &pb.EchoStatus{Message: c.user},
			}, c.opt)
			if err == nil {
				t.Fatal("the call was made")
			}
			if got := counted(t, b); got != ignored {
				t.Errorf("%v counts %v", err, got)
			}
		})
		t.Run(name+", stream", func(t *testing.T) {
			b := newBreaker(t)
			s, err := guarded(t, addr, b).FullDuplexCall(c.ctx(t.Context()), c.opt)
			if err == nil {
				err = s.Send(&pb.StreamingOutputCallRequest{ResponseStatus: &pb.EchoStatus{Message: c.user}})
			}
			if err == nil {
				t.Fatal("the message was sent")
			}
			if got := counted(t, b); got != ignored {
				t.Errorf("%v counts %v", err, got)
			}
		})
	}
	if asked.Load() != 0 {
		t.Errorf("the tier was asked %d times", asked.Load())
	}
}

func TestAProcessWithoutAFreeSocketIsNotTheTiersFault(t *testing.T) {
	for errno, want := range map[syscall.Errno]count{syscall.EMFILE: ignored, syscall.ENOBUFS: ignored, syscall.EADDRNOTAVAIL: failure, syscall.ECONNREFUSED: failure} {
		b := newBreaker(t)
		client := dial(t, "passthrough:///tier", grpc.WithChainUnaryInterceptor(breakergrpc.UnaryClientInterceptor(b)),
			grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
				return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("socket", errno)}
			}))
		_, err := client.UnaryCall(t.Context(), &pb.SimpleRequest{})
		if got := counted(t, b); got != want {
			t.Errorf("%v counts %v, want %v", err, got, want)
		}
	}
}

func TestAServerThatSaysTheSameOfItsOwnCallsHasFailed(t *testing.T) {
	for _, said := range []error{
		status.Error(codes.Internal, "grpc: error while marshaling: string field contains invalid UTF-8"),
		status.Error(codes.ResourceExhausted, "trying to send message larger than max (5000 vs. 1000)"),
		status.Error(codes.Internal, `grpc: Compressor is not installed for requested grpc-encoding "x"`),
		status.Error(codes.Internal, `header key "token" contains value with non-printable ASCII characters`),
	} {
		client, server := newBreaker(t), newBreaker(t)
		addr := serve(t, answering(said), grpc.UnaryInterceptor(breakergrpc.UnaryServerInterceptor(server)))
		_, _ = guarded(t, addr, client).UnaryCall(t.Context(), &pb.SimpleRequest{})
		if c, s := counted(t, client), counted(t, server); c != failure || s != failure {
			t.Errorf("%v counts %v at the client, %v at the server; want failures", said, c, s)
		}
	}
}

func TestAMessageThatIsTooLargeForItsReceiverIsIgnored(t *testing.T) {
	long := &pb.Payload{Body: make([]byte, 10_000)}
	t.Run("the client takes no such answer", func(t *testing.T) {
		b := newBreaker(t)
		addr := serve(t, &tier{unary: func(context.Context, *pb.SimpleRequest) (*pb.SimpleResponse, error) {
			return &pb.SimpleResponse{Payload: long}, nil
		}})
		if _, err := guarded(t, addr, b).UnaryCall(t.Context(), &pb.SimpleRequest{}, grpc.MaxCallRecvMsgSize(100)); err == nil {
			t.Fatal("it came")
		}
		wantCount(t, b, ignored)
	})
	t.Run("the server takes no such request", func(t *testing.T) {
		client, server := newBreaker(t), newBreaker(t)
		addr := serve(t, streaming(nil), grpc.MaxRecvMsgSize(100), grpc.StreamInterceptor(breakergrpc.StreamServerInterceptor(server)))
		s, err := guarded(t, addr, client).FullDuplexCall(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_ = s.Send(&pb.StreamingOutputCallRequest{Payload: long})
		if err := drain(s.Recv); status.Code(err) != codes.ResourceExhausted {
			t.Fatal(err)
		}
		wantCount(t, client, ignored)
		until(t, "the handler has returned", func() bool { return counted(t, server) != count{} }) // gRPC answers before
		wantCount(t, server, ignored)
	})
}

func TestAClientWhoseMessageCannotBeReadIsNotTheHandlersFault(t *testing.T) {
	unreadable := status.Error(codes.Internal, "grpc: failed to unmarshal the received message")
	for name, c := range map[string]struct {
		end  func(recv error) error
		want count
	}{
		"passed on":    {func(recv error) error { return recv }, ignored},
		"wrapped":      {func(recv error) error { return fmt.Errorf("reading: %w", recv) }, ignored},
		"another code": {func(error) error { return status.Error(codes.Internal, "my own fault") }, failure},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBreaker(t)
			_ = breakergrpc.StreamServerInterceptor(b)(nil, &brokenStream{fakeServerStream{ctx: t.Context()}, unreadable}, &grpc.StreamServerInfo{},
				func(_ any, ss grpc.ServerStream) error { return c.end(ss.RecvMsg(nil)) })
			wantCount(t, b, c.want)
		})
	}
}

type brokenStream struct {
	fakeServerStream
	err error
}

func (b *brokenStream) RecvMsg(any) error { return b.err }
func (b *brokenStream) SendMsg(any) error { return nil }

func TestAServersCallIsAFailureIfItsDeadlineWasOverUnanswered(t *testing.T) {
	// The client got DeadlineExceeded, and the breaker counted a success and closed by it.
	for name, c := range map[string]struct {
		err  error
		opts []breakergrpc.Option
		want count
	}{
		"no error":               {nil, nil, failure},
		"an answer":              {status.Error(codes.NotFound, "too late"), nil, failure},
		"a failure":              {status.Error(codes.Unavailable, "too late"), nil, failure},
		"other codes":            {nil, []breakergrpc.Option{breakergrpc.WithFailureCodes(codes.Internal)}, failure},
		"a guard within refused": {breaker.ErrOpen, nil, ignored},
	} {
		t.Run(name+", unary", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBreaker(t)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_, _ = breakergrpc.UnaryServerInterceptor(b, c.opts...)(ctx, nil, &grpc.UnaryServerInfo{}, func(ctx context.Context, _ any) (any, error) {
					<-ctx.Done()
					return nil, c.err
				})
				wantCount(t, b, c.want)
			})
		})
		for sent, want := range map[bool]count{false: c.want, true: success} {
			if sent && c.want == ignored || c.err != nil && sent {
				continue
			}
			t.Run(fmt.Sprintf("%s, stream, answered: %v", name, sent), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newBreaker(t)
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					defer cancel()
					_ = breakergrpc.StreamServerInterceptor(b, c.opts...)(nil, &brokenStream{fakeServerStream{ctx: ctx}, nil}, &grpc.StreamServerInfo{},
						func(_ any, ss grpc.ServerStream) error {
							if sent {
								_ = ss.SendMsg(nil)
							}
							<-ss.Context().Done()
							_ = ss.SendMsg(nil) // into the void
							return c.err
						})
					wantCount(t, b, want)
				})
			})
		}
	}
	t.Run("no probe closes by it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := probing(t)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, _ = breakergrpc.UnaryServerInterceptor(b)(ctx, nil, &grpc.UnaryServerInfo{}, func(ctx context.Context, _ any) (any, error) {
				<-ctx.Done()
				return nil, nil
			})
			if b.State() != breaker.Open {
				t.Errorf("state is %v, want open", b.State())
			}
		})
	})
}

// full is the error of a guard of another library.
type full struct{}

func (full) Error() string { return "the bulkhead is full" }
func (full) Refused() bool { return true }

// The client's cancellation came before the server's own timer in every second call, and a tier that hung was ignored.
func TestACallThatItsClientCancelsAtItsDeadlineIsAFailure(t *testing.T) {
	gone := status.Error(codes.Canceled, "context canceled")
	for name, c := range map[string]struct {
		after time.Duration
		err   error
		want  count
	}{
		"at its deadline, nothing said":    {999 * time.Millisecond, nil, failure},
		"at its deadline, passed on":       {999 * time.Millisecond, gone, failure},
		"at its deadline, an answer":       {901 * time.Millisecond, status.Error(codes.NotFound, "too late"), failure},
		"at its deadline, refused":         {999 * time.Millisecond, breaker.ErrOpen, ignored},
		"long before, passed on":           {899 * time.Millisecond, gone, ignored},
		"long before, as if it ended well": {899 * time.Millisecond, nil, success},
	} {
		for kind, serve := range map[string]func(ctx context.Context, b *breaker.Breaker){
			"unary": func(ctx context.Context, b *breaker.Breaker) {
				_, _ = breakergrpc.UnaryServerInterceptor(b)(ctx, nil, &grpc.UnaryServerInfo{}, func(ctx context.Context, _ any) (any, error) {
					<-ctx.Done()
					return nil, c.err
				})
			},
			"stream": func(ctx context.Context, b *breaker.Breaker) {
				_ = breakergrpc.StreamServerInterceptor(b)(nil, &brokenStream{fakeServerStream{ctx: ctx}, gone}, &grpc.StreamServerInfo{},
					func(_ any, ss grpc.ServerStream) error {
						<-ss.Context().Done()
						_ = ss.RecvMsg(nil)
						return c.err
					})
			},
		} {
			t.Run(name+", "+kind, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newBreaker(t)
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					defer cancel()
					time.AfterFunc(c.after, cancel)
					serve(ctx, b)
					wantCount(t, b, c.want)
				})
			})
		}
	}
}

func TestMetadataLargerThanTheServerTakesIsNotTheTiersFault(t *testing.T) {
	addr := serve(t, streaming(nil), grpc.MaxHeaderListSize(1000))
	b := newBreaker(t)
	client := guarded(t, addr, b)
	if _, err := client.EmptyCall(t.Context(), &pb.Empty{}); status.Code(err) != codes.Unimplemented {
		t.Fatal(err) // the connection knows the server's limit
	}
	ctx := metadata.AppendToOutgoingContext(t.Context(), "token", strings.Repeat("x", 2000))
	_, err := client.UnaryCall(ctx, &pb.SimpleRequest{})
	if _, errStream := client.FullDuplexCall(ctx); err == nil || errStream == nil {
		t.Fatalf("sent: %v, %v", err, errStream)
	}
	wantCount(t, b, count{calls: 1, ignored: 2})
}

func TestARefusalThatAHandlerPassesOnIsIgnored(t *testing.T) {
	// Five of them opened the server's breaker and the client's, which outlived the one within.
	open := newBreaker(t)
	command(t, open, breaker.Trip)
	within := func() error { return open.Run(context.Background(), func(context.Context) error { return nil }) }
	own := func() error { // a guard that is not ours says so by its status
		st, err := status.New(codes.ResourceExhausted, "limit").WithDetails(
			&errdetails.ErrorInfo{Reason: breakergrpc.RefusedReason, Domain: breakergrpc.RefusedDomain})
		if err != nil {
			t.Fatal(err)
		}
		return st.Err()
	}
	for name, c := range map[string]struct {
		err     error
		refused bool
	}{
		"a breaker's":                 {within(), true},
		"wrapped":                     {fmt.Errorf("users: %w", within()), true},
		"another library's":           {full{}, true},
		"one that says it by details": {own(), true},
		"beside a failure":            {errors.Join(full{}, errors.New("lost")), false},
		"a status beside a failure":   {errors.Join(own(), errors.New("lost")), false},
		"a failure":                   {status.Error(codes.Unavailable, "gone"), false},
	} {
		want := failure
		if c.refused {
			want = ignored
		}
		t.Run(name, func(t *testing.T) {
			client, server := newBreaker(t), newBreaker(t)
			addr := serve(t, &tier{
				unary: func(context.Context, *pb.SimpleRequest) (*pb.SimpleResponse, error) { return nil, c.err },
				talk:  func(talks) error { return c.err },
			}, grpc.UnaryInterceptor(breakergrpc.UnaryServerInterceptor(server)),
				grpc.StreamInterceptor(breakergrpc.StreamServerInterceptor(server)))
			_, err := guarded(t, addr, client).UnaryCall(t.Context(), &pb.SimpleRequest{})
			if breaker.IsRefusal(err) != c.refused {
				t.Errorf("at the client %v is a refusal: %v, want %v", err, breaker.IsRefusal(err), c.refused)
			}
			wantCount(t, client, want)
			wantCount(t, server, want)
			s, err := guarded(t, addr, newBreaker(t)).FullDuplexCall(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Recv(); breaker.IsRefusal(err) != c.refused {
				t.Errorf("of a stream %v is a refusal: %v, want %v", err, breaker.IsRefusal(err), c.refused)
			}
		})
	}
	t.Run("from hop to hop", func(t *testing.T) {
		// client -> front -> back, whose breaker is open: neither of the two in front of it learns anything of its tier.
		back := serve(t, answering(nil), grpc.UnaryInterceptor(breakergrpc.UnaryServerInterceptor(open)))
		middle := newBreaker(t)
		inner := guarded(t, back, middle)
		front := serve(t, &tier{unary: func(ctx context.Context, r *pb.SimpleRequest) (*pb.SimpleResponse, error) {
			return inner.UnaryCall(ctx, r)
		}})
		b := newBreaker(t)
		_, err := guarded(t, front, b).UnaryCall(t.Context(), &pb.SimpleRequest{})
		wantRefusal(t, err, false)
		wantCount(t, b, ignored)
		wantCount(t, middle, ignored)
	})
	t.Run("a client's refusal within a breaker", func(t *testing.T) {
		b := newBreaker(t)
		client := guarded(t, "127.0.0.1:1", open)
		_ = b.Run(t.Context(), func(ctx context.Context) error {
			_, err := client.UnaryCall(ctx, &pb.SimpleRequest{})
			return err
		})
		wantCount(t, b, ignored)
	})
}

func TestAStreamThatIsAProbeIsSettledByItsFirstMessage(t *testing.T) {
	// Healthy streams were cut at 90 % of ProbeLease and counted as failures: with nothing else to probe it never closed.
	linger := func(t *testing.T, ctx context.Context, b *breaker.Breaker) {
		t.Helper()
		if b.State() != breaker.Closed {
			t.Errorf("state is %v after the first message, want closed", b.State())
		}
		<-time.After(time.Hour)
		if ctx.Err() != nil {
			t.Errorf("the stream was cut: %v", ctx.Err())
		}
	}
	t.Run("server", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := probing(t)
			_ = breakergrpc.StreamServerInterceptor(b)(nil, &brokenStream{fakeServerStream{ctx: t.Context()}, nil}, &grpc.StreamServerInfo{},
				func(_ any, ss grpc.ServerStream) error {
					if err := ss.SendMsg(nil); err != nil {
						t.Error(err)
					}
					linger(t, ss.Context(), b)
					return nil
				})
			if got := totals(t, b); got.Failures != 0 {
				t.Errorf("%+v", got)
			}
		})
	})
	t.Run("client", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := probing(t)
			var under context.Context
			s, err := breakergrpc.StreamClientInterceptor(b)(t.Context(), &grpc.StreamDesc{ServerStreams: true}, nil, "/s/m",
				func(ctx context.Context, _ *grpc.StreamDesc, _ *grpc.ClientConn, _ string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
					under = ctx
					return &fakeClientStream{recv: func() error { return nil }}, nil
				})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.RecvMsg(nil); err != nil {
				t.Fatal(err)
			}
			linger(t, under, b)
		})
	})
}

func TestAProbeThatRunsOutOfItsLeaseIsDeadlineExceeded(t *testing.T) {
	// gRPC said Canceled: the caller's own word for having left.
	b := newBreaker(t, breaker.WithPolicy(breaker.Policy{
		ConsecutiveFailures: 1, OpenFor: time.Millisecond, ProbeLease: time.Second, ProbeSuccesses: 1,
	}))
	command(t, b, breaker.Trip)
	client := guarded(t, serve(t, &tier{unary: func(ctx context.Context, _ *pb.SimpleRequest) (*pb.SimpleResponse, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}), b)
	until(t, "no probe came back", func() bool {
		_, err := client.UnaryCall(t.Context(), &pb.SimpleRequest{})
		if errors.Is(err, breaker.ErrOpen) {
			return false
		}
		if status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("the probe ended with %v, want DeadlineExceeded", err)
		}
		return true
	})
}
