package fallback

import (
	"context"
	"time"
)

// epoch only anchors the monotonic clock, which is read at half the price of time.Now.
var epoch = time.Now()

func now() time.Duration { return time.Since(epoch) }

// Do asks the tiers in order until one serves, and returns its answer. Else it returns the zero Res and: an
// *[AllTiersFailedError]; or the error for which [WithFallIf] said that it is the answer; or, where ctx has ended, the
// last error joined with that of ctx, which is alone where no tier was asked. A nil context or chain panics.
func (c *Chain[Req, Res]) Do(ctx context.Context, req Req) (Res, error) {
	var w walk
	return c.run(ctx, req, &w)
}

// Trace is [Chain.Do], and says who served, who did not, why, and how long it took. The trace is complete with an error
// too.
func (c *Chain[Req, Res]) Trace(ctx context.Context, req Req) (Res, Trace, error) {
	var w walk
	res, err := c.run(ctx, req, &w)
	w.finish()
	return res, w.trace, err
}

func (c *Chain[Req, Res]) run(ctx context.Context, req Req, w *walk) (Res, error) {
	switch {
	case c == nil:
		panic("fallback: nil *Chain: make one with fallback.New")
	case ctx == nil:
		panic("fallback: nil context: pass context.Background() where there is none")
	}
	w.begin()
	if len(c.observers) > 0 {
		defer c.observe(ctx, w)
	}
	return c.walk(ctx, req, w)
}

// walk is what is known of one request so far.
type walk struct {
	started time.Duration
	since   time.Duration // when the tier before was left
	at      string        // the tier that is being asked; "" between tiers
	trace   Trace
	done    bool
}

func (w *walk) begin() {
	w.started = now()
	w.since = w.started
}

// finish takes the time, once, so that observers and caller are told the same.
func (w *walk) finish() {
	if !w.done {
		w.done, w.trace.Elapsed = true, now()-w.started
	}
}

func (w *walk) left(skipped bool, err error) {
	t := now()
	w.trace.Attempts = append(w.trace.Attempts, Attempt{Tier: w.at, Skipped: skipped, Err: err, Elapsed: t - w.since})
	w.at, w.since = "", t
}

func (c *Chain[Req, Res]) walk(ctx context.Context, req Req, w *walk) (none Res, _ error) {
	if err := ctx.Err(); err != nil {
		return none, err
	}
	for i := range c.tiers {
		tier := &c.tiers[i]
		w.at = tier.Name
		res, entered, err := c.ask(ctx, tier, req)
		if err == nil {
			w.trace.Tier, w.at = tier.Name, ""
			return res, nil
		}
		w.left(!entered, err)
		if end := ended(ctx); end != nil {
			return none, join(err, end)
		}
		if entered && c.fallIf != nil && !c.fallIf(err) {
			return none, err
		}
	}
	return none, &AllTiersFailedError{Attempts: w.trace.Attempts}
}

// ask sends req through the tier's guards, and says whether Call was entered. Where it returns an error, res means
// nothing.
func (c *Chain[Req, Res]) ask(ctx context.Context, t *Tier[Req, Res], req Req) (res Res, entered bool, err error) {
	if t.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, t.Timeout)
		defer cancel()
	}
	if len(t.Guards) == 0 {
		res, err = t.Call(ctx, req)
		return res, true, err
	}
	p, ok := c.passages.Get().(*passage[Req, Res])
	if !ok {
		p = new(passage[Req, Res])
	}
	res, entered, err = p.settle(t.through(ctx, p, p.begin(req), 0))
	c.passages.Put(p)
	return res, entered, err
}

// observe is deferred, so that a panic and a Goexit are seen too; it recovers neither.
func (c *Chain[Req, Res]) observe(ctx context.Context, w *walk) {
	if w.at != "" {
		w.left(false, ErrPanic)
	}
	w.finish()
	for _, fn := range c.observers {
		fn(ctx, w.trace)
	}
}
