package breaker

import (
	"context"
	"time"
)

// Observer sees what counters cannot tell: whose call it was. Its functions run where it happens and must not block; any may be
// nil. They may be called by many goroutines at once. See [WithObserver].
type Observer struct {
	// Refused sees each refused call, with its context, before the caller gets the error. A panic goes up to the caller.
	Refused func(context.Context, *OpenError)
	// Probed sees the end of each probe, with the context of its call. A probe whose lease ends first has failed then, and is
	// seen on a goroutine of its own.
	Probed func(context.Context, Probe)
	// Exchanged sees how long each exchange with a remote store took, failed ones included. Only what NewManager was given sees
	// them.
	Exchanged func(took time.Duration)
}

// Probe is a probe that has ended.
type Probe struct {
	Name    string // of the breaker
	Outcome Outcome
	Slow    bool   // it took longer than SlowCallAfter
	Label   string // of a failure: what kind of error it was; see [WithErrorLabel]
}

// WithObserver adds an observer. A closed breaker's calls cost no more for it: only refused calls and probes are seen.
func WithObserver(o Observer) Option {
	return option(func(c *config) { c.observers = append(c.observers[:len(c.observers):len(c.observers)], o) })
}

// refused shows a refusal to the observers, and gives it back as the error that it is.
func (c *config) refused(ctx context.Context, e *OpenError) error {
	for i := range c.observers {
		if see := c.observers[i].Refused; see != nil {
			see(ctx, e)
		}
	}
	return e
}

func (c *config) probed(ctx context.Context, p Probe) {
	for i := range c.observers {
		if see := c.observers[i].Probed; see != nil {
			see(ctx, p)
		}
	}
}

func (c *config) exchanged(took time.Duration) {
	for i := range c.observers {
		if see := c.observers[i].Exchanged; see != nil {
			see(took)
		}
	}
}
