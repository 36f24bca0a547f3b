package machine

// Remove forgets a breaker, but leaves a tombstone: numbers that nothing at or below moves, for 24 h after the last request
// about it. It ends nothing that has ended, and does nothing to a name that is not shown.
func (m *Machine) Remove(now int64) {
	req := m.request(now, "", "")
	if m.phase != shown {
		return
	}
	*m = Machine{
		at: req.at, off: req.off, since: req.at, phase: removed,
		// mutant: removed
		generation: nextNumber(m.generation, req.at), rev: nextNumber(m.rev, req.at),
	}
}
