package machine

// policy is what is in force: an operator's, else the fleet's.
func (m *Machine) policy() *terms {
	if m.orders != nil && m.orders.retuned.set() {
		return &m.orders.retuned
	}
	return &m.fleet
}

// announce makes another policy the fleet's, so that the last deploy wins.
func (m *Machine) announce(s script, policy terms) {
	if policy == m.fleet {
		return
	}
	m.refit(func() { m.fleet = policy })
	m.rev = next(m.rev, s.at)
	if m.roster != nil {
		m.roster.conflict = 0
	}
}

// refit makes a change of policy, and the window follow it: another length of a window of calls keeps the newest, any
// other change empties window and streak.
func (m *Machine) refit(change func()) {
	old := *m.policy()
	change()
	policy := m.policy()
	switch {
	case m.window == nil:
	case policy.windowTime != old.windowTime:
		m.window = nil
	case policy.windowCalls != old.windowCalls:
		m.window.calls.resize(int(policy.windowCalls))
	}
}
