package breakergrpc

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/commontrip/commontrip/internal/guard"
)

// Retryable reports whether a call that failed with err may succeed another time; it is for retry.WithRetryIf. It is false
// for nil, for what says Permanent() bool, and for the codes by which a server answers the same however often it is asked:
// InvalidArgument, NotFound, AlreadyExists, PermissionDenied, Unauthenticated, FailedPrecondition, OutOfRange and
// Unimplemented. Anything else may be a tier's bad moment, a refusal by a breaker too.
func Retryable(err error) bool {
	if err == nil || guard.Permanent(err) {
		return false
	}
	switch status.Code(err) {
	case codes.InvalidArgument, codes.NotFound, codes.AlreadyExists, codes.PermissionDenied, codes.Unauthenticated,
		codes.FailedPrecondition, codes.OutOfRange, codes.Unimplemented:
		return false
	}
	return true
}
