package storetest

import (
	"context"

	"github.com/commontrip/commontrip/internal/machine"
	"github.com/commontrip/commontrip/store"
)

// model is the pure state machine with the verbs of a store: what the store under test is compared with. It is for one
// goroutine. The random part of a refused claim's wait is 0.
type model struct {
	clock    *clock
	machines map[string]*machine.Machine
}

func newModel(c *clock) *model { return &model{clock: c, machines: map[string]*machine.Machine{}} }

func (m *model) now() int64 { return m.clock.Now().UnixMilli() }

func (m *model) wipe() { clear(m.machines) }

func (m *model) at(name string) *machine.Machine {
	if m.machines[name] == nil {
		m.machines[name] = &machine.Machine{}
	}
	return m.machines[name]
}

func (m *model) Sync(_ context.Context, reports []store.Report) []store.Result {
	results := make([]store.Result, len(reports))
	for i, r := range reports {
		if r, err := r.Normalize(); err != nil {
			results[i].Err = err
		} else {
			results[i] = m.at(r.Name).Report(m.now(), r)
		}
	}
	return results
}

func (m *model) Claim(_ context.Context, c store.Claim) (store.Grant, error) {
	c, err := c.Normalize()
	if err != nil {
		return store.Grant{}, err
	}
	return m.at(c.Name).Claim(m.now(), c, 0)
}

func (m *model) Settle(_ context.Context, s store.Settlement) (store.Result, error) {
	s, err := s.Normalize()
	if err != nil {
		return store.Result{}, err
	}
	return m.at(s.Lease.Name).Settle(m.now(), s), nil
}

func (m *model) Command(_ context.Context, c store.Command) (store.Result, error) {
	c, err := c.Normalize()
	if err != nil {
		return store.Result{}, err
	}
	return m.at(c.Name).Command(m.now(), c)
}

func (m *model) Read(_ context.Context, names ...string) ([]store.Snapshot, error) {
	var all []store.Snapshot
	for _, name := range names {
		if s, ok := m.at(name).Snapshot(m.now(), name); ok {
			all = append(all, s)
		}
	}
	return all, nil
}

func (m *model) Versions(_ context.Context, names ...string) ([]store.Version, error) {
	var all []store.Version
	for _, name := range names {
		if v, ok := m.at(name).Version(m.now(), name); ok {
			all = append(all, v)
		}
	}
	return all, nil
}

func (m *model) Roster(_ context.Context, name string) ([]store.Replica, error) {
	return m.at(name).Roster(m.now()), nil
}

func (m *model) History(_ context.Context, name string, limit int) ([]store.Transition, error) {
	return m.at(name).History(m.now(), name, limit), nil
}

func (m *model) Remove(_ context.Context, name string) error {
	m.at(name).Remove(m.now())
	return nil
}
