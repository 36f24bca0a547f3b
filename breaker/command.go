package breaker

import (
	"context"
	"errors"
	"fmt"

	"github.com/commontrip/commontrip/internal/guard"
	"github.com/commontrip/commontrip/store"
)

// Command carries out an operator's command for the whole fleet and returns once it is in force here; other replicas follow
// within moments. c.Name may be empty. The snapshot is the store's, just after it. An error that Is
// [store.ErrInvalid] or [store.ErrUnknown] changed nothing; after any other it is open whether the store carried it out.
func (b *Breaker) Command(ctx context.Context, c Command) (Snapshot, error) {
	if b == nil || ctx == nil {
		misused("Command", b == nil, ctx == nil, false)
	}
	if c.Name == "" {
		c.Name = b.name
	}
	if c.Name != b.name {
		return Snapshot{}, fmt.Errorf("%w: Command.Name is %q; want %q or nothing", store.ErrInvalid, c.Name, b.name)
	}
	if err := b.flushLocal(); err != nil {
		return Snapshot{}, err
	}
	snapshot, err := b.sendCommand(ctx, c, true)
	if errors.Is(err, store.ErrAhead) { // the command is not to suffer from what the store does not take
		snapshot, err = b.sendCommand(ctx, c, false)
	}
	if errors.Is(err, store.ErrUnknown) { // the store has not heard of it yet
		wait, cancel := context.WithTimeout(ctx, disownAfter+b.core.timing.StaleAfter)
		defer cancel()
		if b.sync(wait) == nil {
			snapshot, err = b.sendCommand(ctx, c, true)
		}
	}
	return snapshot, err
}

// sendCommand sends a command, with what this replica knows if it is asked to.
func (b *Breaker) sendCommand(ctx context.Context, c Command, known bool) (Snapshot, error) {
	r := b.newReply()
	if c.Known = (store.Known{}); known {
		c.Known = b.knows(r.sent)
	}
	result, err := b.core.store.Command(ctx, c)
	r.news, r.err = news{transition: result.Made, after: &result.Snapshot}, err
	err = b.check(&r)
	b.lane().exchanged(r.sent, err)
	if err != nil {
		return Snapshot{}, fmt.Errorf("breaker %q: %v: %w", b.name, c.Action, guard.WithCause(ctx, err))
	}
	b.takeNews(&r)
	b.requestGap()
	return result.Snapshot, nil
}

// Snapshot asks the store what it holds, and takes it over. It writes nothing, except that to a local store it first
// reports this breaker's own outcomes that wait. It is [store.ErrUnknown] if the store does not show the breaker.
func (b *Breaker) Snapshot(ctx context.Context) (Snapshot, error) {
	if b == nil || ctx == nil {
		misused("Snapshot", b == nil, ctx == nil, false)
	}
	if err := b.flushLocal(); err != nil {
		return Snapshot{}, err
	}
	snapshots, err := readAll(ctx, b.core.store, []*Breaker{b})
	switch {
	case err != nil:
		return Snapshot{}, fmt.Errorf("breaker %q: %w", b.name, err)
	case len(snapshots) == 0:
		return Snapshot{}, fmt.Errorf("%w: %q", store.ErrUnknown, b.name)
	}
	return snapshots[0], nil
}

// readAll reads these breakers, which have one store, and takes over what it says.
func readAll(ctx context.Context, s store.Store, breakers []*Breaker) ([]Snapshot, error) {
	if len(breakers) == 0 {
		return nil, nil
	}
	names := make([]string, len(breakers))
	byName := make(map[string]int, len(breakers))
	replies := make([]reply, len(breakers))
	for i, b := range breakers {
		names[i], byName[b.name] = b.name, i
		replies[i] = b.newReply()
	}
	sent := now()
	snapshots, err := s.Read(ctx, names...)
	failed := err
	if _, some := errors.AsType[*store.UnreadableError](err); some {
		failed = nil // the store answered; what is wrong is those breakers' own
	}
	lanes := map[*lane]bool{}
	for _, b := range breakers {
		if l := b.lane(); !lanes[l] {
			lanes[l] = true
			l.exchanged(sent, failed)
		}
	}
	if failed != nil {
		return nil, guard.WithCause(ctx, failed)
	}
	for i := range snapshots {
		if n, ok := byName[snapshots[i].Name]; ok {
			replies[n].news = news{after: &snapshots[i]}
			breakers[n].takeNews(&replies[n])
			breakers[n].requestGap()
		}
	}
	return snapshots, err
}

// Snapshots asks the store about all registered breakers, sorted by name; see [Breaker.Snapshot].
func (m *Manager) Snapshots(ctx context.Context) ([]Snapshot, error) {
	needContext(ctx, "Snapshots")
	breakers := m.all()
	for _, b := range breakers {
		if err := b.flushLocal(); err != nil {
			return nil, err
		}
	}
	return readAll(ctx, m.core.store, breakers)
}

// Command carries out an operator's command about any breaker of the store; see [Breaker.Command].
func (m *Manager) Command(ctx context.Context, c Command) (Snapshot, error) {
	needContext(ctx, "Command")
	if b, ok := m.Breaker(c.Name); ok {
		return b.Command(ctx, c)
	}
	result, err := m.core.store.Command(ctx, c)
	if err != nil {
		return Snapshot{}, fmt.Errorf("breaker %q: %v: %w", c.Name, c.Action, guard.WithCause(ctx, err))
	}
	return result.Snapshot, nil
}

// Reset closes a breaker for the whole fleet, with an empty window, in this replica's name.
func (m *Manager) Reset(ctx context.Context, name string) error {
	_, err := m.Command(ctx, Command{Name: name, Action: Reset, By: m.core.replica})
	return err
}

// ResetAll resets all registered breakers. It goes on after an error and joins them all.
func (m *Manager) ResetAll(ctx context.Context) error {
	needContext(ctx, "ResetAll")
	return forEach(m.Names(), func(name string) error { return m.Reset(ctx, name) })
}
