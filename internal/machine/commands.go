package machine

import "github.com/commontrip/commontrip/store"

// orders are what operators left standing: a forced mode, a retuned policy.
type orders struct {
	mode, policy note
	retuned      terms // not set: none
}

type note struct {
	by, why string
	at      int64
	timed   bool
	ends    int64
}

func (m *Machine) standing() *orders {
	if m.orders == nil {
		m.orders = &orders{}
	}
	return m.orders
}

// Command carries out an operator's word. c must have been normalised. ErrUnknown for a name that is not shown: then
// nothing has changed.
func (m *Machine) Command(now int64, c store.Command) (store.Result, error) {
	s := m.script(now, c.Name, c.By)
	if m.phase != shown {
		return store.Result{}, store.ErrUnknown
	}
	m.keep(s)
	m.expire(s)
	why := change{reason: store.ByOperator, action: c.Action, cause: c.By, why: c.Why}
	switch c.Action {
	case store.ForceOpen:
		m.force(s, store.ForcedOpen, noteOf(s, &c), why)
	case store.ForceClosed:
		m.force(s, store.ForcedClosed, noteOf(s, &c), why)
	case store.Lift:
		if m.mode != store.Auto {
			m.lift(s, why)
		}
	case store.Trip:
		m.tripNow(s, millis(c.For), why)
	case store.Reset:
		m.turn(s, store.Closed, why)
		m.openings = 0
	case store.Retune:
		m.retune(s, termsOf(&c.Policy), noteOf(s, &c), why)
	case store.Restore:
		if m.retuned() {
			m.restore(s, why)
		}
	}
	return m.result(s), nil
}

// expire ends what has ended at now: leases, then a timed mode, then a timed policy.
func (m *Machine) expire(s script) {
	m.probes.expire(s.at)
	why := change{reason: store.ByTime, cause: s.who}
	if m.mode != store.Auto && m.orders.mode.over(s.at) {
		m.lift(s, why)
	}
	if m.retuned() && m.orders.policy.over(s.at) {
		m.restore(s, why)
	}
}

// force replaces a standing mode without ending it, and leaves the state below it.
func (m *Machine) force(s script, mode store.Mode, n note, why change) {
	e := m.draft(s, why)
	m.mode, m.standing().mode = mode, n
	m.rev = next(m.rev, s.at)
	m.record(e, false)
}

// lift ends a forced mode: a forced open in half-open, so that no herd comes back, a forced closed in closed.
func (m *Machine) lift(s script, why change) {
	to := store.Closed
	if m.mode == store.ForcedOpen {
		to = store.HalfOpen
	}
	m.mode, m.orders.mode = store.Auto, note{}
	m.tidy()
	m.rev = next(m.rev, s.at)
	m.turn(s, to, why)
}

func (m *Machine) retune(s script, policy terms, n note, why change) {
	e := m.draft(s, why)
	m.refit(func() {
		o := m.standing()
		o.retuned, o.policy = policy, n
	})
	m.rev = next(m.rev, s.at)
	m.record(e, false)
}

// restore ends a retuned policy.
func (m *Machine) restore(s script, why change) {
	e := m.draft(s, why)
	m.refit(func() { m.orders.retuned, m.orders.policy = terms{}, note{} })
	m.tidy()
	m.rev = next(m.rev, s.at)
	m.record(e, false)
}

// tripNow opens as a rule would. While open it starts the period anew, with no step of the backoff.
func (m *Machine) tripNow(s script, period int64, why change) {
	if m.state == store.Open {
		length := m.period(max(m.openings-1, 0))
		m.turn(s, store.Open, why)
		m.until = s.at + length
	} else {
		m.open(s, why)
	}
	if period > 0 {
		m.until = s.at + period
	}
}

func (m *Machine) retuned() bool { return m.orders != nil && m.orders.retuned.set() }

// tidy lets go of orders where none stands.
func (m *Machine) tidy() {
	if m.mode == store.Auto && !m.orders.retuned.set() {
		m.orders = nil
	}
}

func noteOf(s script, c *store.Command) note {
	return note{by: c.By, why: c.Why, at: s.at, timed: c.For > 0, ends: s.at + millis(c.For)}
}

func (n *note) over(at int64) bool { return n.timed && at >= n.ends }
