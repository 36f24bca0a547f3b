package breakergrpc_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/commontrip/commontrip/breaker"
	memorystore "github.com/commontrip/commontrip/store/memory"
	"github.com/commontrip/commontrip/transport/breakergrpc"
)

// run serves gRPC's own health service on loopback, and returns its address and how to end it.
func run(opts ...grpc.ServerOption) (string, func()) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	s := grpc.NewServer(opts...)
	healthpb.RegisterHealthServer(s, health.NewServer())
	go func() { _ = s.Serve(l) }()
	return l.Addr().String(), s.Stop
}

func connect(addr string, opts ...grpc.DialOption) *grpc.ClientConn {
	conn, err := grpc.NewClient(addr, append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		panic(err)
	}
	return conn
}

// gRPC's health service answers NotFound for a service that it does not know; here that counts as a failure.
func ExampleUnaryClientInterceptor() {
	addr, stop := run()
	defer stop()
	users, err := breaker.New("users", breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 2}))
	if err != nil {
		panic(err)
	}
	conn := connect(addr, grpc.WithChainUnaryInterceptor(
		breakergrpc.UnaryClientInterceptor(users, breakergrpc.WithFailureCodes(codes.NotFound))))
	defer func() { _ = conn.Close() }()

	client := healthpb.NewHealthClient(conn)
	for range 3 {
		_, err := client.Check(context.Background(), &healthpb.HealthCheckRequest{Service: "nobody"})
		var open *breaker.OpenError
		if errors.As(err, &open) {
			fmt.Println("refused:", open.Name, "is", open.Refusal)
		}
		fmt.Println(status.Code(err))
	}
	// Output:
	// NotFound
	// NotFound
	// refused: users is open
	// Unavailable
}

func ExampleStreamClientInterceptor() {
	addr, stop := run()
	defer stop()
	users, err := breaker.New("users")
	if err != nil {
		panic(err)
	}
	conn := connect(addr, grpc.WithChainStreamInterceptor(breakergrpc.StreamClientInterceptor(users)))
	defer func() { _ = conn.Close() }()

	ctx, leave := context.WithTimeout(context.Background(), 10*time.Second)
	defer leave() // what ends a stream that was not read to its end, and gives its permit back
	stream, err := healthpb.NewHealthClient(conn).Watch(ctx, &healthpb.HealthCheckRequest{})
	if err != nil {
		panic(err)
	}
	first, err := stream.Recv()
	fmt.Println(first.GetStatus(), err)
	// Output: SERVING <nil>
}

func ExampleUnaryServerInterceptor() {
	reports, err := breaker.New("reports", breaker.WithPolicy(breaker.Policy{OpenFor: 30 * time.Second}))
	if err != nil {
		panic(err)
	}
	if _, err := reports.Command(context.Background(), breaker.Command{Action: breaker.Trip, By: "oncall"}); err != nil {
		panic(err)
	}
	addr, stop := run(grpc.ChainUnaryInterceptor(breakergrpc.UnaryServerInterceptor(reports)))
	defer stop()
	conn := connect(addr)
	defer func() { _ = conn.Close() }()
	_, err = healthpb.NewHealthClient(conn).Check(context.Background(), &healthpb.HealthCheckRequest{})
	fmt.Println(status.Code(err))
	for _, detail := range status.Convert(err).Details() {
		fmt.Printf("%T\n", detail)
	}
	// Output:
	// Unavailable
	// *errdetails.RetryInfo
	// *errdetails.ErrorInfo
}

func ExampleStreamServerInterceptor() {
	watches, err := breaker.New("watches")
	if err != nil {
		panic(err)
	}
	if _, err := watches.Command(context.Background(), breaker.Command{Action: breaker.ForceOpen, By: "oncall"}); err != nil {
		panic(err)
	}
	addr, stop := run(grpc.ChainStreamInterceptor(breakergrpc.StreamServerInterceptor(watches)))
	defer stop()
	conn := connect(addr)
	defer func() { _ = conn.Close() }()
	stream, err := healthpb.NewHealthClient(conn).Watch(context.Background(), &healthpb.HealthCheckRequest{})
	if err != nil {
		panic(err)
	}
	_, err = stream.Recv()
	fmt.Println(status.Code(err))
	// Output: Unavailable
}

// A tier whose NotFound means that it lost its data.
func ExampleWithFailureCodes() {
	addr, stop := run()
	defer stop()
	users, err := breaker.New("users", breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 1}))
	if err != nil {
		panic(err)
	}
	conn := connect(addr, grpc.WithChainUnaryInterceptor(breakergrpc.UnaryClientInterceptor(users,
		breakergrpc.WithFailureCodes(codes.Unavailable, codes.DeadlineExceeded, codes.NotFound))))
	defer func() { _ = conn.Close() }()
	_, err = healthpb.NewHealthClient(conn).Check(context.Background(), &healthpb.HealthCheckRequest{Service: "nobody"})
	fmt.Println(status.Code(err), users.State())
	// Output: NotFound open
}

// Health checks go through whatever the breaker says.
func ExampleWithPick() {
	addr, stop := run()
	defer stop()
	users, err := breaker.New("users")
	if err != nil {
		panic(err)
	}
	if _, err := users.Command(context.Background(), breaker.Command{Action: breaker.ForceOpen, By: "oncall"}); err != nil {
		panic(err)
	}
	conn := connect(addr, grpc.WithChainUnaryInterceptor(breakergrpc.UnaryClientInterceptor(nil,
		breakergrpc.WithPick(func(fullMethod string) (*breaker.Breaker, error) {
			if fullMethod == healthpb.Health_Check_FullMethodName {
				return nil, nil
			}
			return users, nil
		}))))
	defer func() { _ = conn.Close() }()
	resp, err := healthpb.NewHealthClient(conn).Check(context.Background(), &healthpb.HealthCheckRequest{})
	fmt.Println(resp.GetStatus(), err)
	// Output: SERVING <nil>
}

func ExamplePerMethod() {
	m, err := breaker.NewManager(memorystore.New())
	if err != nil {
		panic(err)
	}
	defer func() { _ = m.Close(context.Background()) }()
	pick := breakergrpc.PerMethod(m, 2)
	for _, method := range []string{"/shop.Cart/Add", "/shop.Cart/Pay", "/one.too/Many"} {
		b, err := pick(method)
		if err != nil {
			panic(err)
		}
		fmt.Println(b.Name())
	}
	// Output:
	// grpc:/shop.Cart/Add
	// grpc:/shop.Cart/Pay
	// grpc:*
}
