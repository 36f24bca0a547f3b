package breaker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/commontrip/commontrip/internal/guard"
	"github.com/commontrip/commontrip/store"
)

// Register makes the breaker of this name here, and announces its policy to the fleet: the replica that starts last wins.
// It returns once the fleet's verdict is known, or without it after [Timing].StartTimeout or with the end of ctx: then the
// breaker starts on its own verdict, which is no error. It is [ErrRegistered] to register a name twice, and [ErrClosed]
// after Close.
func (m *Manager) Register(ctx context.Context, name string, opts ...Option) (*Breaker, error) {
	needContext(ctx, "Register")
	return m.register(ctx, name, opts, false)
}

// GetOrRegister gives the registered breaker of this name, or registers it; opts count for the first call only.
func (m *Manager) GetOrRegister(ctx context.Context, name string, opts ...Option) (*Breaker, error) {
	needContext(ctx, "GetOrRegister")
	if b, ok := m.Breaker(name); ok {
		return m.joined(ctx, b)
	}
	return m.register(ctx, name, opts, true)
}

// joined gives the breaker once its registration is done.
func (m *Manager) joined(ctx context.Context, b *Breaker) (*Breaker, error) {
	m.mu.Lock()
	done, joining := m.joining[b]
	m.mu.Unlock()
	if !joining {
		return b, nil
	}
	select {
	case <-done:
		return b, nil
	case <-ctx.Done():
		return nil, guard.Ended(ctx)
	}
}

func (m *Manager) register(ctx context.Context, name string, opts []Option, get bool) (*Breaker, error) {
	if err := guard.Ended(ctx); err != nil {
		return nil, err
	}
	if err := store.ValidateName(name); err != nil {
		return nil, err
	}
	c, err := m.configure(opts)
	if err != nil {
		return nil, err
	}
	b, mine, err := m.insert(name, c)
	for errors.Is(err, errLeaving) {
		if err = m.left(ctx, name); err == nil {
			b, mine, err = m.insert(name, c)
		}
	}
	switch {
	case err != nil:
		return nil, err
	case !mine && get:
		return m.joined(ctx, b)
	case !mine:
		return nil, fmt.Errorf("%w: %q", ErrRegistered, name)
	}
	m.introduce(ctx, b)
	m.mu.Lock()
	defer m.mu.Unlock()
	close(m.joining[b])
	delete(m.joining, b)
	return b, nil
}

// errLeaving is for a name that is being unregistered.
var errLeaving = errors.New("breaker is being unregistered")

// left waits until a breaker of this name that is being unregistered is gone: the new one's reports go on with its numbers.
func (m *Manager) left(ctx context.Context, name string) error {
	m.mu.Lock()
	gone := m.leaving[name]
	m.mu.Unlock()
	if gone == nil {
		return nil
	}
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
		return guard.Ended(ctx)
	}
}

// configure gathers the options of one breaker. Breakers without options of their own share the Manager's.
func (m *Manager) configure(opts []Option) (*config, error) {
	if len(opts) == 0 {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.shared != nil {
			return m.shared, nil
		}
	}
	c := m.defaults
	c.listen = nil
	for _, opt := range opts {
		if opt != nil {
			opt.applyBreaker(&c)
		}
	}
	policy, err := inForce(c.policy, m.core.remote)
	if err != nil {
		return nil, err
	}
	c.policy = policy
	c.audience = &audience{m.core.replica, slices.Concat(m.defaults.audience.listeners, listen(c.listen))}
	if len(opts) == 0 {
		m.shared = &c
	}
	return &c, nil
}

// insert makes the breaker, unless there is one.
func (m *Manager) insert(name string, c *config) (b *Breaker, mine bool, err error) {
	number := m.core.store.Lane(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closing {
		return nil, false, ErrClosed
	}
	if m.leaving[name] != nil {
		return nil, false, errLeaving
	}
	if b := m.breakers[name]; b != nil {
		return b, false, nil
	}
	b = newBreaker(name, &m.core, c)
	record := &member{lane: m.reporter.lane(number), breaker: &b.coordinator}
	b.begin(record, m.firstSeq)
	record.lane.join(record)
	m.breakers[name] = b
	m.joining[b] = make(chan struct{})
	m.start() // under the lock, so that a Close sees either none of it or all
	return b, true, nil
}

// introduce reports to the store for the first time.
func (m *Manager) introduce(ctx context.Context, b *Breaker) {
	if !m.core.remote {
		_ = b.flush(true) // a store that is down is not an error: the local breaker rules
		return
	}
	if b.lane().isLost() { // and will be asked until it answers
		b.member.syncNow()
		return
	}
	timer := time.NewTimer(m.core.timing.StartTimeout)
	defer timer.Stop()
	for {
		select {
		case <-b.member.requestSync():
			if b.isSynced() || b.detached.Load() {
				return
			}
		case <-timer.C:
			b.lane().giveUp()
			return
		case <-ctx.Done():
			return
		case <-m.reporter.ctx.Done():
			return
		}
	}
}

// Unregister takes the breaker out of this Manager, after what it has to report was sent, or could not be in a short time.
// The fleet's state stays; see [store.Store].Remove. A caller that still holds the breaker has it on its own verdict. It is
// [store.ErrUnknown] for a name that is not registered.
func (m *Manager) Unregister(name string) error {
	gone := make(chan struct{})
	m.mu.Lock()
	b := m.breakers[name]
	if b == nil || m.leaving[name] != nil {
		m.mu.Unlock()
		return fmt.Errorf("%w: %q", store.ErrUnknown, name)
	}
	m.leaving[name] = gone
	m.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), m.core.timing.exchange())
	defer cancel()
	b.drain()
	err := b.sync(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.leaving, name)
	delete(m.breakers, name)
	close(gone)
	m.reporter.leave(b.member)
	seq, left := b.detach()
	m.firstSeq = max(m.firstSeq, seq)
	return notReported(left, err)
}

// start starts the Manager's goroutines, once.
func (m *Manager) start() {
	m.started.Do(func() {
		m.reporter.running.Add(2)
		go m.reporter.run()
		go m.watch()
	})
}
