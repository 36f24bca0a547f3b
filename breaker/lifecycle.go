package breaker

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"

	"github.com/commontrip/commontrip/internal/guard"
)

// Sync reports everything that waits, takes over everything that the store holds, and settles what probes are on their
// way, now. It is for tests and for the moment before a drain. It tries again until ctx ends, and for StaleAfter if
// ctx has no deadline.
func (m *Manager) Sync(ctx context.Context) error {
	needContext(ctx, "Sync")
	if m.reporter.stopped() {
		return ErrClosed
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, m.core.timing.StaleAfter)
		defer cancel()
	}
	err := forEach(m.all(), func(b *Breaker) error { return b.sync(ctx) }) // all at once, so that they share exchanges
	return errors.Join(err, m.core.settling.wait(ctx))
}

// forEach calls fn for all of them at once, and joins the errors in their order.
func forEach[T any](all []T, fn func(T) error) error {
	errs := make([]error, len(all))
	var calls sync.WaitGroup
	for i, one := range all {
		calls.Go(func() { errs[i] = fn(one) })
	}
	calls.Wait()
	return errors.Join(errs...)
}

// Close reports what waits, lets the listeners hear everything, and stops, by the end of ctx, or within twice StaleAfter
// if ctx has no deadline. The breakers live on with their own verdict, those on a local store with that. It is
// idempotent; concurrent calls wait for the first. The error says what could not be done.
func (m *Manager) Close(ctx context.Context) error {
	needContext(ctx, "Close")
	m.mu.Lock()
	first := !m.closing
	m.closing = true
	m.mu.Unlock()
	if !first {
		select {
		case <-m.closed:
			return m.closeErr
		case <-ctx.Done():
			return guard.Ended(ctx)
		}
	}
	m.closeErr = m.shut(ctx)
	close(m.closed)
	return m.closeErr
}

func (m *Manager) shut(ctx context.Context) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, 2*m.core.timing.StaleAfter)
		defer cancel()
	}
	if m.core.remote {
		for _, b := range m.all() {
			b.drain()
		}
	}
	// mutant: close
	why := m.Sync(ctx)
	m.reporter.stop()
	left := 0
	for _, b := range m.all() {
		if m.core.remote {
			_, n := b.detach()
			left += n
		}
	}
	err := notReported(left, why)
	for _, l := range m.reporter.laneList() {
		l.close()
	}
	return errors.Join(err, m.await(ctx), m.drainListeners(ctx))
}

// await waits for the Manager's goroutines.
func (m *Manager) await(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		m.reporter.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the store has not come back from a request: %w", guard.Ended(ctx))
	}
}

// drainListeners waits until the listeners have heard everything. A listener that closes the Manager itself is not waited
// for, nor are the others.
func (m *Manager) drainListeners(ctx context.Context) error {
	if inListener() {
		return nil
	}
	listeners := map[*listener]bool{}
	for _, l := range m.defaults.audience.listeners {
		listeners[l] = true
	}
	for _, b := range m.all() {
		for _, l := range b.config.audience.listeners {
			listeners[l] = true
		}
	}
	var errs []error
	for l := range listeners {
		errs = append(errs, l.drain(ctx))
	}
	return errors.Join(errs...)
}

// inListener reports that this goroutine is a listener's.
func inListener() bool {
	callers := make([]uintptr, 64)
	frames := runtime.CallersFrames(callers[:runtime.Callers(2, callers)])
	for {
		frame, more := frames.Next()
		if strings.HasSuffix(frame.Function, "breaker.(*listener).call") {
			return true
		}
		if !more {
			return false
		}
	}
}

var errTooOld = errors.New("they had waited for too long")

// notReported is the error of outcomes that were left.
func notReported(left int, why error) error {
	switch {
	case left == 0:
		return nil
	case why == nil:
		why = errTooOld
	}
	return fmt.Errorf("%d outcomes were not reported: %w", left, why)
}

// sync reports what waits and takes over the fleet state: at least one exchange from now on, and as many as it takes until
// one is answered, ctx ends, or the Manager stops.
func (c *coordinator) sync(ctx context.Context) error {
	if c.detached.Load() {
		return ErrClosed
	}
	if !c.core.remote {
		return c.flush(true)
	}
	c.mu.Lock()
	c.rooms.collect(c.rooms.epoch, now())
	before := c.rooms.outbox.entered()
	c.mu.Unlock()
	var why error
	for {
		select {
		case <-c.member.requestSync():
		case <-c.core.ctx.Done():
			return ErrClosed
		case <-ctx.Done():
			return fmt.Errorf("breaker %q: %w", c.name, errors.Join(guard.Ended(ctx), why))
		}
		if c.detached.Load() {
			return ErrClosed
		}
		switch failing := c.isFailing(); {
		case failing && ctx.Err() == nil:
			why = c.lane().reason()
		case !failing && c.isReported(before):
			return nil
		}
	}
}

func (c *coordinator) isFailing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rooms.liveness.failing()
}

// isSynced reports that a store has answered this breaker.
func (c *coordinator) isSynced() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rooms.fleet.synced()
}

// drain closes the outbox, so that what it holds is all there is to report, whatever calls go on.
func (c *coordinator) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rooms.collect(c.rooms.epoch, now())
	c.rooms.outbox.close()
}

// detach leaves the breaker to its local verdict. It gives the last number of a report, and how many outcomes were not
// reported, those included that have become too old since drain.
func (c *coordinator) detach() (seq uint64, left int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rooms.collect(c.rooms.epoch, now())
	left = c.rooms.outbox.abandon()
	c.detached.Store(true)
	c.rooms.asleep = false
	c.rooms.update(change{newEpoch: true})
	return c.rooms.outbox.seq, left
}
