package fallback

import (
	"context"
	"time"

	"github.com/commontrip/commontrip/internal/guard"
)

// epoch only anchors the monotonic clock, which is read at half the price of time.Now.
var epoch = time.Now()

func now() time.Duration { return time.Since(epoch) }

// Do asks the tiers in order until one serves, and returns its answer. Otherwise it returns the zero Res and one of three
// errors. If no tier is left, it is an *[AllTiersFailedError]. If [WithFallIf] said that a tier's error is the answer, it is
// that error. If ctx has ended, it is the last tier's error joined with that of ctx and its cause, or these alone if no tier
// was asked. A nil context or chain panics.
func (c *Chain[Req, Res]) Do(ctx context.Context, req Req) (Res, error) {
	var t tracer
	return c.run(ctx, req, &t)
}

// Trace is [Chain.Do], and says who served, who did not, why, and how long it took. The trace is complete with an error
// too.
func (c *Chain[Req, Res]) Trace(ctx context.Context, req Req) (Res, Trace, error) {
	var t tracer
	res, err := c.run(ctx, req, &t)
	t.finish()
	return res, t.trace, err
}

// run answers one request, and shows its trace to the observers.
func (c *Chain[Req, Res]) run(ctx context.Context, req Req, t *tracer) (Res, error) {
	switch {
	case c == nil:
		panic("fallback: nil *Chain: make one with fallback.New")
	case ctx == nil:
		panic("fallback: nil context: pass context.Background() if there is none")
	}
	t.begin()
	if len(c.observers) > 0 {
		defer c.observe(ctx, t)
	}
	return c.askAll(ctx, req, t)
}

// tracer is what is known of one request so far.
type tracer struct {
	started time.Duration
	since   time.Duration // when the tier before was left
	tier    string        // the tier that is being asked; "" between tiers
	trace   Trace
	done    bool // trace.Elapsed is set
}

func (t *tracer) begin() {
	t.started = now()
	t.since = t.started
}

// finish takes the time, once, so that observers and caller are told the same.
func (t *tracer) finish() {
	if !t.done {
		t.done, t.trace.Elapsed = true, now()-t.started
	}
}

// failed adds the tier that is being asked to the trace: it did not serve.
func (t *tracer) failed(skipped bool, err error) {
	at := now()
	t.trace.Attempts = append(t.trace.Attempts, Attempt{Tier: t.tier, Skipped: skipped, Err: err, Elapsed: at - t.since})
	t.tier, t.since = "", at
}

// askAll asks one tier after the other until one serves.
func (c *Chain[Req, Res]) askAll(ctx context.Context, req Req, t *tracer) (none Res, _ error) {
	if ctx.Err() != nil {
		return none, guard.Ended(ctx)
	}
	for i := range c.tiers {
		tier := &c.tiers[i]
		t.tier = tier.Name
		res, asked, err := c.ask(ctx, tier, req)
		if err == nil {
			t.trace.Tier, t.tier = tier.Name, ""
			return res, nil
		}
		t.failed(!asked, err)
		if end := guard.Ended(ctx); end != nil {
			return none, told(guard.Join(end, "tier", err), t.trace.Attempts)
		}
		if asked && c.fallIf != nil && !c.fallIf(err) {
			return none, err
		}
	}
	return none, &AllTiersFailedError{Attempts: t.trace.Attempts}
}

// ask sends req through the tier's guards, and says whether the tier was asked. If it returns an error, res means nothing.
func (c *Chain[Req, Res]) ask(ctx context.Context, t *Tier[Req, Res], req Req) (res Res, asked bool, err error) {
	if t.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, t.Timeout)
		defer cancel()
	}
	if len(t.Guards) == 0 {
		res, err = t.Call(ctx, req)
		return res, !guard.Refused(err), err
	}
	g, ok := c.guardedCalls.Get().(*guardedCall[Req, Res])
	if !ok {
		g = new(guardedCall[Req, Res])
	}
	res, asked, err = g.finish(t.runGuards(ctx, g, g.begin(req), 0))
	c.guardedCalls.Put(g)
	return res, asked, err
}

// observe is deferred, so that a panic and a Goexit are seen too. It recovers neither.
func (c *Chain[Req, Res]) observe(ctx context.Context, t *tracer) {
	if t.tier != "" {
		t.failed(false, ErrPanic)
	}
	t.finish()
	for _, fn := range c.observers {
		fn(ctx, t.trace)
	}
}
