package breaker

import (
	"context"
	"fmt"
	"time"
)

// Do runs fn if b admits the call, and gives its result: fn's own value and error, or the zero value and an [*OpenError],
// or ctx's error where ctx had ended before. fn gets ctx, or, for a probe, one that also ends with the probe's lease. A
// panic or a runtime.Goexit in fn counts as a failure and goes on up. nil arguments panic.
func Do[T any](ctx context.Context, b *Breaker, fn func(context.Context) (T, error)) (T, error) {
	if b == nil || ctx == nil || fn == nil {
		misused("Do", b == nil, ctx == nil, fn == nil)
	}
	var p Permit
	if err := b.enter(ctx, &p); err != nil {
		var zero T
		return zero, err
	}
	err := ErrPanic // should fn not come back
	defer p.leave(&err)
	var v T
	v, err = fn(p.Context())
	return v, err
}

// Run is [Do] for a function that gives nothing but an error. It makes a breaker a guard.
func (b *Breaker) Run(ctx context.Context, fn func(context.Context) error) error {
	if b == nil || ctx == nil || fn == nil {
		misused("Run", b == nil, ctx == nil, fn == nil)
	}
	var p Permit
	if err := b.enter(ctx, &p); err != nil {
		return err
	}
	err := ErrPanic
	defer p.leave(&err)
	err = fn(p.Context())
	return err
}

// Acquire is the first half of a call that is no one function: it asks for a [Permit], whose Done or Record must follow.
// The error is an [*OpenError], or ctx's where ctx had ended; then nothing is counted.
func (b *Breaker) Acquire(ctx context.Context) (p Permit, err error) {
	if b == nil || ctx == nil {
		misused("Acquire", b == nil, ctx == nil, false)
	}
	err = b.enter(ctx, &p)
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
	b     *Breaker
	era   *era
	ctx   context.Context
	probe *probe        // nil for an ordinary call
	began time.Duration // uptime; 0 = the clock was not read
	taken taken
}

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
	if p.b != nil && p.taken.first() {
		p.finish(err)
	}
}

// Record ends the call with an outcome, for who knows better than an error can say. Record(Ignored) gives the permit
// back: the call did not take place. What is no outcome counts as a Failure.
func (p *Permit) Record(o Outcome) {
	if p.b != nil && p.taken.first() {
		p.conclude(valid(o), nil)
	}
}

// enter admits a call into p or says why not.
func (b *Breaker) enter(ctx context.Context, p *Permit) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s := b.stance.Load()
	switch s.kind {
	case admits:
		b.admit(ctx, s, p)
		return nil
	case refuses:
		s.refused.add()
		return s.refusal
	default:
		return b.enterSlowly(ctx, s, p)
	}
}

func (b *Breaker) admit(ctx context.Context, s *stance, p *Permit) {
	p.b, p.era, p.ctx = b, s.era, ctx
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
		case s.ramp != nil && !s.ramp.admits(uptime()):
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

// leave ends a call of Do or Run.
func (p *Permit) leave(err *error) {
	if *err == nil && p.probe == nil && p.began == 0 && p.b.config.classify == nil {
		p.b.succeed(p.era)
		return
	}
	p.finish(*err)
}

// finish classifies and counts.
func (p *Permit) finish(err error) {
	if err == nil && p.probe == nil && p.began == 0 && p.b.config.classify == nil {
		p.b.succeed(p.era)
		return
	}
	p.conclude(p.b.config.outcome(p.ctx, err), err)
}

// succeed counts a plain success.
func (b *Breaker) succeed(e *era) {
	e.successes.add()
	if e.flag.Load() != marked {
		b.mark(e)
	}
}

// conclude counts an outcome.
func (p *Permit) conclude(o Outcome, err error) {
	s := p.b.stance.Load()
	slow := o != Ignored && p.began != 0 && s.slow > 0 && uptime()-p.began > s.slow
	var label string
	if o == Failure {
		label = p.b.config.labelOf(err)
	}
	switch {
	case p.probe != nil:
		p.probe.settle(o, slow, label)
	case o == Success && !slow:
		if s.bucket > 0 {
			p.b.age(p.era, s.bucket)
		}
		p.b.succeed(p.era)
	default:
		p.b.record(p.era, run{outcome: o, slow: slow, label: label, count: 1}, true)
	}
}
