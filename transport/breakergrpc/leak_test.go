package breakergrpc_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	pb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/commontrip/commontrip/breaker"
)

// long is a context that lives as long as the process, and counts what waits for its end.
type long struct {
	context.Context
	done    chan struct{}
	waiting atomic.Int32
}

func (l *long) Done() <-chan struct{} { return l.done }

func (l *long) AfterFunc(func()) func() bool {
	l.waiting.Add(1)
	var once atomic.Bool
	return func() bool {
		if once.CompareAndSwap(false, true) {
			l.waiting.Add(-1)
			return true
		}
		return false
	}
}

func TestACallThatWasAProbeForgetsItsCallersContext(t *testing.T) {
	for name, call := range map[string]func(context.Context, pb.TestServiceClient) error{
		"unary": func(ctx context.Context, c pb.TestServiceClient) error {
			_, err := c.UnaryCall(ctx, &pb.SimpleRequest{})
			return err
		},
		"stream": func(ctx context.Context, c pb.TestServiceClient) error {
			return kinds["both stream"](ctx, c)
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBreaker(t, breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 1, OpenFor: time.Millisecond, ProbeSuccesses: 1}))
			s := streaming(nil)
			s.unary = answering(nil).unary
			client := guarded(t, serve(t, s), b)
			ctx := &long{Context: t.Context(), done: make(chan struct{})}
			command(t, b, breaker.Trip)
			until(t, "no probe has closed the breaker", func() bool {
				_ = call(ctx, client)
				return b.State() == breaker.Closed
			})
			until(t, "something still waits for the caller's context", func() bool { return ctx.waiting.Load() == 0 })
		})
	}
}
