package breakergrpc_test

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/commontrip/commontrip/breaker"
	memorystore "github.com/commontrip/commontrip/store/memory"
	"github.com/commontrip/commontrip/transport/breakergrpc"
)

func newManager(t *testing.T) *breaker.Manager {
	t.Helper()
	s := memorystore.New()
	m, err := breaker.NewManager(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
		_ = s.Close()
	})
	return m
}

func TestPerMethodGivesEachMethodItsOwnBreakerUpToTheLimit(t *testing.T) {
	m := newManager(t)
	pick := breakergrpc.PerMethod(m, 2, breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 7}))
	for _, c := range []struct{ method, want string }{
		{"/a.S/One", "grpc:/a.S/One"},
		{"/a.S/Two", "grpc:/a.S/Two"},
		{"/a.S/Three", "grpc:*"},
		{"/a.S/Four", "grpc:*"},
		{"/a.S/One", "grpc:/a.S/One"},
		{strings.Repeat("x", 300), "grpc:*"},
	} {
		b, err := pick(c.method)
		if err != nil || b.Name() != c.want {
			t.Errorf("%.20s has %v, %v; want %s", c.method, b, err, c.want)
		}
		if got := b.Status().Fleet.Policy.ConsecutiveFailures; got != 7 {
			t.Errorf("the options did not reach %s: ConsecutiveFailures is %d, want 7", b.Name(), got)
		}
	}
	if got := m.Names(); !slices.Equal(got, []string{"grpc:*", "grpc:/a.S/One", "grpc:/a.S/Two"}) {
		t.Errorf("registered are %q", got)
	}
}

func TestPerMethodTripsOneMethodAndNotTheOther(t *testing.T) {
	pick := breakergrpc.PerMethod(newManager(t), 10, breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 1}))
	client := guarded(t, serve(t, answering(nil)), nil, breakergrpc.WithPick(pick), breakergrpc.WithFailureCodes(codes.Unimplemented))
	if _, err := client.EmptyCall(t.Context(), &pb.Empty{}); err == nil {
		t.Fatal("the tier has that method")
	}
	if _, err := client.UnaryCall(t.Context(), &pb.SimpleRequest{}); err != nil {
		t.Errorf("the other method: %v", err)
	}
	for method, want := range map[string]breaker.State{
		pb.TestService_EmptyCall_FullMethodName: breaker.Open, pb.TestService_UnaryCall_FullMethodName: breaker.Closed,
	} {
		if b, err := pick(method); err != nil || b.State() != want {
			t.Errorf("%s is %v, %v; want %v", method, b.State(), err, want)
		}
	}
}
