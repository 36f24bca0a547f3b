package replica

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/internal/lab/tier"
)

var errFailed = errors.New("the call fails as it was told")

// tally counts calls from many goroutines.
type tally struct {
	made, admitted, probes, failed, refused, broken, delayed atomic.Uint64
	most                                                     atomic.Int64 // ns
	lastError                                                atomic.Pointer[string]
}

func (t *tally) read() Calls {
	return Calls{
		Made: t.made.Load(), Admitted: t.admitted.Load(), Probes: t.probes.Load(), Failed: t.failed.Load(),
		Refused: t.refused.Load(), Broken: t.broken.Load(), Delayed: t.delayed.Load(), MostDelay: time.Duration(t.most.Load()),
		LastError: *cmp.Or(t.lastError.Load(), new(string)),
	}
}

// delay notes what one call took beside what it called.
func (t *tally) delay(d time.Duration) {
	if d > time.Millisecond {
		t.delayed.Add(1)
	}
	for most := t.most.Load(); int64(d) > most && !t.most.CompareAndSwap(most, int64(d)); most = t.most.Load() {
	}
}

// once makes one call, counted in each of the tallies.
func (r *member) once(ctx context.Context, fail bool, tallies ...*tally) {
	start := time.Now()
	permit, err := r.breaker.Acquire(ctx)
	took := time.Since(start)
	if err == nil {
		result := r.inside(&permit, fail)
		start = time.Now()
		probe := permit.Probe()
		permit.Done(result)
		took += time.Since(start)
		for _, t := range tallies {
			t.admitted.Add(1)
			if probe {
				t.probes.Add(1)
			}
			if result != nil {
				t.failed.Add(1)
			}
		}
	}
	for _, t := range tallies {
		t.made.Add(1)
		t.delay(took)
		switch {
		case errors.Is(err, breaker.ErrOpen):
			t.refused.Add(1)
		case err != nil:
			t.broken.Add(1)
			text := err.Error()
			t.lastError.Store(&text)
		}
	}
}

// inside is what a call calls.
func (r *member) inside(permit *breaker.Permit, fail bool) error {
	switch {
	case fail:
		return errFailed
	case r.tier == nil:
		return nil
	default:
		return r.tier(permit.Context(), tier.Caller{
			Replica: r.manager.Replica(), Generation: r.breaker.Status().Fleet.Generation, Probe: permit.Probe(),
		})
	}
}

func (r *member) call(ctx context.Context, q Request) Line {
	var here tally
	for range max(q.N, 1) {
		r.once(ctx, q.Fail, &here, &r.all)
	}
	calls := here.read()
	return Line{Calls: &calls}
}

// acquire keeps a permit. Its context is not the request's, which ends with its answer.
func (r *member) acquire(ctx context.Context) (Line, error) {
	permit, err := r.breaker.Acquire(context.WithoutCancel(ctx))
	var open *breaker.OpenError
	switch {
	case errors.As(err, &open):
		return Line{Permit: &Permit{Refusal: string(open.Refusal)}}, nil
	case err != nil:
		return Line{}, err
	}
	p := &permit
	r.mu.Lock()
	r.kept = append(r.kept, p)
	r.mu.Unlock()
	return Line{Permit: &Permit{Admitted: true, Probe: p.Probe()}}, nil
}

func (r *member) done(fail bool) (Line, error) {
	r.mu.Lock()
	if len(r.kept) == 0 {
		r.mu.Unlock()
		return Line{}, errors.New("no permit is kept")
	}
	p := r.kept[0]
	r.kept = r.kept[1:]
	r.mu.Unlock()
	answer := Permit{Admitted: true, Probe: p.Probe(), Over: p.Context().Err() != nil}
	if fail {
		p.Done(errFailed)
	} else {
		p.Done(nil)
	}
	return Line{Permit: &answer}, nil
}

// load is workers that call until they are stopped.
type load struct {
	tally

	stop context.CancelFunc
	done sync.WaitGroup
}

func (r *member) loading(q Request) (Line, error) {
	r.mu.Lock()
	l := r.load
	r.mu.Unlock()
	switch {
	case q.Do == Load && l != nil:
		return Line{}, errors.New("there is a load already")
	case q.Do == Load:
		l = r.start(q)
	case l == nil:
		return Line{}, errors.New("there is no load")
	case q.Do == Unload:
		r.unload()
	}
	calls := l.read()
	return Line{Calls: &calls}, nil
}

func (r *member) start(q Request) *load {
	ctx, stop := context.WithCancel(context.Background())
	l := &load{stop: stop}
	for range max(q.Workers, 1) {
		l.done.Go(func() { r.work(ctx, l, q) })
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.load = l
	return l
}

func (r *member) work(ctx context.Context, l *load, q Request) {
	for ctx.Err() == nil {
		r.once(context.WithoutCancel(ctx), q.FailShare > 0 && rand.Float64() < q.FailShare, &l.tally, &r.all)
		if q.Every > 0 {
			select {
			case <-time.After(q.Every/2 + rand.N(q.Every)):
			case <-ctx.Done():
			}
		}
	}
}

func (r *member) unload() {
	r.mu.Lock()
	l := r.load
	r.load = nil
	r.mu.Unlock()
	if l != nil {
		l.stop()
		l.done.Wait()
	}
}
