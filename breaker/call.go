package breaker

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// Do runs fn if b admits the call, and gives its result: fn's own value and error, or the zero value and an [*OpenError],
// or ctx's error where ctx had ended before. fn gets ctx, or, for a probe, one that also ends with the probe's lease. A
// panic or a runtime.Goexit in fn counts as a failure and goes on up. nil arguments panic.
func Do[T any](ctx context.Context, b *Breaker, fn func(context.Context) (T, error)) (v T, err error) {
	if b == nil || ctx == nil || fn == nil {
		misused("Do", b == nil, ctx == nil, fn == nil)
	}
	if err = ctx.Err(); err != nil {
		return v, err
	}
	s := b.stance.Load()
	switch s.kind {
	case plain:
		err = ErrPanic // should fn not come back
		defer b.leave(s.era, ctx, &err)
		v, err = fn(ctx)
		return v, err
	case refuses:
		if !s.refused.try() {
			s.refused.addSharded()
		}
		return v, s.refusal
	}
	return doSlowly(ctx, b, s, fn)
}

func doSlowly[T any](ctx context.Context, b *Breaker, s *stance, fn func(context.Context) (T, error)) (v T, err error) {
	var p Permit
	if err = b.enterSlowly(ctx, s, &p); err != nil {
		return v, err
	}
	err = ErrPanic
	defer p.end(&err)
	v, err = fn(p.Context())
	return v, err
}

// Run is [Do] for a function that gives nothing but an error. It makes a breaker a guard.
func (b *Breaker) Run(ctx context.Context, fn func(context.Context) error) (err error) {
	if b == nil || ctx == nil || fn == nil {
		misused("Run", b == nil, ctx == nil, fn == nil)
	}
	if err = ctx.Err(); err != nil {
		return err
	}
	s := b.stance.Load()
	switch s.kind {
	case plain:
		err = ErrPanic
		defer b.leave(s.era, ctx, &err)
		err = fn(ctx)
		return err
	case refuses:
		if !s.refused.try() {
			s.refused.addSharded()
		}
		return s.refusal
	}
	_, err = doSlowly(ctx, b, s, func(ctx context.Context) (struct{}, error) { return struct{}{}, fn(ctx) })
	return err
}

// Acquire is the first half of a call that is no one function: it asks for a [Permit], whose Done or Record must follow.
// The error is an [*OpenError], or ctx's where ctx had ended; then nothing is counted.
func (b *Breaker) Acquire(ctx context.Context) (Permit, error) {
	if b == nil || ctx == nil {
		misused("Acquire", b == nil, ctx == nil, false)
	}
	if err := ctx.Err(); err != nil {
		return Permit{}, err
	}
	s := b.stance.Load()
	switch s.kind {
	case plain:
		return Permit{b: b, era: s.era, ctx: ctx, state: openPlain}, nil
	case refuses:
		if !s.refused.try() {
			s.refused.addSharded()
		}
		return Permit{}, s.refusal
	}
	return b.acquireSlowly(ctx, s)
}

func (b *Breaker) acquireSlowly(ctx context.Context, s *stance) (p Permit, err error) {
	err = b.enterSlowly(ctx, s, &p)
	return
}

// misused panics: to go on would be to run without protection.
func misused(verb string, noBreaker, noContext, noFunction bool) {
	for _, arg := range []struct {
		missing bool
		what    string
	}{{noBreaker, "breaker"}, {noContext, "context"}, {noFunction, "function"}} {
		if arg.missing {
			panic(fmt.Sprintf("breaker: %s needs a %s; it was given nil", verb, arg.what))
		}
	}
}

// Permit is one admitted call. It is given by value and must not be copied. The zero Permit is no call: its methods do
// nothing. Of Done and Record the first call counts, from whatever goroutine.
type Permit struct {
	_     noCopy
	b     *Breaker
	era   *era
	ctx   context.Context
	probe *probe        // nil for an ordinary call
	began time.Duration // uptime; 0 = the clock was not read
	state uint32        // atomic
}

// The states of a permit: what it still asks for.
const (
	ended      uint32 = iota // nothing; also the zero Permit's
	openPlain                // an outcome, and nil is a success that needs nothing but counting
	openCustom               // an outcome
)

// noCopy makes vet tell of copies.
type noCopy struct{}

func (*noCopy) Lock()   {}
func (*noCopy) Unlock() {}

// Context is what the call should run under: the caller's own, or for a probe one that ends with its lease, unless the
// probe is settled before. The zero Permit's is context.Background.
func (p *Permit) Context() context.Context {
	switch {
	case p.probe != nil:
		return p.probe.ctx
	case p.ctx == nil:
		return context.Background()
	default:
		return p.ctx
	}
}

// Probe reports whether this call is a probe: the tier is half-open and its outcome decides.
func (p *Permit) Probe() bool { return p.probe != nil }

// Done ends the call with its error, which is classified as by Do.
func (p *Permit) Done(err error) {
	switch atomic.SwapUint32(&p.state, ended) {
	case openPlain:
		if err == nil {
			if counted := p.era.successes.try(); !counted || p.era.flag.Load() != marked {
				p.b.tend(p.era, counted)
			}
			return
		}
		fallthrough
	case openCustom:
		p.finish(err)
	}
}

// Record ends the call with an outcome, for who knows better than an error can say. Record(Ignored) gives the permit
// back: the call did not take place. What is no outcome counts as a Failure.
func (p *Permit) Record(o Outcome) {
	if atomic.SwapUint32(&p.state, ended) != ended {
		p.conclude(valid(o), nil)
	}
}

func (b *Breaker) admit(ctx context.Context, s *stance, p *Permit) {
	p.b, p.era, p.ctx = b, s.era, ctx
	p.state = openCustom
	if s.clocked {
		p.began = uptime()
	}
}

// enterSlowly is for a stance that asks. What it asks may change the stance; then it looks again, but not for ever.
func (b *Breaker) enterSlowly(ctx context.Context, s *stance, p *Permit) error {
	for range 4 {
		switch s = b.renew(s); {
		case s.asleep:
			b.wake()
		case s.refusal != nil:
			s.refused.add()
			return s.refusal
		case s.gate != nil:
			if again, err := b.knock(ctx, s, p); !again {
				return err
			}
		case s.ramp != nil && !s.ramp.lets(uptime()):
			b.counterOf(RefusedRampUp).add()
			return s.ramp.refusal
		default:
			b.admit(ctx, s, p)
			return nil
		}
		s = b.stance.Load()
	}
	b.counterOf(RefusedProbing).add()
	return &OpenError{Name: b.name, Refusal: RefusedProbing, wait: time.Millisecond}
}

// leave ends a plain call of Do or Run.
func (b *Breaker) leave(e *era, ctx context.Context, err *error) {
	if *err == nil {
		if counted := e.successes.try(); !counted || e.flag.Load() != marked {
			b.tend(e, counted)
		}
		return
	}
	p := Permit{b: b, era: e, ctx: ctx}
	p.finish(*err)
}

// end ends any other call of Do or Run.
func (p *Permit) end(err *error) { p.finish(*err) }

// finish classifies and counts.
func (p *Permit) finish(err error) {
	p.conclude(p.b.config.outcome(p.ctx, err), err)
}

// succeed counts a plain success.
func (b *Breaker) succeed(e *era) {
	if counted := e.successes.try(); !counted || e.flag.Load() != marked {
		b.tend(e, counted)
	}
}

// tend is for a success that is the first to wait, met another one, or is late.
func (b *Breaker) tend(e *era, counted bool) {
	if !counted {
		e.successes.addSharded()
	}
	if e.flag.Load() != marked {
		b.mark(e)
	}
}

// conclude counts an outcome.
func (p *Permit) conclude(o Outcome, err error) {
	s := p.b.stance.Load()
	after := s.policy.SlowCallAfter
	slow := o != Ignored && p.began != 0 && after > 0 && uptime()-p.began > after
	var label string
	if o == Failure {
		label = p.b.config.labelOf(err)
	}
	switch {
	case p.probe != nil:
		p.probe.settle(o, slow, label)
	case o == Success && !slow:
		if s.aged {
			p.b.age(p.era, s.policy.WindowTime/10)
		}
		p.b.succeed(p.era)
	default:
		p.b.record(p.era, run{outcome: o, slow: slow, label: label, count: 1}, true)
	}
}
