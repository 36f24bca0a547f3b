package machine

import (
	"github.com/commontrip/commontrip/internal/limits"
	"github.com/commontrip/commontrip/store"
)

// Command carries out an operator's command. c must have been normalised. It gives ErrUnknown for a name that is not shown,
// and ErrInvalid for a Known as Report does. Nothing has changed then.
func (m *Machine) Command(now int64, c store.Command) (store.Result, error) {
	req := m.request(now, c.Name, c.By)
	if m.phase != shown {
		return store.Result{}, store.ErrUnknown
	}
	if err := m.checkKnown(req, &c.Known); err != nil {
		return store.Result{}, err
	}
	m.keep(req)
	m.repair(req, &c.Known)
	m.expire(req)
	why := change{reason: store.ByOperator, action: c.Action, cause: c.By, why: c.Why}
	switch c.Action {
	case store.ForceOpen:
		m.force(req, store.ForcedOpen, noteOf(req, &c), why)
	case store.ForceClosed:
		m.force(req, store.ForcedClosed, noteOf(req, &c), why)
	case store.Lift:
		if m.mode != store.Auto {
			m.lift(req, why)
		}
	case store.Trip:
		m.trip(req, millis(c.For), why)
	case store.Reset:
		m.reset(req, why)
	case store.Retune:
		m.retune(req, compilePolicy(&c.Policy), noteOf(req, &c), why)
	case store.Restore:
		if m.retuned() {
			m.restore(req, why)
		}
	}
	return m.result(req), nil
}

// force replaces a standing mode without ending it, and leaves the state below it.
func (m *Machine) force(req request, mode store.Mode, n note, why change) {
	e := m.beginEntry(req, why)
	m.mode, m.openOverrides().mode = mode, n
	if m.state == store.Closed {
		m.until = 0
	}
	m.rev = nextNumber(m.rev, req.at)
	m.appendEntry(e, false)
}

// trip opens as a rule would. While open it starts the period again, as long as the last one, and is not a step of the
// backoff. A period above 0 stands in for the policy's.
func (m *Machine) trip(req request, period int64, why change) {
	if m.state == store.Open {
		// mutant: trip
		length := m.openPeriod(max(m.openings-1, 0))
		m.transition(req, store.Open, why)
		m.until = req.at + length
	} else {
		m.open(req, why)
	}
	if period > 0 {
		m.until = req.at + period
	}
}

// reset closes, and forgets the openings in a row. Below a forced mode it notes that, so that m stays closed after it.
func (m *Machine) reset(req request, why change) {
	m.transition(req, store.Closed, why)
	m.openings = 0
	if m.mode != store.Auto {
		// mutant: reset-below
		m.until = limits.ResetBelow
	}
}

// retune puts an operator's policy in force.
func (m *Machine) retune(req request, policy compiledPolicy, n note, why change) {
	e := m.beginEntry(req, why)
	m.refit(func() {
		o := m.openOverrides()
		o.retuned, o.policy = policy, n
	})
	m.rev = nextNumber(m.rev, req.at)
	m.appendEntry(e, false)
}
