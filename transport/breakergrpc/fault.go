package breakergrpc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/commontrip/commontrip/breaker"
)

// RefusedReason and RefusedDomain are those of the ErrorInfo by which a status says that a guard refused the call in the place
// of the tier. The interceptors here put it into their refusals, and guards of your own may. They ignore a status that has it,
// whatever its code: the tier was not asked.
const (
	RefusedReason = "GUARD_REFUSED"
	RefusedDomain = "github.com/commontrip/commontrip"
)

// refused reports whether a guard refused the call, in this process or on the way to the tier.
func refused(err error) bool {
	if breaker.IsRefusal(err) {
		return true
	}
	for e := err; e != nil; e = errors.Unwrap(e) {
		if _, many := e.(interface{ Unwrap() []error }); many { //nolint:errorlint // IsRefusal has looked at each of them
			return false
		}
	}
	st, ok := status.FromError(err)
	return ok && marked(st)
}

func marked(st *status.Status) bool {
	if len(st.Proto().GetDetails()) == 0 {
		return false
	}
	for _, detail := range st.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetReason() == RefusedReason && info.GetDomain() == RefusedDomain {
			return true
		}
	}
	return false
}

// refusedAfar is the error of a call that a guard refused on another machine.
type refusedAfar struct{ error }

func (r *refusedAfar) Unwrap() error              { return r.error }
func (r *refusedAfar) GRPCStatus() *status.Status { return status.Convert(r.error) }
func (r *refusedAfar) Refused() bool              { return true }

// unsent is how the messages begin by which gRPC says that it could not begin a call. A server may say the same of calls of its
// own, so they count only if the call had no connection yet, or if it was its own Send that failed.
var unsent = []string{
	"grpc: Compressor is not installed for requested grpc-encoding", "grpc: compressor ", "no codec registered for content-subtype",
	"header list size to send violates the maximum size", "header key ", "there is an empty key in the header",
	"transport: per-RPC creds failed", "transport: received per-RPC creds error", "transport: cannot send secure credentials",
	"grpc: error while marshaling", "grpc: error while compressing", "grpc: message too large",
	"trying to send message larger than max", "SendMsg called after CloseSend",
}

// tooLarge is how the messages begin that say that a message is larger than its receiver takes. It is the caller's, or the
// caller's own limit.
var tooLarge = []string{
	"grpc: received message larger than max", "grpc: message after decompression larger than max",
	"grpc: received message after decompression larger than max",
}

func begins(err error, with []string) bool {
	text := statusOf(err).Message()
	for _, start := range with {
		if strings.HasPrefix(text, start) {
			return true
		}
	}
	return false
}

// exhausted is what the system says if it has no socket left for this process.
var exhausted = []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM}

// noSocket reports whether a call that has no connection says that none could be opened here. gRPC keeps the text only.
func noSocket(err error) bool {
	text := statusOf(err).Message()
	return strings.Contains(text, "transport: Error while dialing: ") && slices.ContainsFunc(exhausted, func(e error) bool {
		return strings.HasSuffix(text, ": "+e.Error()+`"`)
	})
}

// neverSent reports whether err says that a unary call never left the process. connected: it had a connection.
func neverSent(req any, connected bool, err error) bool {
	st := statusOf(err)
	if !connected {
		return begins(err, unsent) || noSocket(err)
	}
	m, ok := req.(proto.Message)
	switch {
	case !ok:
		return false
	case st.Code() == codes.Internal && begins(err, []string{"grpc: error while marshaling"}):
		_, err := proto.Marshal(m)
		return err != nil
	case st.Code() == codes.ResourceExhausted:
		var size, limit int
		_, err := fmt.Sscanf(st.Message(), "trying to send message larger than max (%d vs. %d)", &size, &limit)
		return err == nil && proto.Size(m) >= min(size, limit+1)
	default:
		return false
	}
}

// late reports whether a call's time is over, also in the instant in which its deadline has come and the timer has not run
// yet.
func late(ctx context.Context) bool {
	if err := ctx.Err(); err != nil {
		return errors.Is(err, context.DeadlineExceeded)
	}
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) <= 0
}
