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
		return doPlainly(ctx, s.era, fn)
	case refuses:
		if !s.refused.try() {
			s.refused.addSharded()
		}
		return v, s.refusal
	}
	return doSlowly(ctx, b, s, fn)
}

func doPlainly[T any](ctx context.Context, e *era, fn func(context.Context) (T, error)) (v T, err error) {
	err = ErrPanic // should fn not come back
	defer e.leave(ctx, &err)
	v, err = fn(ctx)
	return v, err
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
		return s.era.run(ctx, fn)
	case refuses:
		if !s.refused.try() {
			s.refused.addSharded()
		}
		return s.refusal
	}
	_, err = doSlowly(ctx, b, s, func(ctx context.Context) (struct{}, error) { return struct{}{}, fn(ctx) })
	return err
}

func (e *era) run(ctx context.Context, fn func(context.Context) error) (err error) {
	err = ErrPanic
	defer e.leave(ctx, &err)
	err = fn(ctx)
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
		return Permit{era: s.era, ctx: ctx, state: openPlain}, nil
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

func needContext(ctx context.Context, verb string) {
	if ctx == nil {
		misused(verb, false, true, false)
	}
}

// Permit is one admitted call. It is given by value and must not be copied. The zero Permit is no call: its methods do
// nothing. Of Done and Record the first call counts, from whatever goroutine.
type Permit struct {
	_     noCopy
	era   *era
	ctx   context.Context // the caller's, or a *probe, which is a context itself
	state uint64          // atomic
}

// The states of a permit: what it still asks for. A greater number is openCustom's, and the uptime when the call began.
// A permit is four words, so that it travels in registers.
const (
	ended      uint64 = iota // nothing; also the zero Permit's
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
	if p.ctx == nil {
		return context.Background()
	}
	return p.ctx
}

// Probe reports whether this call is a probe: the tier is half-open and its outcome decides.
func (p *Permit) Probe() bool {
	_, ok := p.ctx.(*probe)
	return ok
}

// Done ends the call with its error, which is classified as by Do.
func (p *Permit) Done(err error) {
	switch state := atomic.SwapUint64(&p.state, ended); {
	case state == openPlain && err == nil:
		p.era.succeed()
	case state != ended:
		p.finish(err, state)
	}
}

// Record ends the call with an outcome, for who knows better than an error can say. Record(Ignored) gives the permit
// back: the call did not take place. What is no outcome counts as a Failure.
func (p *Permit) Record(o Outcome) {
	if state := atomic.SwapUint64(&p.state, ended); state != ended {
		p.conclude(valid(o), nil, state)
	}
}

func (b *Breaker) admit(ctx context.Context, s *stance, p *Permit) {
	p.era, p.ctx, p.state = s.era, ctx, openCustom
	if s.policy.SlowCallAfter > 0 {
		p.state = uint64(uptime())
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
func (e *era) leave(ctx context.Context, err *error) {
	if *err == nil {
		e.succeed()
		return
	}
	p := Permit{era: e, ctx: ctx}
	p.finish(*err, openPlain)
}

// end ends any other call of Do or Run.
func (p *Permit) end(err *error) { p.finish(*err, p.state) }

// succeed counts a success; the first to wait, or one that is late, says so.
func (e *era) succeed() {
	if !e.successes.try() {
		e.successes.addSharded()
	}
	if e.flag.Load() != marked {
		e.b.mark(e)
	}
}

// finish classifies and counts.
func (p *Permit) finish(err error, state uint64) {
	ctx := p.ctx
	if pr, ok := ctx.(*probe); ok {
		ctx = pr.caller
	}
	o := Failure // of a classifier that calls runtime.Goexit
	defer func() { p.conclude(o, err, state) }()
	o = p.era.b.config.outcome(ctx, err)
}

// conclude counts an outcome.
func (p *Permit) conclude(o Outcome, err error, state uint64) {
	b := p.era.b
	s := b.stance.Load()
	after := s.policy.SlowCallAfter
	slow := o != Ignored && state > openCustom && after > 0 && uptime()-time.Duration(state) > after
	if o != Failure {
		p.enter(s, o, slow, "")
		return
	}
	var label string // of a function that calls runtime.Goexit
	defer func() { p.enter(s, o, slow, label) }()
	label = b.config.labelOf(err)
}

// enter brings an outcome to where it counts.
func (p *Permit) enter(s *stance, o Outcome, slow bool, label string) {
	b := p.era.b
	if pr, ok := p.ctx.(*probe); ok {
		pr.settle(o, slow, label)
		return
	}
	if o != Success || slow {
		b.record(p.era, run{outcome: o, slow: slow, label: label, count: 1}, true)
		return
	}
	if s.aged {
		b.age(p.era, s.policy.WindowTime/10)
	}
	p.era.succeed()
}
