package breakergrpc_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/transport/breakergrpc"
)

// wantRefusal checks what a refusal says: to gRPC, and to errors.
func wantRefusal(t *testing.T, err error, local bool) {
	t.Helper()
	st, ok := status.FromError(err)
	if !ok || st.Code() != codes.Unavailable {
		t.Fatalf("error is %v, want Unavailable", err)
	}
	var info *errdetails.RetryInfo
	for _, d := range st.Details() {
		if i, ok := d.(*errdetails.RetryInfo); ok {
			info = i
		}
	}
	if info == nil || info.GetRetryDelay().AsDuration() <= 0 || info.GetRetryDelay().AsDuration() > time.Minute {
		t.Errorf("RetryInfo is %v, want a delay of up to the open time", info)
	}
	var after interface{ RetryAfter() time.Duration }
	if !errors.As(err, &after) || after.RetryAfter() <= 0 || after.RetryAfter() > time.Minute {
		t.Errorf("%T has no RetryAfter() of up to the open time", err)
	}
	var open *breaker.OpenError
	if errors.Is(err, breaker.ErrOpen) != local || errors.As(err, &open) != local {
		t.Errorf("Is ErrOpen: %v; want %v: a refusal of this process's own breaker, and only that", !local, local)
	}
	if strings.Count(err.Error(), "rpc error") != 1 {
		t.Errorf("the error reads %q", err)
	}
}

func TestAClientsRefusalIsUnavailableWithRetryInfoAndIsErrOpen(t *testing.T) {
	b := newBreaker(t)
	command(t, b, breaker.Trip)
	addr := serve(t, &tier{unary: func(context.Context, *pb.SimpleRequest) (*pb.SimpleResponse, error) {
		t.Error("a refused call was sent")
		return nil, nil
	}})
	client := guarded(t, addr, b)
	_, err := client.UnaryCall(t.Context(), &pb.SimpleRequest{})
	wantRefusal(t, err, true)
	_, err = client.FullDuplexCall(t.Context())
	wantRefusal(t, err, true)
	wantCount(t, b, nothing)
}

func TestAServersRefusalReachesTheClientWithItsRetryInfo(t *testing.T) {
	b := newBreaker(t)
	command(t, b, breaker.Trip)
	addr := serve(t, answering(nil), grpc.UnaryInterceptor(breakergrpc.UnaryServerInterceptor(b)),
		grpc.StreamInterceptor(breakergrpc.StreamServerInterceptor(b)))
	client := guarded(t, addr, newBreaker(t))
	_, err := client.UnaryCall(t.Context(), &pb.SimpleRequest{})
	wantRefusal(t, err, false)
	stream, err := client.FullDuplexCall(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	wantRefusal(t, err, false)
	wantCount(t, b, nothing)
}

func TestTheRetryInfoOfAnyServerBecomesRetryAfter(t *testing.T) {
	for delay, want := range map[time.Duration]time.Duration{
		3 * time.Second: 3 * time.Second, 1000 * time.Hour: breakergrpc.MaxRetryAfter, 0: 0, -time.Second: 0,
	} {
		st, err := status.New(codes.ResourceExhausted, "slow down").WithDetails(
			&errdetails.ErrorInfo{Reason: "QUOTA"}, &errdetails.RetryInfo{RetryDelay: durationpb.New(delay)})
		if err != nil {
			t.Fatal(err)
		}
		_, err = guarded(t, serve(t, answering(st.Err())), newBreaker(t)).UnaryCall(t.Context(), &pb.SimpleRequest{})
		got := time.Duration(0)
		if after := (interface{ RetryAfter() time.Duration })(nil); errors.As(err, &after) {
			got = after.RetryAfter()
		}
		if got != want {
			t.Errorf("a RetryInfo of %v becomes %v, want %v", delay, got, want)
		}
		if back, ok := status.FromError(err); !ok || back.Message() != "slow down" || len(back.Details()) != 2 {
			t.Errorf("the status did not survive: %v", back)
		}
	}
}

func TestACallIsNotMadeUnderAContextThatHasEnded(t *testing.T) {
	b := newBreaker(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := guarded(t, serve(t, answering(nil)), b).UnaryCall(ctx, &pb.SimpleRequest{})
	if status.Code(err) != codes.Canceled || !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want Canceled", err)
	}
	wantCount(t, b, nothing)
}
