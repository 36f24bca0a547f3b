package health

import (
	"context"
	"fmt"
	"time"

	"github.com/commontrip/commontrip/internal/guard"
)

// ErrDown is what a guard refuses with; the error itself is a *[DownError].
var ErrDown = guard.NewRefusal("tier is down")

// DownError is a refusal by a [Guard]. It Is [ErrDown] and nothing else: the check's own error is in the Status. One is
// shared by all calls that a period of Down refuses; it is read-only.
type DownError struct {
	Name   string
	target *target
}

func (e *DownError) Error() string { return fmt.Sprintf("health: %s: %v", e.Name, ErrDown) }

// Is reports that a DownError is an ErrDown.
func (e *DownError) Is(target error) bool { return target == ErrDown }

// Refused is true: the tier was not asked.
func (e *DownError) Refused() bool { return true }

// RetryAfter is the time from now to the tier's next check, the earliest moment at which it may be found up; 0 while that
// check is under way. If no background check is planned it is the check's Interval.
func (e *DownError) RetryAfter() time.Duration {
	if e.target == nil {
		return 0
	}
	due := e.target.due.Load()
	if due == nil {
		return e.target.cfg.Interval
	}
	return max(0, time.Until(*due))
}

// Guard refuses calls to a tier that is Down. It is made by [Monitor.Guard], is safe for concurrent use and costs a call
// one atomic load.
type Guard struct{ target *target }

// Run calls fn and returns its error, or refuses with a *[DownError] while the tier is Down. A tier that is Unknown is
// admitted, and so is every tier of a closed Monitor, and one whose check was removed. Run adds nothing else: no timeout, no count.
func (g *Guard) Run(ctx context.Context, fn func(context.Context) error) error {
	switch {
	case g == nil || g.target == nil:
		panic("health: Run of a Guard that no Monitor made")
	case ctx == nil:
		panic("health: Guard.Run with a nil context")
	case fn == nil:
		panic("health: Guard.Run with a nil function")
	}
	if down := g.target.down.Load(); down != nil {
		return down
	}
	return fn(ctx)
}
