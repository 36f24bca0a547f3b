package chaos

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
)

// hostile is one thing that a user's function does to a breaker. call is made under a context that may be cancelled, and
// on a goroutine of its own. What a classifier or a label does happens to failures; what a listener does, to transitions.
type hostile struct {
	name  string
	opts  func(*victim) []breaker.Option
	call  func(context.Context, *victim)
	inner int // calls that a call makes
}

// victim is a breaker and what stands around it.
type victim struct {
	*breaker.Breaker
	manager *breaker.Manager
	wrong   chan string // what a caller saw that it should not
	release chan struct{}
}

var errTier = errors.New("the tier failed")

func failing(context.Context) error { return errTier }
func well(context.Context) error    { return nil }

var hostiles = []hostile{
	{name: "panics", call: func(ctx context.Context, v *victim) {
		want := errors.New("mine")
		defer func() {
			if got := recover(); got != nil && got != any(want) {
				v.wrong <- "a panic came back as another"
			}
		}()
		_ = v.Run(ctx, func(context.Context) error { panic(want) })
	}},
	{name: "exits", call: func(ctx context.Context, v *victim) {
		_ = v.Run(ctx, func(context.Context) error { runtime.Goexit(); return nil })
	}},
	{name: "has no context", call: func(_ context.Context, v *victim) {
		defer func() {
			if recover() == nil {
				v.wrong <- "a call without a context went through"
			}
		}()
		_ = v.Run(nil, well) //nolint:staticcheck // that is the attack
	}},
	{name: "cancels its own context", call: func(ctx context.Context, v *victim) {
		ctx, cancel := context.WithCancel(ctx)
		_ = v.Run(ctx, func(ctx context.Context) error { cancel(); return ctx.Err() })
	}},
	{name: "never comes back", call: func(ctx context.Context, v *victim) {
		_ = v.Run(ctx, func(context.Context) error { <-v.release; return nil })
	}},
	{name: "is never done", call: func(ctx context.Context, v *victim) { _, _ = v.Acquire(ctx) }},
	{name: "is done eight times at once", call: func(ctx context.Context, v *victim) {
		permit, err := v.Acquire(ctx)
		if err != nil {
			return
		}
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() { permit.Done(errTier) })
		}
		all.Wait()
		permit.Record(breaker.Success)
	}},
	{name: "calls its own breaker", inner: 1, call: func(ctx context.Context, v *victim) {
		_ = v.Run(ctx, func(ctx context.Context) error { return v.Run(ctx, failing) })
	}},
	{name: "has a classifier that panics", call: fails, opts: judging(func() { panic("no") })},
	{name: "has a classifier that exits", call: fails, opts: judging(runtime.Goexit)},
	{name: "has a classifier that asks and commands", call: fails, opts: func(v *victim) []breaker.Option {
		return []breaker.Option{breaker.WithClassifier(func(ctx context.Context, err error) breaker.Outcome {
			_, _ = v.State(), v.Status()
			return breaker.DefaultClassifier(ctx, err)
		})}
	}},
	{name: "has a label that panics", call: fails, opts: with(breaker.WithErrorLabel(func(error) string { panic("no") }))},
	{name: "has a label that exits", call: fails, opts: with(breaker.WithErrorLabel(func(error) string { runtime.Goexit(); return "" }))},
	{name: "has a label of control characters", call: fails, opts: with(breaker.WithErrorLabel(func(error) string { return "a\n\x1b[2J\u202e" }))},
	{name: "has a listener that panics", call: fails, opts: with(breaker.WithListener(func(breaker.Event) { panic("no") }))},
	{name: "has a listener that exits", call: fails, opts: with(breaker.WithListener(func(breaker.Event) { runtime.Goexit() }))},
	{name: "has a listener that blocks", call: fails, opts: func(v *victim) []breaker.Option {
		return []breaker.Option{breaker.WithListener(func(breaker.Event) { <-v.release })}
	}},
	{name: "has a listener that closes its Manager", call: fails, opts: func(v *victim) []breaker.Option {
		return []breaker.Option{breaker.WithListener(func(breaker.Event) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			_ = v.manager.Close(ctx)
		})}
	}},
	{name: "has a listener that calls and commands", call: fails, opts: func(v *victim) []breaker.Option {
		return []breaker.Option{breaker.WithListener(func(e breaker.Event) {
			_, _ = v.State(), v.Status()
			_ = v.Run(context.Background(), well)
			if e.Transition.To == breaker.Open && e.Transition.Action == 0 {
				_, _ = v.Command(context.Background(), breaker.Command{Action: breaker.Trip, By: "listener"})
			}
		})}
	}},
}

// judging has a classifier that does something to failures.
func judging(do func()) func(*victim) []breaker.Option {
	return with(breaker.WithClassifier(func(ctx context.Context, err error) breaker.Outcome {
		if err != nil {
			do()
		}
		return breaker.DefaultClassifier(ctx, err)
	}))
}

func with(o breaker.Option) func(*victim) []breaker.Option {
	return func(*victim) []breaker.Option { return []breaker.Option{o} }
}

func fails(ctx context.Context, v *victim) { _ = v.Run(ctx, failing) }

// harm is what came of it.
type harm struct{ leaked, stuck, disordered, wrong, double int }

func (h *harm) add(o harm) {
	h.leaked += o.leaked
	h.stuck += o.stuck
	h.disordered += o.disordered
	h.wrong += o.wrong
	h.double += o.double
}

func TestScenario27HostileCallbacks(t *testing.T) {
	scenario := scoreboard.Start(t, 27, "hostile callbacks")
	cases, sum := 0, harm{}
	for range scoreboard.Pick(scenario, 1, 20) {
		for _, h := range hostiles {
			for _, where := range []string{"closed", "half-open"} {
				for _, remote := range []bool{false, true} {
					synctest.Test(t, func(t *testing.T) { sum.add(h.attack(t, where == "half-open", remote)) })
					cases++
				}
			}
		}
	}
	scenario.AtLeast("cases that ended, each in virtual time, which tells of a deadlock", cases, 4*len(hostiles))
	scenario.Zero("permits leaked", sum.leaked)
	scenario.Zero("breakers stuck", sum.stuck)
	scenario.Zero("transitions out of order", sum.disordered)
	scenario.Zero("panics that came back as another", sum.wrong)
	scenario.Zero("outcomes counted twice", sum.double)
}

// attack lets a hostile function loose on a closed or half-open breaker, and then demands that healthy calls close it.
func (h hostile) attack(t *testing.T, halfOpen, remote bool) (out harm) {
	s := memorystore.New()
	var way store.Store = s
	if remote {
		way = memorystore.NewLink(s)
	}
	v, heard := h.victim(t, way)
	if halfOpen {
		if _, err := v.Command(t.Context(), breaker.Command{Action: breaker.Trip, By: "test"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * hostilePolicy.OpenFor)
	}
	const calls = 10
	ctx, cancel := context.WithCancel(t.Context())
	for range calls {
		go h.call(ctx, v)
		time.Sleep(10 * time.Millisecond)
	}
	made := calls * (1 + h.inner)
	for range 600 {
		time.Sleep(100 * time.Millisecond)
		if v.State() == breaker.Closed {
			break
		}
		made++
		go func() { _ = v.Run(ctx, well) }()
	}
	if v.State() != breaker.Closed {
		out.stuck++
		t.Errorf("%s: it is %v a minute after all was well", h.name, v.State())
	}
	time.Sleep(2 * hostilePolicy.ProbeLease)
	truth, err := v.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out.leaked = truth.Probing
	if counted := truth.Totals.Calls + truth.Totals.Ignored + truth.Totals.Late; h.opts == nil && counted > uint64(made) {
		out.double = int(counted) - made
	}
	close(v.release)
	cancel()
	_ = v.manager.Close(context.Background()) // a listener may have closed it, and not have heard everything then
	synctest.Wait()
	out.wrong = len(v.wrong)
	out.disordered = heard.disordered()
	return out
}

var hostilePolicy = breaker.Policy{ConsecutiveFailures: 3, OpenFor: time.Second, Probes: 1, ProbeSuccesses: 1, ProbeLease: 2 * time.Second}

func (h hostile) victim(t *testing.T, way store.Store) (*victim, *order) {
	v, heard := &victim{wrong: make(chan string, 1000), release: make(chan struct{})}, &order{}
	opts := []breaker.Option{breaker.WithPolicy(hostilePolicy)}
	if h.opts != nil {
		opts = append(opts, h.opts(v)...)
	}
	var err error
	if v.manager, err = breaker.NewManager(way); err != nil {
		t.Fatal(err)
	}
	if v.Breaker, err = v.manager.Register(t.Context(), "tier", append(opts, breaker.WithListener(heard.hear))...); err != nil {
		t.Fatal(err)
	}
	return v, heard
}

// order is a listener that looks at the order of what it hears.
type order struct {
	mu   sync.Mutex
	last store.Transition
	bad  int
}

func (o *order) hear(e breaker.Event) {
	if e.Transition.Generation == 0 || e.Kind == breaker.OwnTripped || e.Kind == breaker.OwnClosed {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.last.Generation != 0 && (e.Transition.Prev != o.last.Generation || e.Transition.From != o.last.To) {
		o.bad++
	}
	o.last = e.Transition
}

func (o *order) disordered() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.bad
}
