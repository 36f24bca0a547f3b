package breakergrpc_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/internal/guard"
	"github.com/commontrip/commontrip/retry"
	"github.com/commontrip/commontrip/transport/breakergrpc"
)

func TestWhatAServerWillAlwaysAnswerIsNotTriedAgain(t *testing.T) {
	again := map[codes.Code]bool{
		codes.Canceled: true, codes.Unknown: true, codes.DeadlineExceeded: true, codes.ResourceExhausted: true,
		codes.Aborted: true, codes.Internal: true, codes.Unavailable: true, codes.DataLoss: true,
	}
	for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
		if got := breakergrpc.Retryable(fmt.Errorf("call: %w", status.Error(code, "no"))); got != again[code] {
			t.Errorf("%v: %v", code, got)
		}
	}
	for err, want := range map[error]bool{nil: false, io.EOF: true, retry.Permanent(io.EOF): false, error(&breaker.OpenError{}): true} {
		if got := breakergrpc.Retryable(err); got != want {
			t.Errorf("%v: %v", err, got)
		}
	}
}

// waits is an error that names a time.
type waits time.Duration

func (w waits) Error() string             { return "not now" }
func (w waits) RetryAfter() time.Duration { return time.Duration(w) }

// The first error with the method was believed, and one that knew no time was answered with a RetryInfo of none.
func TestAServersRefusalNamesTheLongestTimeOfItsCause(t *testing.T) {
	for name, c := range map[string]struct {
		cause error
		want  time.Duration
	}{
		"unknown first": {errors.Join(waits(0), waits(30*time.Second)), 30 * time.Second},
		"unknown last":  {errors.Join(waits(30*time.Second), waits(0)), 30 * time.Second},
		"unknown":       {waits(0), 0},
	} {
		pick := breakergrpc.WithPick(func(string) (*breaker.Breaker, error) { return nil, c.cause })
		_, err := guarded(t, serve(t, answering(nil)), nil, pick).UnaryCall(t.Context(), &pb.SimpleRequest{})
		st, _ := status.FromError(err)
		named := slices.ContainsFunc(st.Details(), func(d any) bool { _, ok := d.(*errdetails.RetryInfo); return ok })
		if got := guard.RetryAfter(err); got != c.want || named != (c.want > 0) {
			t.Errorf("%s: %v, with %v; want %v", name, got, st.Details(), c.want)
		}
	}
}
