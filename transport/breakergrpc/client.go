package breakergrpc

import (
	"context"
	"errors"
	"io"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/commontrip/commontrip/breaker"
)

// UnaryClientInterceptor asks b before each unary call. A refused call is not sent: its error has the code Unavailable with
// a RetryInfo, and Is [breaker.ErrOpen]. An error that a server sent with a RetryInfo gets a RetryAfter() for retriers, and
// is otherwise as it was. A nil breaker without [WithPick] panics.
func UnaryClientInterceptor(b *breaker.Breaker, opts ...Option) grpc.UnaryClientInterceptor {
	s := newSettings("UnaryClientInterceptor", b, opts)
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn,
		invoker grpc.UnaryInvoker, opts ...grpc.CallOption,
	) error {
		var permit breaker.Permit
		guarded, err := s.acquire(ctx, method, &permit)
		if err != nil {
			return err
		}
		if !guarded {
			return invoker(ctx, method, req, reply, cc, opts...)
		}
		defer permit.Done(breaker.ErrPanic) // has an effect only if invoker panics
		var connection peer.Peer
		err = invoker(permit.Context(), method, req, reply, cc, append(slices.Clip(opts), grpc.Peer(&connection))...)
		if err != nil && neverSent(req, connection.Addr != nil, err) {
			permit.Record(breaker.Ignored)
			return err
		}
		s.settle(ctx, &permit, err)
		return withRetryAfter(err)
	}
}

// StreamClientInterceptor asks b before each stream is opened, as [UnaryClientInterceptor] does, and records the outcome
// at the stream's end: when RecvMsg gives an error or io.EOF (or the one answer of a stream that only the client sends
// on), when Header or SendMsg fails, or when its context ends. A stream that its caller leaves by cancelling the context
// is Ignored, and so gives its permit back; one that is neither read to its end nor cancelled keeps it, as it leaks a
// goroutine in gRPC itself. A probe is a success with the first message of a stream that the server sends on, and lives on
// then. One that has got none when its lease ends is cancelled, and a failure.
func StreamClientInterceptor(b *breaker.Breaker, opts ...Option) grpc.StreamClientInterceptor {
	s := newSettings("StreamClientInterceptor", b, opts)
	return func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string,
		streamer grpc.Streamer, opts ...grpc.CallOption,
	) (grpc.ClientStream, error) {
		cs := &clientStream{settings: s, caller: ctx, oneAnswer: !desc.ServerStreams}
		guarded, err := s.acquire(ctx, method, &cs.permit)
		if err != nil {
			return nil, err
		}
		if !guarded {
			return streamer(ctx, desc, cc, method, opts...)
		}
		return cs.open(streamer, desc, cc, method, opts)
	}
}

// clientStream sees a stream to its end.
type clientStream struct {
	grpc.ClientStream
	settings  *settings
	caller    context.Context
	permit    breaker.Permit
	oneAnswer bool        // the client streams, the server answers once
	unwatch   func() bool // forgets the context
}

func (cs *clientStream) open(streamer grpc.Streamer, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string,
	opts []grpc.CallOption,
) (grpc.ClientStream, error) {
	opened := false
	defer func() {
		if !opened {
			cs.permit.Done(breaker.ErrPanic) // has an effect only if streamer panics
		}
	}()
	ctx := cs.permit.Context()
	stream, err := streamer(ctx, desc, cc, method, opts...)
	if err != nil {
		if begins(err, unsent) {
			cs.permit.Record(breaker.Ignored)
		}
		cs.settings.settle(cs.caller, &cs.permit, err)
		return nil, withRetryAfter(err)
	}
	opened = true
	cs.ClientStream = stream
	cs.unwatch = context.AfterFunc(ctx, func() { cs.settings.settle(cs.caller, &cs.permit, ctx.Err()) })
	return cs, nil
}

// end settles once, however many of the stream's methods see its end.
func (cs *clientStream) end(err error) {
	cs.unwatch()
	cs.settings.settle(cs.caller, &cs.permit, err)
}

// RecvMsg implements grpc.ClientStream.
func (cs *clientStream) RecvMsg(m any) error {
	err := cs.ClientStream.RecvMsg(m)
	switch {
	case err != nil || cs.oneAnswer:
		cs.end(err)
	case cs.permit.Probe():
		cs.permit.Done(nil) // a stream may never end
	default:
		cs.permit.Answered()
	}
	return withRetryAfter(err)
}

// SendMsg implements grpc.ClientStream. io.EOF only says that the stream has ended: RecvMsg knows how.
func (cs *clientStream) SendMsg(m any) error {
	err := cs.ClientStream.SendMsg(m)
	if err != nil && !errors.Is(err, io.EOF) {
		if begins(err, unsent) {
			cs.permit.Record(breaker.Ignored)
		}
		cs.end(err)
	}
	return withRetryAfter(err)
}

// Header implements grpc.ClientStream.
func (cs *clientStream) Header() (metadata.MD, error) {
	md, err := cs.ClientStream.Header()
	if err != nil {
		cs.end(err)
	}
	return md, withRetryAfter(err)
}
