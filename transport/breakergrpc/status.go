package breakergrpc

import (
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/internal/guard"
)

// MaxRetryAfter is the longest wait that is believed of a server's RetryInfo: a longer one reads as this.
const MaxRetryAfter = 24 * time.Hour

// refusedError is why a call was not made, as an error that both gRPC and errors.Is understand.
type refusedError struct{ cause error }

func (r *refusedError) Error() string {
	return fmt.Sprintf("rpc error: code = %s desc = %s", r.status().Code(), r.cause)
}

func (r *refusedError) Unwrap() error { return r.cause }

// Refused is true: the tier was not asked.
func (r *refusedError) Refused() bool { return true }

// GRPCStatus is what goes over the wire. It is made when asked for, since most callers of a tier that is down ask for
// nothing, and since RetryInfo counts from now.
func (r *refusedError) GRPCStatus() *status.Status {
	st := r.status()
	if marked(st) {
		return st // another guard's, passed on
	}
	var details []protoadapt.MessageV1
	if after := guard.RetryAfter(r.cause); after > 0 { // no time is invented
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(after)})
	}
	details = append(details, &errdetails.ErrorInfo{Reason: RefusedReason, Domain: RefusedDomain})
	detailed, err := st.WithDetails(details...)
	if err != nil {
		return st
	}
	return detailed
}

func (r *refusedError) status() *status.Status {
	st := statusOf(r.cause)
	if st.Code() == codes.Unknown {
		return status.New(codes.Unavailable, r.cause.Error())
	}
	return st
}

// hintedError is a server's error with the wait that it asked for.
type hintedError struct {
	error
	wait time.Duration
}

func (h *hintedError) Unwrap() error              { return h.error }
func (h *hintedError) GRPCStatus() *status.Status { return status.Convert(h.error) }
func (h *hintedError) RetryAfter() time.Duration  { return h.wait }

// withRetryAfter gives err a RetryAfter() if its status has a RetryInfo with a positive delay, and a Refused() if it is a guard's.
func withRetryAfter(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	st, ok := status.FromError(err)
	if !ok || len(st.Proto().GetDetails()) == 0 {
		return err
	}
	if marked(st) && !breaker.IsRefusal(err) {
		err = &refusedAfar{err}
	}
	if guard.RetryAfter(err) > 0 {
		return err
	}
	for _, detail := range st.Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok && info.GetRetryDelay().AsDuration() > 0 {
			return &hintedError{err, min(info.GetRetryDelay().AsDuration(), MaxRetryAfter)}
		}
	}
	return err
}
