package breakergrpc_test

import (
	"context"
	"errors"
	"io"
	"sync"
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

type (
	downloads = grpc.ServerStreamingServer[pb.StreamingOutputCallResponse]
	uploads   = grpc.ClientStreamingServer[pb.StreamingInputCallRequest, pb.StreamingInputCallResponse]
	talks     = grpc.BidiStreamingServer[pb.StreamingOutputCallRequest, pb.StreamingOutputCallResponse]
)

// streaming is a tier whose streams all end with that error, after one message if the server sends any.
func streaming(end error) *tier {
	return &tier{
		upload: func(s uploads) error {
			for {
				if _, err := s.Recv(); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					return err
				}
			}
			if end != nil {
				return end
			}
			return s.SendAndClose(&pb.StreamingInputCallResponse{})
		},
		download: func(_ *pb.StreamingOutputCallRequest, s downloads) error {
			return errors.Join(s.Send(&pb.StreamingOutputCallResponse{}), end)
		},
		talk: func(s talks) error {
			if _, err := s.Recv(); err != nil {
				return err
			}
			return errors.Join(s.Send(&pb.StreamingOutputCallResponse{}), end)
		},
	}
}

// The three kinds of streams, each used to its end.
var kinds = map[string]func(ctx context.Context, c pb.TestServiceClient) error{
	"the server streams": func(ctx context.Context, c pb.TestServiceClient) error {
		s, err := c.StreamingOutputCall(ctx, &pb.StreamingOutputCallRequest{})
		if err != nil {
			return err
		}
		return drain(s.Recv)
	},
	"the client streams": func(ctx context.Context, c pb.TestServiceClient) error {
		s, err := c.StreamingInputCall(ctx)
		if err != nil {
			return err
		}
		for range 3 {
			if err := s.Send(&pb.StreamingInputCallRequest{}); err != nil {
				break // the stream is over; CloseAndRecv knows why
			}
		}
		_, err = s.CloseAndRecv()
		return err
	},
	"both stream": func(ctx context.Context, c pb.TestServiceClient) error {
		s, err := c.FullDuplexCall(ctx)
		if err != nil {
			return err
		}
		_ = s.Send(&pb.StreamingOutputCallRequest{})
		return drain(s.Recv)
	},
}

// drain reads to the end; nil is a good one.
func drain(recv func() (*pb.StreamingOutputCallResponse, error)) error {
	for {
		if _, err := recv(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func TestStreamsCountByTheCodeAtTheirEnd(t *testing.T) {
	for code, want := range byCode {
		for kind, use := range kinds {
			t.Run(code.String()+", "+kind, func(t *testing.T) {
				client, server := newBreaker(t), newBreaker(t)
				var end error
				if code != codes.OK {
					end = status.Error(code, "as told")
				}
				addr := serve(t, streaming(end), grpc.StreamInterceptor(breakergrpc.StreamServerInterceptor(server)))
				if err := use(t.Context(), guarded(t, addr, client)); status.Code(err) != code {
					t.Errorf("the caller got %v, want %v", err, code)
				}
				wantCount(t, client, want)
				wantCount(t, server, want)
			})
		}
	}
}

func TestAStreamIsNotCountedBeforeItsEnd(t *testing.T) {
	b := newBreaker(t)
	finish := make(chan struct{})
	client := guarded(t, serve(t, &tier{download: func(_ *pb.StreamingOutputCallRequest, s downloads) error {
		if err := s.Send(&pb.StreamingOutputCallResponse{}); err != nil {
			return err
		}
		<-finish
		return status.Error(codes.Internal, "half way")
	}}), b)
	s, err := client.StreamingOutputCall(t.Context(), &pb.StreamingOutputCallRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); err != nil {
		t.Fatal(err)
	}
	wantCount(t, b, nothing)
	close(finish)
	if err := drain(s.Recv); status.Code(err) != codes.Internal {
		t.Errorf("error is %v, want Internal", err)
	}
	wantCount(t, b, failure)
}

// hanging is a tier whose streams send one message and then only wait for their callers to leave.
func hanging() *tier {
	return &tier{
		download: func(_ *pb.StreamingOutputCallRequest, s downloads) error {
			err := s.Send(&pb.StreamingOutputCallResponse{})
			<-s.Context().Done()
			return err
		},
		talk: func(s talks) error { <-s.Context().Done(); return s.Context().Err() },
	}
}

func TestAStreamThatItsCallerLeavesGivesItsPermitBack(t *testing.T) {
	b := newBreaker(t)
	client := guarded(t, serve(t, hanging()), b)
	ctx, leave := context.WithCancel(t.Context())
	s, err := client.StreamingOutputCall(ctx, &pb.StreamingOutputCallRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); err != nil {
		t.Fatal(err)
	}
	leave() // and never reads again
	until(t, "the stream still holds its permit", func() bool { return counted(t, b) != nothing })
	wantCount(t, b, ignored)
}

func TestAStreamWhoseDeadlineEndsUnreadIsAFailure(t *testing.T) {
	b := newBreaker(t)
	client := guarded(t, serve(t, hanging()), b)
	if _, err := client.EmptyCall(t.Context(), &pb.Empty{}); status.Code(err) != codes.Unimplemented { // connected, from here on
		t.Fatal(err)
	}
	wantCount(t, b, success)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := client.FullDuplexCall(ctx); err != nil && status.Code(err) != codes.DeadlineExceeded {
		t.Fatal(err)
	}
	until(t, "the stream still holds its permit", func() bool { return counted(t, b) != success })
	wantCount(t, b, count{calls: 2, failures: 1})
}

func TestAStreamThatCannotBeOpenedIsAFailure(t *testing.T) {
	b := newBreaker(t)
	client := guarded(t, "127.0.0.1:1", b) // nobody listens there
	s, err := client.FullDuplexCall(t.Context())
	if err == nil {
		_, err = s.Recv()
	}
	if status.Code(err) != codes.Unavailable || errors.Is(err, breaker.ErrOpen) {
		t.Errorf("error is %v, want the connection's", err)
	}
	wantCount(t, b, failure)
}

func TestAStreamMayEndByItsHeadersOrASend(t *testing.T) {
	gone := status.Error(codes.Unavailable, "gone")
	open := func(b *breaker.Breaker, s *endingStream) grpc.ClientStream {
		stream, err := breakergrpc.StreamClientInterceptor(b)(t.Context(), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, nil, "/s/m",
			func(context.Context, *grpc.StreamDesc, *grpc.ClientConn, string, ...grpc.CallOption) (grpc.ClientStream, error) {
				return s, nil
			})
		if err != nil {
			t.Fatal(err)
		}
		return stream
	}
	t.Run("headers", func(t *testing.T) {
		b := newBreaker(t)
		if _, err := open(b, &endingStream{err: gone}).Header(); !errors.Is(err, gone) {
			t.Errorf("error is %v, want %v", err, gone)
		}
		wantCount(t, b, failure)
	})
	t.Run("a send", func(t *testing.T) {
		b := newBreaker(t)
		if err := open(b, &endingStream{err: gone}).SendMsg(nil); !errors.Is(err, gone) {
			t.Errorf("error is %v, want %v", err, gone)
		}
		wantCount(t, b, failure)
	})
	t.Run("a send into a stream that is over says nothing yet", func(t *testing.T) {
		b := newBreaker(t)
		s := open(b, &endingStream{err: io.EOF, end: gone})
		if err := s.SendMsg(nil); err != io.EOF { //nolint:errorlint // gRPC's contract is the very value
			t.Errorf("error is %v, want io.EOF itself", err)
		}
		wantCount(t, b, nothing)
		if err := s.RecvMsg(nil); !errors.Is(err, gone) {
			t.Errorf("error is %v, want %v", err, gone)
		}
		wantCount(t, b, failure)
	})
	t.Run("the end seen twice counts once", func(t *testing.T) {
		b := newBreaker(t)
		s := open(b, &endingStream{err: gone, end: io.EOF})
		_ = s.SendMsg(nil)
		if err := s.RecvMsg(nil); err != io.EOF { //nolint:errorlint // gRPC's contract is the very value
			t.Errorf("error is %v, want io.EOF itself", err)
		}
		wantCount(t, b, failure)
	})
}

// endingStream fails to send and to get headers with err, and to receive with end.
type endingStream struct {
	grpc.ClientStream
	err, end error
}

func (e *endingStream) SendMsg(any) error            { return e.err }
func (e *endingStream) RecvMsg(any) error            { return e.end }
func (e *endingStream) Header() (metadata.MD, error) { return nil, e.err }

// watched is a context that counts the goroutines that wait for its end.
type watched struct {
	context.Context
	done    chan struct{}
	waiting atomic.Int32
}

func (w *watched) Done() <-chan struct{} { return w.done }

func (w *watched) AfterFunc(func()) func() bool {
	w.waiting.Add(1)
	return func() bool { w.waiting.Add(-1); return true }
}

// A stream that has ended must leave nothing behind on a context that lives as long as the process.
func TestAStreamThatHasEndedForgetsItsContext(t *testing.T) {
	ctx := &watched{Context: t.Context(), done: make(chan struct{})}
	stream, err := breakergrpc.StreamClientInterceptor(newBreaker(t))(ctx, &grpc.StreamDesc{ServerStreams: true}, nil, "/s/m",
		func(context.Context, *grpc.StreamDesc, *grpc.ClientConn, string, ...grpc.CallOption) (grpc.ClientStream, error) {
			return &endingStream{end: io.EOF}, nil
		})
	if err != nil {
		t.Fatal(err)
	}
	if got := ctx.waiting.Load(); got != 1 {
		t.Errorf("%d wait for the context of an open stream, want 1", got)
	}
	_ = stream.RecvMsg(nil)
	if got := ctx.waiting.Load(); got != 0 {
		t.Errorf("%d wait for the context of a stream that has ended, want none", got)
	}
}

// A stream is a probe like any call: at its good end the breaker closes, and what it used lives on.
func TestAStreamMayBeTheProbeThatCloses(t *testing.T) {
	b := newBreaker(t, breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 1, OpenFor: time.Millisecond, ProbeSuccesses: 1}))
	command(t, b, breaker.Trip)
	client := guarded(t, serve(t, streaming(nil)), b)
	until(t, "no probe has closed the breaker", func() bool {
		if err := kinds["both stream"](t.Context(), client); err != nil && !errors.Is(err, breaker.ErrOpen) {
			t.Fatal(err)
		}
		return b.State() == breaker.Closed
	})
}

func TestEachStreamIsCountedOnceHoweverItEnds(t *testing.T) {
	const streams = 60
	b := newBreaker(t)
	client := guarded(t, serve(t, &tier{talk: func(s talks) error {
		for {
			if _, err := s.Recv(); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			if err := s.Send(&pb.StreamingOutputCallResponse{}); err != nil {
				return err
			}
		}
	}}), b)
	var wg sync.WaitGroup
	for i := range streams {
		wg.Go(func() {
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			s, err := client.FullDuplexCall(ctx)
			if err != nil {
				t.Error(err)
				return
			}
			sending := make(chan struct{})
			go func() { // one goroutine sends while the other receives, as gRPC allows
				defer close(sending)
				for n := range 10 {
					if s.Send(&pb.StreamingOutputCallRequest{}) != nil {
						return
					}
					if n == i%20 { // half of them leave half way
						leave()
					}
				}
				_ = s.CloseSend()
			}()
			_ = drain(s.Recv)
			<-sending
		})
	}
	wg.Wait()
	until(t, "some streams are not counted", func() bool {
		got := totals(t, b)
		return got.Calls+got.Ignored >= streams
	})
	if got := totals(t, b); got.Calls+got.Ignored != streams || got.Ignored == 0 || got.Calls == 0 || got.Failures != 0 {
		t.Errorf("of %d streams %d were calls (%d failures) and %d ignored", streams, got.Calls, got.Failures, got.Ignored)
	}
}
