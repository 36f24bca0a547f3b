package breaker

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/commontrip/commontrip/store"
)

// Register makes the breaker of this name here, and announces its policy to the fleet: the replica that starts last wins.
// It returns once the fleet's verdict is known, or without it after [Timing].StartTimeout or with the end of ctx: then the
// breaker starts on its own verdict, which is no error. It is [ErrRegistered] to register a name twice, and [ErrClosed]
// after Close.
func (m *Manager) Register(ctx context.Context, name string, opts ...Option) (*Breaker, error) {
	if ctx == nil {
		panic("breaker: Register needs a context; it was given nil")
	}
	return m.register(ctx, name, opts, false)
}

// GetOrRegister gives the registered breaker of this name, or registers it; opts count for the first call only.
func (m *Manager) GetOrRegister(ctx context.Context, name string, opts ...Option) (*Breaker, error) {
	if ctx == nil {
		panic("breaker: GetOrRegister needs a context; it was given nil")
	}
	m.mu.Lock()
	r := m.breakers[name]
	m.mu.Unlock()
	if r != nil {
		return r.wait(ctx)
	}
	return m.register(ctx, name, opts, true)
}

// wait gives the breaker once it is ready.
func (r *registration) wait(ctx context.Context) (*Breaker, error) {
	select {
	case <-r.ready:
		return r.b, nil
	default:
	}
	select {
	case <-r.ready:
		return r.b, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (m *Manager) register(ctx context.Context, name string, opts []Option, get bool) (*Breaker, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := store.ValidateName(name); err != nil {
		return nil, err
	}
	c, listeners, err := m.configure(opts)
	if err != nil {
		return nil, err
	}
	r, mine, err := m.insert(name, c, listeners)
	switch {
	case err != nil:
		return nil, err
	case !mine && get:
		return r.wait(ctx)
	case !mine:
		return nil, fmt.Errorf("%w: %q", ErrRegistered, name)
	}
	defer close(r.ready)
	m.start()
	m.introduce(ctx, r.b)
	return r.b, nil
}

// configure gathers the options of one breaker. Breakers without options of their own share the Manager's.
func (m *Manager) configure(opts []Option) (*config, []*listener, error) {
	c := m.defaults
	c.listeners = nil
	for _, opt := range opts {
		if opt != nil {
			opt.applyBreaker(&c)
		}
	}
	policy, err := inForce(c.policy, m.core.remote)
	if err != nil {
		return nil, nil, err
	}
	c.policy = policy
	if len(opts) == 0 {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.shared == nil {
			m.shared = &c
		}
		return m.shared, m.listeners, nil
	}
	return &c, slices.Concat(m.listeners, listen(c.listeners)), nil
}

// insert makes the breaker, unless there is one.
func (m *Manager) insert(name string, c *config, listeners []*listener) (r *registration, mine bool, err error) {
	number := m.core.store.Lane(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closing {
		return nil, false, ErrClosed
	}
	if r := m.breakers[name]; r != nil {
		return r, false, nil
	}
	l := m.lanes[number]
	if l == nil {
		l = &lane{m: m}
		m.lanes[number] = l
		m.order = append(slices.Clip(m.order), l)
	}
	b := newBreaker(name, &m.core, l, c, listeners)
	b.seq = m.seqFloor
	l.join(b)
	r = &registration{b: b, ready: make(chan struct{})}
	m.breakers[name] = r
	return r, true, nil
}

// introduce reports to the store for the first time.
func (m *Manager) introduce(ctx context.Context, b *Breaker) {
	if !m.core.remote {
		_ = b.flush(true) // a store that is down is no error: the own verdict rules
		return
	}
	timer := time.NewTimer(m.core.timing.StartTimeout)
	defer timer.Stop()
	for {
		done := b.lane.request(b)
		select {
		case <-done:
			b.mu.Lock()
			heard := b.heard
			b.mu.Unlock()
			if heard {
				return
			}
		case <-timer.C:
			b.lane.giveUp()
			return
		case <-ctx.Done():
			return
		case <-m.ctx.Done():
			return
		}
	}
}

// Unregister takes the breaker out of this Manager, after what it has to report was sent, or could not be in a short time.
// The fleet's state stays; see [store.Store].Remove. Who still holds the breaker has it on its own verdict. It is
// [store.ErrUnknown] for a name that is not registered.
func (m *Manager) Unregister(name string) error {
	m.mu.Lock()
	r := m.breakers[name]
	m.mu.Unlock()
	if r == nil {
		return fmt.Errorf("%w: %q", store.ErrUnknown, name)
	}
	ctx, cancel := context.WithTimeout(context.Background(), m.core.timing.exchange())
	defer cancel()
	err := r.b.handIn(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.breakers[name] != r {
		return fmt.Errorf("%w: %q", store.ErrUnknown, name)
	}
	delete(m.breakers, name)
	r.b.lane.leave(r.b)
	seq, left := r.b.detach()
	m.seqFloor = max(m.seqFloor, seq)
	return notReported(left, err)
}
