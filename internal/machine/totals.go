package machine

import "github.com/commontrip/commontrip/store"

// count enters n outcomes into the totals, and calls and failures into what their replica reported. from is nil for a
// probe's outcome.
func (m *Machine) count(outcome store.Outcome, slow bool, n uint64, from *replica) {
	totals := m.counters()
	if outcome == store.Ignored && !slow {
		add(&totals.Ignored, n)
		return
	}
	failures := uint64(0)
	if outcome == store.Failure {
		failures = n
	}
	add(&totals.Calls, n)
	add(&totals.Failures, failures)
	if slow {
		add(&totals.Slow, n)
	}
	if from != nil {
		add(&from.calls, n)
		add(&from.failures, failures)
	}
}

// counters are the totals, made when there is something to count.
func (m *Machine) counters() *store.Totals {
	if m.totals == nil {
		m.totals = &store.Totals{}
	}
	return m.totals
}

// add counts up to what a double keeps exactly.
func add(counter *uint64, n uint64) { *counter = min(*counter+n, store.MaxNumber) }
