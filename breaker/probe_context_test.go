package breaker_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/breaker"
)

// foreign is a context of another library: package context knows nothing of its kind.
type foreign struct {
	context.Context
	done chan struct{}
	once sync.Once
}

func newForeign(parent context.Context) *foreign {
	return &foreign{Context: context.WithoutCancel(parent), done: make(chan struct{})}
}

func (f *foreign) Done() <-chan struct{} { return f.done }
func (f *foreign) cancel()               { f.once.Do(func() { close(f.done) }) }

func (f *foreign) Err() error {
	select {
	case <-f.done:
		return context.Canceled
	default:
		return nil
	}
}

// followed is a context that counts what waits for its end.
type followed struct {
	*foreign
	waiting atomic.Int64
}

func (f *followed) AfterFunc(fn func()) func() bool {
	f.waiting.Add(1)
	stop := context.AfterFunc(f.foreign, func() { f.waiting.Add(-1); fn() })
	return func() bool {
		stopped := stop()
		if stopped {
			f.waiting.Add(-1)
		}
		return stopped
	}
}

// What a call does with its context while it is a probe.
var uses = map[string]func(ctx context.Context){
	"nothing": func(context.Context) {},
	"a derived context": func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		_ = ctx.Err()
	},
	"one of a derived one": func(ctx context.Context) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		ctx, cancel = context.WithTimeout(context.WithValue(ctx, &ctx, 1), time.Minute)
		defer cancel()
		_ = ctx.Err()
	},
	"a function afterwards": func(ctx context.Context) { context.AfterFunc(ctx, func() {})() },
}

func TestASettledProbeLeavesNothingOnItsCallersContext(t *testing.T) {
	// 122 bytes a probe stayed registered with a context that lived as long as the process.
	for name, use := range uses {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T) {
				ctx := &followed{foreign: newForeign(t.Context())}
				defer ctx.cancel()
				for range 100 {
					b := halfOpen(t, short)
					if err := b.Run(ctx, func(ctx context.Context) error { use(ctx); return nil }); err != nil {
						t.Fatal(err)
					}
					wantState(t, b, breaker.Closed)
				}
				if got := ctx.waiting.Load(); got != 0 {
					t.Errorf("%d of 100 probes still wait for their caller's context", got)
				}
			})
		})
	}
}

func TestAProbeUnderAForeignContextLeavesNoGoroutine(t *testing.T) {
	for name, use := range uses {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T) {
				ctx := newForeign(t.Context())
				defer ctx.cancel()
				synctest.Wait()
				before := runtime.NumGoroutine()
				for range 20 {
					b := halfOpen(t, short)
					if err := b.Run(ctx, func(ctx context.Context) error { use(ctx); return nil }); err != nil {
						t.Fatal(err)
					}
				}
				synctest.Wait()
				if more := runtime.NumGoroutine() - before; more >= 20 {
					t.Errorf("20 probes left %d goroutines", more)
				}
			})
		})
	}
}

func TestTheEndOfALeaseIsADeadlineToDerivedContexts(t *testing.T) {
	// They saw Canceled: neither a timeout to http.Client, nor DeadlineExceeded to gRPC, and Ignored to a breaker inside.
	derive := map[string]func(context.Context) (context.Context, context.CancelFunc){
		"cancelled": context.WithCancel,
		"with a cause": func(ctx context.Context) (context.Context, context.CancelFunc) {
			c, f := context.WithCancelCause(ctx)
			return c, func() { f(nil) }
		},
		"timed": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, time.Hour)
		},
		"behind values": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithCancel(context.WithValue(ctx, &ctx, 1))
		},
		"the probe's": func(ctx context.Context) (context.Context, context.CancelFunc) { return ctx, func() {} },
	}
	for name, derived := range derive {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T) {
				b := halfOpen(t, short)
				inner := solo(t, breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 1}))
				err := b.Run(t.Context(), func(ctx context.Context) error {
					ctx, cancel := derived(ctx)
					defer cancel()
					err := inner.Run(ctx, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
					if cause := context.Cause(ctx); !errors.Is(cause, context.DeadlineExceeded) {
						t.Errorf("the cause is %v", cause)
					}
					return err
				})
				if err != context.DeadlineExceeded { //nolint:errorlint // the very value, as of any context
					t.Errorf("the call got %v", err)
				}
				synctest.Wait() // the probe is settled by its timer
				wantState(t, b, breaker.Open)
				wantState(t, inner, breaker.Open)
			})
		})
	}
}

func TestACallersEndReachesWhateverWaitsUnderASettledProbe(t *testing.T) {
	for name, newCaller := range map[string]func(context.Context) (context.Context, func()){
		"a usual context": func(ctx context.Context) (context.Context, func()) { c, f := context.WithCancel(ctx); return c, f },
		"a foreign one":   func(ctx context.Context) (context.Context, func()) { c := newForeign(ctx); return c, c.cancel },
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T) {
				caller, leave := newCaller(t.Context())
				b := halfOpen(t, short)
				var told atomic.Int64
				told.Store(-5)
				var ctx context.Context
				var ends []context.CancelFunc
				err := b.Run(caller, func(under context.Context) error {
					ctx = under
					direct, end := context.WithCancel(ctx)
					behind, endBehind := context.WithTimeout(context.WithValue(ctx, &ctx, 1), 48*time.Hour)
					ends = append(ends, end, endBehind) // they live on, as a body's do
					for _, done := range []<-chan struct{}{ctx.Done(), direct.Done(), behind.Done()} {
						go func() { <-done; told.Add(1) }()
					}
					context.AfterFunc(ctx, func() { told.Add(1) })
					context.AfterFunc(direct, func() { told.Add(1) })
					return nil
				})
				defer func() {
					for _, end := range ends {
						end()
					}
				}()
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Hour) // past the lease
				if ctx.Err() != nil || told.Load() != -5 {
					t.Fatalf("%d of 5 ended with the lease of a settled probe: %v", told.Load()+5, ctx.Err())
				}
				go func() { <-ctx.Done(); told.Add(1) }() // whoever comes later
				context.AfterFunc(ctx, func() { told.Add(1) })
				child, cancel := context.WithCancel(ctx)
				defer cancel()
				leave()
				synctest.Wait()
				if told.Load() != 2 || !errors.Is(ctx.Err(), context.Canceled) || !errors.Is(child.Err(), context.Canceled) {
					t.Errorf("%d of 7 were told; %v, %v", told.Load()+5, ctx.Err(), child.Err())
				}
			})
		})
	}
}

func TestACallersCauseIsAProbesToo(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		caller, leave := context.WithCancelCause(t.Context())
		b := halfOpen(t, short)
		_ = b.Run(caller, func(ctx context.Context) error {
			child, cancel := context.WithCancel(ctx)
			defer cancel()
			leave(errTier)
			<-child.Done()
			for _, c := range []context.Context{ctx, child} {
				if !errors.Is(c.Err(), context.Canceled) || !errors.Is(context.Cause(c), errTier) {
					t.Errorf("%v because of %v; want Canceled because of the caller's cause", c.Err(), context.Cause(c))
				}
			}
			return ctx.Err()
		})
		wantState(t, b, breaker.HalfOpen) // Ignored
	})
}

func TestAProbesContextIsSafeToUseAtOnce(t *testing.T) {
	for range 50 {
		b := solo(t, breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 1, OpenFor: time.Millisecond, ProbeSuccesses: 1}))
		_ = b.Run(t.Context(), fail)
		caller, leave := context.WithCancel(t.Context())
		var p breaker.Permit
		for {
			var err error
			if p, err = b.Acquire(caller); err == nil && p.Probe() {
				break
			}
			runtime.Gosched()
		}
		ctx := p.Context()
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				child, cancel := context.WithCancel(ctx)
				stop := context.AfterFunc(ctx, func() {})
				_, _ = child.Err(), ctx.Err()
				stop()
				cancel()
				<-ctx.Done()
			})
		}
		wg.Go(func() { p.Done(nil) })
		wg.Go(leave)
		wg.Wait()
		if ctx.Err() == nil {
			t.Fatal("the caller has left, and the context lives on")
		}
	}
}
