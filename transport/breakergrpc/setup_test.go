package breakergrpc_test

import (
	"context"
	"net"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	pb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/transport/breakergrpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tier is a service whose methods are given by the test.
type tier struct {
	pb.UnimplementedTestServiceServer
	unary    func(context.Context, *pb.SimpleRequest) (*pb.SimpleResponse, error)
	upload   func(grpc.ClientStreamingServer[pb.StreamingInputCallRequest, pb.StreamingInputCallResponse]) error
	download func(*pb.StreamingOutputCallRequest, grpc.ServerStreamingServer[pb.StreamingOutputCallResponse]) error
	talk     func(grpc.BidiStreamingServer[pb.StreamingOutputCallRequest, pb.StreamingOutputCallResponse]) error
}

func (s *tier) UnaryCall(ctx context.Context, r *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	return s.unary(ctx, r)
}

func (s *tier) StreamingInputCall(in grpc.ClientStreamingServer[pb.StreamingInputCallRequest, pb.StreamingInputCallResponse]) error {
	return s.upload(in)
}

func (s *tier) StreamingOutputCall(r *pb.StreamingOutputCallRequest, out grpc.ServerStreamingServer[pb.StreamingOutputCallResponse]) error {
	return s.download(r, out)
}

func (s *tier) FullDuplexCall(both grpc.BidiStreamingServer[pb.StreamingOutputCallRequest, pb.StreamingOutputCallResponse]) error {
	return s.talk(both)
}

// serve runs s on loopback until the test ends, and returns its address.
func serve(tb testing.TB, s *tier, opts ...grpc.ServerOption) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	server := grpc.NewServer(opts...)
	pb.RegisterTestServiceServer(server, s)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(l); err != nil {
			tb.Errorf("the server ended: %v", err)
		}
	}()
	tb.Cleanup(func() { server.Stop(); <-done })
	return l.Addr().String()
}

// dial connects until the test ends.
func dial(tb testing.TB, addr string, opts ...grpc.DialOption) pb.TestServiceClient {
	tb.Helper()
	conn, err := grpc.NewClient(addr, append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	return pb.NewTestServiceClient(conn)
}

// guarded connects with both client interceptors.
func guarded(tb testing.TB, addr string, b *breaker.Breaker, opts ...breakergrpc.Option) pb.TestServiceClient {
	tb.Helper()
	return dial(tb, addr,
		grpc.WithChainUnaryInterceptor(breakergrpc.UnaryClientInterceptor(b, opts...)),
		grpc.WithChainStreamInterceptor(breakergrpc.StreamClientInterceptor(b, opts...)))
}

func newBreaker(tb testing.TB, opts ...breaker.Option) *breaker.Breaker {
	tb.Helper()
	b, err := breaker.New("tier", opts...)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func command(tb testing.TB, b *breaker.Breaker, action breaker.Action) {
	tb.Helper()
	if _, err := b.Command(tb.Context(), breaker.Command{Action: action, By: "test"}); err != nil {
		tb.Fatal(err)
	}
}

func totals(tb testing.TB, b *breaker.Breaker) store.Totals {
	tb.Helper()
	s, err := b.Snapshot(context.Background())
	if err != nil {
		tb.Fatal(err)
	}
	return s.Totals
}

// count is what one call did to the totals.
type count struct{ calls, failures, ignored uint64 }

var (
	success = count{calls: 1}
	failure = count{calls: 1, failures: 1}
	ignored = count{ignored: 1}
	nothing = count{}
)

func counted(tb testing.TB, b *breaker.Breaker) count {
	tb.Helper()
	got := totals(tb, b)
	return count{got.Calls, got.Failures, got.Ignored}
}

func wantCount(tb testing.TB, b *breaker.Breaker, want count) {
	tb.Helper()
	if got := counted(tb, b); got != want {
		tb.Errorf("calls, failures, ignored are %v, want %v", got, want)
	}
}

// until repeats step until it is true.
func until(tb testing.TB, what string, step func() bool) {
	tb.Helper()
	await.Until(tb, what, step)
}
