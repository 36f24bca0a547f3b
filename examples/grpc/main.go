// A client and a server of gRPC, both guarded. The service is gRPC's own health service, so that nothing is generated.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/transport/breakergrpc"
)

// service is a tier that is overloaded.
type service struct {
	healthpb.UnimplementedHealthServer
}

func (service) Check(context.Context, *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	return nil, status.Error(codes.ResourceExhausted, "overloaded")
}

func (service) Watch(_ *healthpb.HealthCheckRequest, s grpc.ServerStreamingServer[healthpb.HealthCheckResponse]) error {
	return s.Send(&healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_SERVING})
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	// The server refuses what keeps failing: Unavailable, with a RetryInfo that says when to come back.
	served, err := breaker.New("served", breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 2, OpenFor: 30 * time.Second}))
	check(err)
	server := grpc.NewServer(
		grpc.ChainUnaryInterceptor(breakergrpc.UnaryServerInterceptor(served)),
		grpc.ChainStreamInterceptor(breakergrpc.StreamServerInterceptor(served)))
	healthpb.RegisterHealthServer(server, service{})
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	check(err)
	go func() { _ = server.Serve(listener) }()
	defer server.Stop()

	// The client stops asking after four failures in a row. It does not count the server's refusals, which say nothing of the
	// service behind, and come back at once. PerMethod would give each method a breaker of its own.
	called, err := breaker.New("called", breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 4, OpenFor: 10 * time.Second}))
	check(err)
	conn, err := grpc.NewClient(listener.Addr().String(),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithChainUnaryInterceptor(breakergrpc.UnaryClientInterceptor(called)),
		grpc.WithChainStreamInterceptor(breakergrpc.StreamClientInterceptor(called)))
	check(err)
	defer conn.Close()
	client := healthpb.NewHealthClient(conn)

	// A stream is counted at its end.
	stream, err := client.Watch(ctx, &healthpb.HealthCheckRequest{})
	check(err)
	for {
		m, err := stream.Recv()
		if err != nil {
			fmt.Println("stream:", err)
			break
		}
		fmt.Println("stream:", m.GetStatus())
	}

	for i := range 5 {
		_, err := client.Check(ctx, &healthpb.HealthCheckRequest{})
		fmt.Printf("call %d: %v, by %s\n", i+1, status.Code(err), who(err))
	}
}

// who tells what the code alone does not.
func who(err error) string {
	var hint interface{ RetryAfter() time.Duration }
	switch {
	case errors.Is(err, breaker.ErrOpen):
		return "the client's own breaker: nothing was sent"
	case errors.As(err, &hint):
		return fmt.Sprintf("the server's breaker: come back in %v", hint.RetryAfter().Round(time.Second))
	default:
		return "the service"
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
