package machine

import (
	"github.com/commontrip/commontrip/internal/limits"
	"github.com/commontrip/commontrip/store"
)

// tombstone is the numbers of a tombstone that was made a machine again while hidden.
type tombstone struct{ generation, rev uint64 }

// begin makes a machine of a name that has none, or of a tombstone, which stays hidden. The first policy is the request's.
func (m *Machine) begin(req request, policy compiledPolicy) {
	m.keep(req)
	switch m.phase {
	case absent:
		m.phase, m.since = shown, req.at
	case removed:
		m.phase, m.tombstone = hidden, &tombstone{m.generation, m.rev}
	}
	if !m.fleet.set() {
		m.fleet = policy
	}
}

// unhide makes a name visible again, at its first report with outcomes. A number that is still the tombstone's own grows,
// so that no number of a machine is ever one of a tombstone.
func (m *Machine) unhide(req request) {
	if m.phase != hidden {
		return
	}
	if m.generation == m.tombstone.generation {
		m.generation, m.since = nextNumber(m.generation, req.at), req.at
	}
	if m.rev == m.tombstone.rev {
		m.rev = nextNumber(m.rev, req.at)
	}
	m.phase, m.tombstone = shown, nil
}

// tombstoneSnapshot is the answer to a request of which a tombstone stores nothing.
func (m *Machine) tombstoneSnapshot(req request, policy store.Policy) store.Snapshot {
	out := m.snapshot(req.moment, req.name)
	out.Policy = policy
	return out
}

// forgotten reports a tombstone whose day is over: 24 h since the last request about it. It stays until a request makes
// another machine of it, since the clock may yet step back.
func (m *Machine) forgotten(now int64) bool {
	return m.Removed() && m.moment(now).at-m.at >= limits.Day
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

// Empty reports that nothing stands under the name at now: the store that keeps the machine may let go of it, if now is not
// going to step back.
func (m *Machine) Empty(now int64) bool { return m.phase == absent || m.forgotten(now) }
