package machine

import "github.com/commontrip/commontrip/store"

// change says why something happens.
type change struct {
	reason     store.Reason
	cause, why string
	action     store.Action
	witnesses  []string
}

// turn begins a new generation. Live leases stay: their calls still run.
func (m *Machine) turn(s script, to store.State, c change) {
	e := m.draft(s, c)
	m.openings = m.backoff(s.at)
	m.generation, m.state, m.since, m.until = next(m.generation, s.at), to, s.at, 0
	m.empty()
	m.record(e, false)
	m.history.reason, m.history.cause = c.reason, c.cause
}

// open turns to open for its period, a step of the backoff later each time.
func (m *Machine) open(s script, c change) {
	period := m.period(m.backoff(s.at))
	m.turn(s, store.Open, c)
	m.until = s.at + period
	m.openings = min(m.openings+1, store.MaxOpening)
}

// period is how long the opening after so many lasts.
func (m *Machine) period(openings int32) int64 {
	p := m.policy()
	return min(int64(p.openFor)<<min(openings, 20), int64(p.openForMax))
}

// backoff is openings as it reads at a time: a close that lasted OpenFor has forgotten it.
func (m *Machine) backoff(at int64) int32 {
	if m.state == store.Closed && at-m.since >= int64(m.policy().openFor) {
		return 0
	}
	return m.openings
}

// empty forgets what belongs to a generation: window, labels, and what its probes decided.
func (m *Machine) empty() {
	m.window, m.labels = nil, nil
	if m.probes != nil {
		m.probes.successes, m.probes.failed = 0, nil
	}
}
