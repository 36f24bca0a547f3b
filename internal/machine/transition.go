package machine

import (
	"github.com/commontrip/commontrip/internal/limits"
	"github.com/commontrip/commontrip/store"
)

// change says why something happens.
type change struct {
	reason     store.Reason
	cause, why string
	action     store.Action
	witnesses  []string
}

// refit carries out a change of the policy in force, and lets the window follow: another length of a window of calls
// keeps the newest; another kind of window or another time empties window and streak.
func (m *Machine) refit(change func()) {
	old := *m.policyInForce()
	change()
	policy := m.policyInForce()
	switch {
	case m.window == nil:
	case policy.windowTime != old.windowTime:
		m.emptyWindow()
	case policy.windowCalls != old.windowCalls:
		m.window.calls.resize(int(policy.windowCalls))
	}
}

// countedOpenings are the consecutive openings as they read at a time. They are forgotten once the breaker has been closed
// for OpenFor.
func (m *Machine) countedOpenings(at int64) int32 {
	// mutant: lasted
	if m.state == store.Closed && at-m.since >= int64(m.policyInForce().openFor) {
		return 0
	}
	return m.openings
}

// openPeriod is how long an opening lasts after n others.
func (m *Machine) openPeriod(n int32) int64 {
	p := m.policyInForce()
	// mutant: doubling
	return min(int64(p.openFor)<<min(n, limits.MaxDoublings), int64(p.openForMax))
}

// beginEntry begins an entry of the history with what it tells of the time just before it.
func (m *Machine) beginEntry(req request, c change) entry {
	return entry{at: req.at, Transition: store.Transition{
		// mutant: prev
		Name: req.name, From: m.state, Prev: m.generation, Action: c.action,
		Reason: c.reason, Cause: c.cause, Why: c.why,
		Window: m.tally(req.at), Errors: m.countLabels(), Witnesses: c.witnesses,
	}}
}

// appendEntry completes an entry and writes it to the history. An adoption is told to all, but was made by nobody.
func (m *Machine) appendEntry(e entry, adoption bool) {
	e.To, e.Mode, e.Generation, e.Rev = m.state, m.mode, m.generation, m.rev
	m.openHistory().add(e)
	m.written++
	if !adoption {
		m.made = m.written
	}
}

// beginGeneration sets the state, and forgets what belongs to one generation. Live leases stay, since their calls still
// run.
func (m *Machine) beginGeneration(req request, state store.State, reason store.Reason, cause string) {
	m.state, m.since, m.until = state, req.at, 0
	h := m.openHistory()
	h.reason, h.cause = reason, cause
	m.labels = nil
	if m.probes != nil {
		m.probes.successes, m.probes.failed = 0, nil
	}
	// mutant: window
	m.emptyWindow()
}

// transition moves the machine into a state as a new generation.
func (m *Machine) transition(req request, state store.State, c change) {
	e := m.beginEntry(req, c)
	m.openings = m.countedOpenings(req.at)
	m.generation = nextNumber(m.generation, req.at)
	m.beginGeneration(req, state, c.reason, c.cause)
	m.appendEntry(e, false)
}

// open opens for as long as the backoff says, and makes the next opening longer.
func (m *Machine) open(req request, c change) {
	period := m.openPeriod(m.countedOpenings(req.at))
	m.transition(req, store.Open, c)
	m.until = req.at + period
	m.openings = min(m.openings+1, store.MaxOpening)
}

// lift ends the forced mode that stands. What is open below it with time left stays open until that is over. Else forced open
// gives half-open, so that the calls do not all come back at once, unless a reset came after it. Forced closed gives closed.
func (m *Machine) lift(req request, c change) {
	state, until := store.Closed, int64(0)
	switch {
	// mutant: open-below
	case m.state == store.Open && req.at < m.until:
		state, until = store.Open, m.until
	// mutant: lift
	case m.mode == store.ForcedOpen && (m.state != store.Closed || m.until != limits.ResetBelow):
		state = store.HalfOpen
	}
	m.mode, m.overrides.mode = store.Auto, note{}
	m.dropOverrides()
	m.rev = nextNumber(m.rev, req.at)
	m.transition(req, state, c)
	m.until = until
}

// restore ends an operator's policy.
func (m *Machine) restore(req request, c change) {
	e := m.beginEntry(req, c)
	m.refit(func() { m.overrides.retuned, m.overrides.policy = compiledPolicy{}, note{} })
	m.dropOverrides()
	m.rev = nextNumber(m.rev, req.at)
	m.appendEntry(e, false)
}

// expire ends what has ended at the time of the request: leases, then a timed mode, then a timed policy. Their cause is the
// replica or operator whose request found it.
func (m *Machine) expire(req request) {
	m.probes.dropEnded(req.at)
	c := change{reason: store.ByTime, cause: req.from}
	if m.mode != store.Auto && m.overrides.mode.ended(req.at) {
		m.lift(req, c)
	}
	if m.retuned() && m.overrides.policy.ended(req.at) {
		m.restore(req, c)
	}
}
