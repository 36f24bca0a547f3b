package breakergrpc_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"
	pb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/transport/breakergrpc"
)

// BenchmarkLoopback makes unary calls to a server on loopback by a bare and by a guarded client, in turn, so that both meet
// the same machine. The ratio is guarded to bare.
func BenchmarkLoopback(b *testing.B) {
	addr := serve(b, answering(nil))
	clients := []pb.TestServiceClient{dial(b, addr), guarded(b, addr, newBreaker(b))}
	var took [2]time.Duration
	calls := 0
	for b.Loop() {
		for i := range 2 { // which of them goes first changes with each round
			which := (i + calls) % 2
			start := time.Now()
			if _, err := clients[which].UnaryCall(context.Background(), &pb.SimpleRequest{}); err != nil {
				b.Fatal(err)
			}
			took[which] += time.Since(start)
		}
		calls++
	}
	b.ReportMetric(float64(took[0].Nanoseconds())/float64(calls), "bare-ns/op")
	b.ReportMetric(float64(took[1].Nanoseconds())/float64(calls), "guarded-ns/op")
	b.ReportMetric(float64(took[1])/float64(took[0]), "ratio")
}

// BenchmarkUnaryClient is what a call costs beside the network: admitted, and refused.
func BenchmarkUnaryClient(b *testing.B) {
	invoke := func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error { return nil }
	for _, refused := range []bool{false, true} {
		b.Run(map[bool]string{false: "admitted", true: "refused"}[refused], func(b *testing.B) {
			users := newBreaker(b)
			if refused {
				command(b, users, breaker.ForceOpen)
			}
			intercept := breakergrpc.UnaryClientInterceptor(users)
			b.ReportAllocs()
			for b.Loop() {
				_ = intercept(b.Context(), "/s/m", nil, nil, nil, invoke)
			}
		})
	}
}
