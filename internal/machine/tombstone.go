package machine

import "github.com/commontrip/commontrip/store"

// grave is the numbers of a tombstone that was made a machine again while hidden.
type grave struct{ generation, rev uint64 }

// Remove forgets a breaker, but for a tombstone: numbers that nothing at or below moves, for 24 h after the last request
// about it. It ends nothing that has ended, and does nothing to a name that is not shown.
func (m *Machine) Remove(now int64) {
	s := m.script(now, "", "")
	if m.phase != shown {
		return
	}
	*m = Machine{
		at: s.at, off: s.off, since: s.at, phase: removed,
		generation: next(m.generation, s.at), rev: next(m.rev, s.at),
	}
}

// tombstone is the answer to a request that a tombstone stores nothing of.
func (m *Machine) tombstone(s script, policy store.Policy) store.Snapshot {
	out := m.snapshot(s.moment, s.name)
	out.Policy = policy
	return out
}

// unhide makes a name visible again, at its first report with outcomes. A number that is still the tombstone's own grows,
// so that none of a machine is ever one of a tombstone.
func (m *Machine) unhide(s script) {
	if m.phase != hidden {
		return
	}
	if m.generation == m.grave.generation {
		m.generation, m.since = next(m.generation, s.at), s.at
	}
	if m.rev == m.grave.rev {
		m.rev = next(m.rev, s.at)
	}
	m.phase, m.grave = shown, nil
}

// forgotten: a tombstone is, 24 h after the last request about it. It stays until a request makes another machine of it,
// since the clock may yet step back.
func (m *Machine) forgotten(now int64) bool {
	return m.Removed() && m.moment(now).at-m.at >= day
}

// replace puts a machine in the place of a forgotten tombstone, unless the request that would have made it was refused.
func (m *Machine) replace(fresh *Machine) {
	if fresh.Absent() {
		m.written, m.made = 0, 0
		return
	}
	*m = *fresh
}

// Absent reports that no request has made anything here.
func (m *Machine) Absent() bool { return m.phase == absent }

// Removed reports that a tombstone stands here, one that a replica's knowledge filled included.
func (m *Machine) Removed() bool { return m.phase == removed || m.phase == hidden }

// Empty reports that nothing stands under the name at now: whoever keeps the machine may let go of it, if now is not
// going to step back.
func (m *Machine) Empty(now int64) bool { return m.phase == absent || m.forgotten(now) }
