package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/breaker"
)

// observed is what an observer was shown: with the value of caller in the context of each call.
type observed struct {
	mu   sync.Mutex
	seen []string
}

type caller struct{}

func (o *observed) note(ctx context.Context, format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen = append(o.seen, fmt.Sprintf("%v: ", ctx.Value(caller{}))+fmt.Sprintf(format, args...))
}

func (o *observed) taken() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	seen := o.seen
	o.seen = nil
	return seen
}

func (o *observed) option() breaker.Option {
	return breaker.WithObserver(breaker.Observer{
		Refused: func(ctx context.Context, e *breaker.OpenError) { o.note(ctx, "%s %s", e.Name, e.Refusal) },
		Probed: func(ctx context.Context, p breaker.Probe) {
			o.note(ctx, "%s probed: %s %t %q", p.Name, p.Outcome, p.Slow, p.Label)
		},
	})
}

// by is the context of a call, with the caller's name.
func by(t *testing.T, name string) context.Context {
	t.Helper()
	return context.WithValue(t.Context(), caller{}, name)
}

func TestAnObserverSeesRefusalsAndProbesWithTheirCallersContexts(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		var o observed
		b := solo(t, breaker.WithPolicy(short), o.option(), breaker.WithObserver(breaker.Observer{}))
		want := func(seen ...string) {
			t.Helper()
			if got := o.taken(); !slices.Equal(got, seen) {
				t.Errorf("seen %q; want %q", got, seen)
			}
		}
		_ = b.Run(by(t, "a"), succeed)
		times(3, func() { _ = b.Run(by(t, "b"), fail) })
		want()
		_ = b.Run(by(t, "run"), succeed)
		_, _ = breaker.Do(by(t, "do"), b, func(context.Context) (int, error) { return 1, nil })
		_, _ = b.Acquire(by(t, "acquire"))
		want("run: tier open", "do: tier open", "acquire: tier open")

		time.Sleep(short.OpenFor)
		p, err := b.Acquire(by(t, "probe"))
		if err != nil || !p.Probe() {
			t.Fatalf("it is no probe: %v", err)
		}
		_ = b.Run(by(t, "late"), succeed)
		want("late: tier probing")
		p.Done(errors.New("down"))
		want(`probe: tier probed: failure false "unnamed error"`)
	})
}

func TestAnObserverSeesAProbeWhoseLeaseEnds(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		var o observed
		b := halfOpen(t, short, o.option())
		_ = b.Run(by(t, "probe"), func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		synctest.Wait()
		if got := o.taken(); !slices.Equal(got, []string{`probe: tier probed: failure false "deadline"`}) {
			t.Errorf("seen %q", got)
		}
	})
}

func TestAnObserverSeesTheExchangesThatAreTimed(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		var mu sync.Mutex
		var took time.Duration
		var all uint64
		r := newFleet(t).replica(breaker.WithObserver(breaker.Observer{Exchanged: func(d time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			took += d
			all++
		}}))
		defer r.close()
		r.register(t, "tier")
		r.net.delay.Store(int64(4 * time.Millisecond))
		time.Sleep(5 * time.Second)
		st := r.Status()
		mu.Lock()
		defer mu.Unlock()
		if took != st.Latencies.Sum || all != st.Exchanges || took == 0 {
			t.Errorf("seen: %d exchanges in %v; the status says %d in %v", all, took, st.Exchanges, st.Latencies.Sum)
		}
	})
}
