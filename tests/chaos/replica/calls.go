package main

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/tests/chaos/replica/wire"
	"github.com/commontrip/commontrip/tests/chaos/tier"
)

var errFailed = errors.New("the call fails as it was told")

// tally counts calls from many goroutines.
type tally struct {
	made, admitted, probes, failed, refused, broken, delayed atomic.Uint64
	most                                                     atomic.Int64 // ns
	lastError                                                atomic.Pointer[string]
}

func (t *tally) read() wire.Calls {
	return wire.Calls{
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
func (r *replica) once(ctx context.Context, fail bool, tallies ...*tally) {
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
func (r *replica) inside(permit *breaker.Permit, fail bool) error {
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

func (r *replica) call(ctx context.Context, q wire.Request) wire.Line {
	var here tally
	for range max(q.N, 1) {
		r.once(ctx, q.Fail, &here, &r.all)
	}
	calls := here.read()
	return wire.Line{Calls: &calls}
}

// acquire keeps a permit. Its context is not the request's, which ends with its answer.
func (r *replica) acquire(ctx context.Context) wire.Line {
	permit, err := r.breaker.Acquire(context.WithoutCancel(ctx))
	var open *breaker.OpenError
	switch {
	case errors.As(err, &open):
		return wire.Line{Permit: &wire.Permit{Refusal: string(open.Refusal)}}
	case err != nil:
		return failed(err)
	}
	p := &permit
	r.mu.Lock()
	r.kept = append(r.kept, p)
	r.mu.Unlock()
	return wire.Line{Permit: &wire.Permit{Admitted: true, Probe: p.Probe()}}
}

func (r *replica) done(fail bool) wire.Line {
	r.mu.Lock()
	if len(r.kept) == 0 {
		r.mu.Unlock()
		return failed(errors.New("no permit is kept"))
	}
	p := r.kept[0]
	r.kept = r.kept[1:]
	r.mu.Unlock()
	answer := wire.Permit{Admitted: true, Probe: p.Probe(), Over: p.Context().Err() != nil}
	if fail {
		p.Done(errFailed)
	} else {
		p.Done(nil)
	}
	return wire.Line{Permit: &answer}
}

// load is workers that call until they are stopped.
type load struct {
	tally

	stop context.CancelFunc
	done sync.WaitGroup
}

func (r *replica) loading(q wire.Request) wire.Line {
	r.mu.Lock()
	l := r.load
	r.mu.Unlock()
	switch {
	case q.Do == wire.Load && l != nil:
		return failed(errors.New("there is a load already"))
	case q.Do == wire.Load:
		l = r.start(q)
	case l == nil:
		return failed(errors.New("there is no load"))
	case q.Do == wire.Unload:
		r.unload()
	}
	calls := l.read()
	return wire.Line{Calls: &calls}
}

func (r *replica) start(q wire.Request) *load {
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

func (r *replica) work(ctx context.Context, l *load, q wire.Request) {
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

func (r *replica) unload() {
	r.mu.Lock()
	l := r.load
	r.load = nil
	r.mu.Unlock()
	if l != nil {
		l.stop()
		l.done.Wait()
	}
}
