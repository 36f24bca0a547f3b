package machine

import "github.com/commontrip/commontrip/store"

// below reports whether k's numbers are above the machine's: then its store has lost what it had acknowledged.
func (m *Machine) below(k *store.Known) bool {
	return k.Rev > m.rev || k.Generation > m.generation
}

// repair takes over what a replica knows and the machine does not, each part by its own number. Equal numbers: the
// machine's word wins.
func (m *Machine) repair(s script, k *store.Known) {
	if k.Rev > m.rev {
		m.adoptRev(s, k)
	}
	if k.Generation > m.generation {
		m.adoptGeneration(s, k)
	}
}

func (m *Machine) adoptRev(s script, k *store.Known) {
	m.rev, m.mode = k.Rev, k.Mode
	m.refit(func() {
		m.orders = nil
		if k.Mode != store.Auto {
			m.standing().mode = knownNote(s, &k.ModeNote)
		}
		if k.Retuned {
			o := m.standing()
			o.retuned, o.policy = termsOf(&k.Policy), knownNote(s, &k.PolicyNote)
		}
	})
}

// adoptGeneration writes an entry that is no transition of this store's. A known half-open becomes open, as a new
// generation, for as long as a probe's lease: by then the leases that were lost have ended.
func (m *Machine) adoptGeneration(s script, k *store.Known) {
	e := m.draft(s, change{reason: store.ByRepair, cause: s.who})
	e.From = k.State
	m.generation, m.state, m.since, m.openings = k.Generation, k.State, s.at, int32(k.Openings)
	m.until = 0
	if k.State == store.Open {
		m.until = s.at + min(millis(k.RetryIn), int64(m.policy().openForMax))
	}
	m.empty()
	if m.probes != nil {
		m.probes.leases = nil
	}
	m.record(e, true)
	m.history.reason, m.history.cause = k.Reason, k.Cause
	if k.State == store.HalfOpen {
		lease := int64(m.policy().probeLease)
		m.turn(s, store.Open, change{reason: store.ByRepair, cause: s.who})
		m.until = s.at + lease
	}
}

func knownNote(s script, n *store.Note) note {
	return note{by: n.By, why: n.Why, at: n.At.UnixMilli() + s.off, timed: n.Timed, ends: s.at + millis(n.EndsIn)}
}
