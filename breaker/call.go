package breaker

import (
	"context"
	"fmt"
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/commontrip/commontrip/internal/guard"
)

// Do runs fn if b admits the call, and gives its result: fn's own value and error, or the zero value and an [*OpenError],
// or ctx's error, with its cause, if ctx had ended before. fn gets ctx, or, for a probe, one that also ends with the probe's
// lease. A panic or a runtime.Goexit in fn counts as a failure and goes on up. nil arguments panic.
func Do[T any](ctx context.Context, b *Breaker, fn func(context.Context) (T, error)) (v T, err error) {
	if b == nil || ctx == nil || fn == nil {
		misused("Do", b == nil, ctx == nil, fn == nil)
	}
	if ctx.Err() != nil {
		return v, guard.Ended(ctx)
	}
	a := b.admission.Load()
	switch a.kind {
	case plain:
		return doPlainly(ctx, a.epoch, fn)
	case refuses:
		if !a.refusal.calls.try() {
			a.refusal.calls.addSharded()
		}
		if b.config.observers != nil {
			return v, b.config.refused(ctx, &a.refusal.err)
		}
		return v, &a.refusal.err
	}
	return doSlowly(ctx, b, fn)
}

func doPlainly[T any](ctx context.Context, e *epoch, fn func(context.Context) (T, error)) (v T, err error) {
	// mutant: panic
	err = ErrPanic // should fn not come back
	defer endPlainly(ctx, e, &err)
	v, err = fn(ctx)
	return v, err
}

func doSlowly[T any](ctx context.Context, b *Breaker, fn func(context.Context) (T, error)) (v T, err error) {
	p, err := b.admitSlowly(ctx)
	if err != nil {
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
	if ctx.Err() != nil {
		return guard.Ended(ctx)
	}
	a := b.admission.Load()
	switch a.kind {
	case plain:
		return runPlainly(ctx, a.epoch, fn)
	case refuses:
		if !a.refusal.calls.try() {
			a.refusal.calls.addSharded()
		}
		if b.config.observers != nil {
			return b.config.refused(ctx, &a.refusal.err)
		}
		return &a.refusal.err
	}
	_, err = doSlowly(ctx, b, func(ctx context.Context) (struct{}, error) { return struct{}{}, fn(ctx) })
	return err
}

func runPlainly(ctx context.Context, e *epoch, fn func(context.Context) error) (err error) {
	err = ErrPanic
	defer endPlainly(ctx, e, &err)
	err = fn(ctx)
	return err
}

// Acquire is the first half of a call that is not one function: it asks for a [Permit], whose Done or Record must follow.
// The error is an [*OpenError], or ctx's if ctx had ended; then nothing is counted.
func (b *Breaker) Acquire(ctx context.Context) (Permit, error) {
	if b == nil || ctx == nil {
		misused("Acquire", b == nil, ctx == nil, false)
	}
	if ctx.Err() != nil {
		return Permit{}, guard.Ended(ctx)
	}
	a := b.admission.Load()
	switch a.kind {
	case plain:
		return Permit{epoch: a.epoch, ctx: ctx, state: openPlain}, nil
	case refuses:
		if !a.refusal.calls.try() {
			a.refusal.calls.addSharded()
		}
		if b.config.observers != nil {
			return Permit{}, b.config.refused(ctx, &a.refusal.err)
		}
		return Permit{}, &a.refusal.err
	}
	return b.admitSlowly(ctx)
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

// Permit is one admitted call. It is given by value and must not be copied: keep a *Permit where the call goes on elsewhere, in
// a struct or over a channel. The zero Permit is no call: its methods do nothing. Of Done and Record the first call counts,
// from whatever goroutine.
type Permit struct {
	_     noCopy
	epoch *epoch
	ctx   context.Context // the caller's, or a *probe
	state uintptr         // atomic; one word, which is aligned in every permit on every processor
}

// The states of a permit: what it still asks for. A greater number is openCustom's, and the uptime when the call began, in
// ticks. A permit is four words, so that it travels in registers.
const (
	ended      uintptr = iota // nothing; also the zero Permit's, and that of a part of a probe
	openPlain                 // an outcome, and nil is a success that needs nothing but counting
	openCustom                // an outcome
)

// tick is a nanosecond, or a millisecond if a word has 32 bits. Then ticks begin again after 49 days.
const tick = time.Duration(1 + 999_999*(64-bits.UintSize)/32)

// beginning is the state of a permit whose call begins now.
func beginning() uintptr { return max(uintptr(uptime()/tick), openCustom+1) }

// took is the time since then.
func took(state uintptr) time.Duration { return time.Duration(uintptr(uptime()/tick)-state) * tick }

// noCopy makes vet tell of copies.
type noCopy struct{}

func (*noCopy) Lock()   {}
func (*noCopy) Unlock() {}

// Context is what the call should run under: the caller's own, or for a probe one that ends with its lease, unless the
// probe is settled before. The zero Permit's is context.Background.
func (p *Permit) Context() context.Context {
	switch ctx := p.ctx.(type) {
	case nil:
		return context.Background()
	case *probe:
		return &ctx.probeContext
	default:
		return ctx
	}
}

// Probe reports whether this call is a probe: the tier is half-open and its outcome decides. A call within a probe of the same
// breaker is none, since it is a part of that probe.
func (p *Permit) Probe() bool {
	_, ok := p.ctx.(*probe)
	return ok
}

// Done ends the call with its error, which is classified as by Do.
func (p *Permit) Done(err error) {
	// mutant: permit = switch state := atomic.LoadUintptr(&p.state); {
	switch state := atomic.SwapUintptr(&p.state, ended); {
	case state == openPlain && err == nil:
		countSuccess(p.epoch)
	case state != ended:
		p.finish(err, state)
	}
}

// Record ends the call with an outcome, for a caller that knows more than an error can say. Record(Ignored) gives the permit
// back: the call did not take place. If its context has ended and it took longer than SlowCallAfter, it counts as a slow
// call, as by Do. A value that is not an outcome counts as a Failure.
func (p *Permit) Record(o Outcome) {
	if state := atomic.SwapUintptr(&p.state, ended); state != ended {
		p.conclude(valid(o), nil, state)
	}
}

// Answered says that the answer has begun to come, for a call that may last long after that, such as a stream. It is slow
// if it took longer than SlowCallAfter until the first time that this was said, however long it goes on. It does not end the
// call.
func (p *Permit) Answered() {
	state := atomic.LoadUintptr(&p.state)
	if state > openCustom && took(state) <= p.epoch.owner.admission.Load().policy.SlowCallAfter {
		atomic.CompareAndSwapUintptr(&p.state, state, openCustom)
	}
}

// permit admits a call that is not a plain one. ctx is a *probe if it is a probe.
func (a *admission) permit(ctx context.Context) Permit {
	state := openCustom
	if a.policy.SlowCallAfter > 0 {
		state = beginning()
	}
	return Permit{epoch: a.epoch, ctx: ctx, state: state}
}

// admitSlowly is for an admission that asks. What is asked may change the admission: then it looks again, but not for ever.
func (b *Breaker) admitSlowly(ctx context.Context) (Permit, error) {
	for range 4 {
		switch a := b.current(); {
		case a.kind == sleeps:
			b.awake()
		case a.refusal != nil && !a.refusal.lets(uptime()):
			a.refusal.calls.add()
			return Permit{}, b.config.refused(ctx, &a.refusal.err)
		case a.needsLease():
			if partOfProbe(ctx, &b.coordinator) {
				return Permit{epoch: a.epoch, ctx: part{ctx}, state: ended}, nil
			}
			under, again, err := a.probes.acquire(ctx, a)
			switch {
			case err != nil:
				return Permit{}, err
			case !again:
				return b.admission.Load().permit(under), nil
			}
		default:
			return a.permit(ctx), nil
		}
	}
	b.refused.of(RefusedProbing).add()
	return Permit{}, b.config.refused(ctx, &OpenError{Name: b.name, Refusal: RefusedProbing, wait: time.Millisecond})
}

// endPlainly ends a plain call of Do or Run.
func endPlainly(ctx context.Context, e *epoch, err *error) {
	if *err == nil {
		countSuccess(e)
		return
	}
	p := Permit{epoch: e, ctx: ctx}
	p.finish(*err, openPlain)
}

// end ends any other call of Do or Run.
func (p *Permit) end(err *error) {
	if p.state != ended {
		p.finish(*err, p.state)
	}
}

// finish classifies the call's error, and concludes.
func (p *Permit) finish(err error, state uintptr) {
	ctx := p.ctx
	if pr, ok := ctx.(*probe); ok {
		ctx = pr.caller
	}
	o := Failure // of a classifier that calls runtime.Goexit
	defer func() { p.conclude(o, err, state) }()
	o = p.epoch.owner.config.outcome(ctx, err)
}

// conclude says how the call ended, with the label of a failure, and takes that to where it counts.
func (p *Permit) conclude(o Outcome, err error, state uintptr) {
	b := p.epoch.owner
	a := b.admission.Load()
	after := a.policy.SlowCallAfter
	how := ending{outcome: o}
	how.slow = state > openCustom && after > 0 && took(state) > after && (o != Ignored || p.givenUp(a))
	if o == Failure {
		defer func() { p.count(a, how) }() // also after a label function that calls runtime.Goexit
		how.label = b.config.labelOf(err)
		return
	}
	p.count(a, how)
}

// givenUp reports that an ignored call which took too long is evidence against the tier: its caller did not wait for it, and
// slow calls are judged. Other ignored calls say nothing, however long they took: they may have waited for something else.
func (p *Permit) givenUp(a *admission) bool {
	ctx := p.ctx
	if pr, ok := ctx.(*probe); ok {
		ctx = pr.caller
	}
	return a.policy.SlowCallRate > 0 && ctx.Err() != nil
}

// count takes an outcome to where it counts.
func (p *Permit) count(a *admission, how ending) {
	b := p.epoch.owner
	if pr, ok := p.ctx.(*probe); ok {
		pr.conclude(how)
		return
	}
	if how.outcome != Success || how.slow {
		b.record(p.epoch, how, true)
		return
	}
	if a.aged {
		b.ageSuccesses(p.epoch, a.policy.WindowTime/10)
	}
	countSuccess(p.epoch)
}
