package failsafeguard

import (
	"context"
	"errors"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/common"
	"github.com/failsafe-go/failsafe-go/policy"
	"github.com/failsafe-go/failsafe-go/timeout"

	"github.com/commontrip/commontrip/breaker"
)

// Policy makes a policy of a breaker. A call that it refuses ends with the breaker's *breaker.OpenError; a retry policy outside
// tries again whatever the error is, so give that AbortOnErrors(breaker.ErrOpen). What counts is the error of the call, by the
// breaker's own classifier, and not its result. A call that a timeout policy outside has ended counts as a failure. The
// context of a probe ends with its lease, and with its result.
//
// The policy is safe for concurrent use, and goes into any number of executors. A nil breaker panics.
func Policy[R any](b *breaker.Breaker) failsafe.ResultAgnosticPolicy[R] {
	if b == nil {
		panic("failsafeguard: Policy of a nil *breaker.Breaker: make one with breaker.New or Manager.Register")
	}
	return &breakerPolicy[R]{b}
}

type breakerPolicy[R any] struct{ breaker *breaker.Breaker }

// ToExecutor makes what runs one call.
func (p *breakerPolicy[R]) ToExecutor(R) any {
	e := &executor[R]{breaker: p.breaker}
	e.Executor = e // as a BaseExecutor wants it
	return e
}

// ResultAgnostic says that results pass as they are.
func (p *breakerPolicy[R]) ResultAgnostic() {}

type executor[R any] struct {
	policy.BaseExecutor[R]
	breaker *breaker.Breaker
}

var _ policy.Executor[any] = (*executor[any])(nil)

// Apply puts the breaker around inner.
func (e *executor[R]) Apply(inner func(failsafe.Execution[R]) *common.PolicyResult[R]) func(failsafe.Execution[R]) *common.PolicyResult[R] {
	return func(exec failsafe.Execution[R]) *common.PolicyResult[R] {
		permit, err := e.breaker.Acquire(exec.Context())
		if err != nil {
			return &common.PolicyResult[R]{Error: err, Done: true}
		}
		execution := exec.(policy.ExecutionInternal[R])
		err = breaker.ErrPanic // should inner not come back
		defer func() { permit.Done(err) }()
		result := bounded(&permit, execution, inner)
		if ended, with := execution.IsCanceledWithResult(); ended && errors.Is(with.Error, timeout.ErrExceeded) {
			permit.Record(breaker.Failure) // Done would take it for a caller who gave up
		}
		err = result.Error
		return e.PostExecute(execution, result)
	}
}

// bounded runs inner, for a probe under a context that ends with its lease.
func bounded[R any](
	permit *breaker.Permit, execution policy.ExecutionInternal[R], inner func(failsafe.Execution[R]) *common.PolicyResult[R],
) *common.PolicyResult[R] {
	if !permit.Probe() {
		return inner(execution)
	}
	probe := execution.CopyForCancellable().(policy.ExecutionInternal[R])
	defer probe.Cancel(nil)
	stop := context.AfterFunc(permit.Context(), func() { probe.Cancel(nil) })
	defer stop()
	return inner(probe)
}
