package machine

import "github.com/commontrip/commontrip/store"

// overrides are what operators left standing: a forced mode, a retuned policy.
type overrides struct {
	mode, policy note
	retuned      compiledPolicy // not set: none
}

// note is what an operator said to a command that stands.
type note struct {
	by, why string
	at      int64
	timed   bool
	ends    int64
}

// noteOf is the note of a command.
func noteOf(req request, c *store.Command) note {
	return note{by: c.By, why: c.Why, at: req.at, timed: c.For > 0, ends: req.at + millis(c.For)}
}

// ended reports that a command is over.
// mutant: timed
func (n *note) ended(at int64) bool { return n.timed && at >= n.ends }

// shown is a note as a snapshot shows it.
func (n *note) shown(t moment) store.Note {
	out := store.Note{By: n.by, Why: n.why, At: t.date(n.at), Timed: n.timed}
	if n.timed {
		out.EndsIn = t.left(n.ends)
	}
	return out
}

// openOverrides are the overrides for another command. It makes them if none stands.
func (m *Machine) openOverrides() *overrides {
	if m.overrides == nil {
		m.overrides = &overrides{}
	}
	return m.overrides
}

// dropOverrides lets go of overrides if none stands any more.
func (m *Machine) dropOverrides() {
	if m.mode == store.Auto && !m.overrides.retuned.set() {
		m.overrides = nil
	}
}

// retuned reports that an operator's policy stands.
func (m *Machine) retuned() bool { return m.overrides != nil && m.overrides.retuned.set() }
