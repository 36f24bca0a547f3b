package fallback

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/commontrip/commontrip/internal/guard"
)

// errLate is what a guard gets that calls on after its tier has returned. It is a refusal: the tier was not asked.
var errLate = guard.NewRefusal("fallback: a guard called on after its tier had returned")

// guardedCall collects what the guards of a tier bring back for one request. It is locked, since a guard may call on from
// other goroutines. It is used again for other requests, although a guard may keep the function it was given for ever. So
// each function knows the use that it was made in, and can do nothing in a later one.
type guardedCall[Req, Res any] struct {
	mu  sync.Mutex
	use atomic.Uint64 // grows, under mu, when the outermost guard has returned
	collected[Req, Res]
}

// collected is what is known of the present use.
type collected[Req, Res any] struct {
	req      Req
	called   bool // Call was, at least once
	failed   bool // Call failed, at least once, by an error that is not a refusal of a guard within it
	answered bool // res is of a Call that succeeded
	res      Res
	err      error // of the last Call that failed
}

// begin starts a use and returns its number. It needs no lock: functions of earlier uses look at nothing but the number.
func (g *guardedCall[Req, Res]) begin(req Req) (use uint64) {
	g.req = req
	return g.use.Load()
}

// admit lets a guard's call through to Call, unless the use is over.
func (g *guardedCall[Req, Res]) admit(use uint64) (req Req, admitted bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.use.Load() != use {
		return req, false
	}
	g.called = true
	return g.req, true
}

// keep takes what Call returned, unless the use is over.
func (g *guardedCall[Req, Res]) keep(use uint64, res Res, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.use.Load() != use:
	case err != nil:
		g.err, g.failed = err, g.failed || !guard.Refused(err)
	default:
		g.answered, g.res = true, res
	}
}

// finish ends the use: the outermost guard has returned err. It says what the answer is, whether the tier was asked, and
// what is wrong with the answer, if anything is. A tier was not asked if all that Call met was a refusal of a guard within.
func (g *guardedCall[Req, Res]) finish(err error) (res Res, asked bool, _ error) {
	g.mu.Lock()
	got := g.collected
	g.collected = collected[Req, Res]{}
	g.use.Add(1)
	g.mu.Unlock()
	if err == nil && !got.answered {
		err = ErrNoAnswer
		if got.err != nil {
			err = fmt.Errorf("%w: %w", ErrNoAnswer, got.err)
		}
	}
	return got.res, got.called && (got.failed || !guard.Refused(err)), err
}

// runGuards runs the tier's guards from level on, and Call behind the last. Each level looks whether the use is over, so
// that no breaker takes the refusal of a late call for a failure of the tier.
func (t *Tier[Req, Res]) runGuards(ctx context.Context, g *guardedCall[Req, Res], use uint64, level int) error {
	if level == len(t.Guards) {
		req, admitted := g.admit(use)
		if !admitted {
			return errLate
		}
		res, err := t.Call(ctx, req)
		g.keep(use, res, err)
		return err
	}
	if g.use.Load() != use {
		return errLate
	}
	return t.Guards[level].Run(ctx, func(ctx context.Context) error { return t.runGuards(ctx, g, use, level+1) })
}
