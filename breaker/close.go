package breaker

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Sync reports everything that waits, takes over everything that the store holds, and settles what probes are on their
// way, now. It is for tests and for the moment before a drain. It tries again until ctx ends, and for StaleAfter where
// ctx has no deadline.
func (m *Manager) Sync(ctx context.Context) error {
	needContext(ctx, "Sync")
	if m.stopped() {
		return ErrClosed
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, m.core.timing.StaleAfter)
		defer cancel()
	}
	breakers := m.all()
	if m.core.remote {
		for _, b := range breakers {
			b.lane.hurry(b) // all at once, so that they share exchanges
		}
	}
	var errs []error
	for _, b := range breakers {
		if err := b.handIn(ctx); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, m.core.settling.wait(ctx))...)
}

// handIn reports what waits and takes over the store's view: at least one exchange from now on.
func (b *Breaker) handIn(ctx context.Context) error {
	if b.alone.Load() {
		return ErrClosed
	}
	if !b.core.remote {
		return b.flush(true)
	}
	b.mu.Lock()
	b.drain(b.era, now())
	target := b.entered()
	b.mu.Unlock()
	var err error
	for {
		select {
		case <-b.lane.request(b):
		case <-b.lane.m.ctx.Done():
			return ErrClosed
		case <-ctx.Done():
			return fmt.Errorf("breaker %q: %w", b.name, errors.Join(ctx.Err(), err))
		}
		if b.alone.Load() {
			return ErrClosed
		}
		b.mu.Lock()
		failing := b.failing
		b.mu.Unlock()
		if !failing && b.settled(target) {
			return nil
		}
		if ctx.Err() == nil && failing {
			err = b.lane.reason()
		}
	}
}

// Close reports what waits, lets the listeners hear everything, and stops, by the end of ctx, or within twice StaleAfter
// where ctx has no deadline. The breakers live on with their own verdict, those on a local store with that. It is
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
			return ctx.Err()
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
			b.leave()
		}
	}
	why := m.Sync(ctx)
	m.stop()
	left := 0
	for _, b := range m.all() {
		if m.core.remote {
			_, n := b.detach()
			left += n
		}
	}
	err := notReported(left, why)
	for _, l := range m.laneList() {
		l.end()
	}
	return errors.Join(err, m.await(ctx), m.drainListeners(ctx))
}

// await waits for the Manager's goroutines.
func (m *Manager) await(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		m.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the store has not come back from a request: %w", ctx.Err())
	}
}

func (m *Manager) drainListeners(ctx context.Context) error {
	listeners := map[*listener]bool{}
	for _, l := range m.defaults.listeners {
		listeners[l] = true
	}
	for _, b := range m.all() {
		for _, l := range b.config.listeners {
			listeners[l] = true
		}
	}
	var errs []error
	for l := range listeners {
		errs = append(errs, l.drain(ctx))
	}
	return errors.Join(errs...)
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

// leave closes b's book, so that what it holds is everything there is to report, whatever calls go on.
func (b *Breaker) leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drain(b.era, now())
	b.leaving = true
	if b.book != nil {
		b.book.lostBefore = b.book.lost
	}
}

// detach leaves b on its own. It gives the last Seq used and how many outcomes were left, those included that have become
// too old since leave.
func (b *Breaker) detach() (seq uint64, left int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drain(b.era, now())
	left = b.pending()
	b.leaving = true
	b.alone.Store(true)
	if k := b.book; k != nil {
		k.lost += uint64(left)
		k.settled += uint64(left)
		left = int(k.lost - k.lostBefore)
		k.runs, k.frozen = nil, nil
	}
	b.asleep = false
	b.begin()
	b.restance()
	return b.seq, left
}

// pending is how many outcomes wait or are on their way, those not drained excepted. b.mu is held.
func (b *Breaker) pending() int {
	if b.book == nil {
		return 0
	}
	n := 0
	for _, r := range b.book.runs {
		n += r.count
	}
	if f := b.book.frozen; f != nil {
		n += int(f.outcomes())
	}
	return n
}

// reason is why the last exchange failed.
func (l *lane) reason() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.why
}

// end stops the lane's timer.
func (l *lane) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer != nil {
		l.timer.Stop()
	}
}

// ask makes an exchange of b's soon, since something timed has ended.
func (b *Breaker) ask() {
	switch {
	case b.alone.Load():
	case b.core.remote:
		b.lane.hurry(b)
	default:
		_ = b.flush(true)
	}
}

// sinceExchange is the time since the last exchange that was answered was sent.
func (m *Manager) sinceExchange(at instant) time.Duration {
	last := m.made
	if local := time.Duration(m.localAt.Load()); local != 0 {
		return max(at.up-local, 0)
	}
	for _, l := range m.laneList() {
		if _, fresh := l.isUp(); fresh.up > last.up {
			last = fresh
		}
	}
	return at.since(last)
}
