package fallback

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// errLate is what a guard gets that calls on after its tier has returned.
var errLate = errors.New("fallback: a guard called on after its tier had returned")

// passage collects what one request's way through a tier's guards brings. It is locked, since a guard may call on from
// other goroutines. It is used again for other requests, although a guard may keep the function it was given for ever:
// each function knows the turn it was made in, and can do nothing in a later one.
type passage[Req, Res any] struct {
	mu   sync.Mutex
	turn atomic.Uint64 // grows, under mu, when the outermost guard has returned
	collected[Req, Res]
}

type collected[Req, Res any] struct {
	req      Req
	entered  bool // Call was, at least once
	answered bool // res is of a Call that succeeded
	res      Res
	err      error // of the last Call that failed
}

// begin starts a turn. It needs no lock: functions of earlier turns look at nothing but turn.
func (p *passage[Req, Res]) begin(req Req) (turn uint64) {
	p.req = req
	return p.turn.Load()
}

// enter admits to Call, unless the turn is over.
func (p *passage[Req, Res]) enter(turn uint64) (req Req, admitted bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.turn.Load() != turn {
		return req, false
	}
	p.entered = true
	return p.req, true
}

// leave keeps what Call returned, unless the turn is over.
func (p *passage[Req, Res]) leave(turn uint64, res Res, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.turn.Load() != turn:
	case err != nil:
		p.err = err
	default:
		p.answered, p.res = true, res
	}
}

// settle ends the turn: the outermost guard has returned err. It says what the answer is, whether Call was entered, and
// what is wrong with the answer, if anything is.
func (p *passage[Req, Res]) settle(err error) (res Res, entered bool, _ error) {
	p.mu.Lock()
	got := p.collected
	p.collected = collected[Req, Res]{}
	p.turn.Add(1)
	p.mu.Unlock()
	if err == nil && !got.answered {
		err = ErrNoAnswer
		if got.err != nil {
			err = fmt.Errorf("%w: %w", ErrNoAnswer, got.err)
		}
	}
	return got.res, got.entered, err
}

// through runs the tier's guards from level on, and Call behind the last. Each level looks whether the turn is over, so
// that no breaker takes the refusal of a late call for a failure of the tier.
func (t *Tier[Req, Res]) through(ctx context.Context, p *passage[Req, Res], turn uint64, level int) error {
	if level == len(t.Guards) {
		req, admitted := p.enter(turn)
		if !admitted {
			return errLate
		}
		res, err := t.Call(ctx, req)
		p.leave(turn, res, err)
		return err
	}
	if p.turn.Load() != turn {
		return errLate
	}
	return t.Guards[level].Run(ctx, func(ctx context.Context) error { return t.through(ctx, p, turn, level+1) })
}
