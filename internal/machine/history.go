package machine

import (
	"slices"

	"github.com/commontrip/commontrip/store"
)

const kept = 50 // entries of the history

// history is what happened: why the present generation began, and the newest entries.
type history struct {
	reason  store.Reason
	cause   string
	entries []entry // grows to kept, then a ring
	oldest  int
}

// entry is a transition whose At is in machine time.
type entry struct {
	store.Transition
	at int64
}

// draft holds what an entry says of the time just before it.
func (m *Machine) draft(s script, c change) entry {
	return entry{at: s.at, Transition: store.Transition{
		Name: s.name, From: m.state, Prev: m.generation, Action: c.action,
		Reason: c.reason, Cause: c.cause, Why: c.why,
		Window: m.tally(s.at), Errors: m.labels.top(), Witnesses: c.witnesses,
	}}
}

// record completes a draft and writes it.
func (m *Machine) record(e entry, adoption bool) {
	e.To, e.Mode, e.Generation, e.Rev = m.state, m.mode, m.generation, m.rev
	if m.history == nil {
		m.history = &history{}
	}
	m.history.add(e)
	m.written++
	if !adoption {
		m.made = m.written
	}
}

func (h *history) add(e entry) {
	if len(h.entries) < kept {
		h.entries = append(h.entries, e)
		return
	}
	h.entries[h.oldest] = e
	h.oldest = (h.oldest + 1) % kept
}

func (h *history) len() int {
	if h == nil {
		return 0
	}
	return len(h.entries)
}

// ago gives the nth newest entry, from 0, as t shows it. It shares no memory with the machine.
func (h *history) ago(n int, t moment) store.Transition {
	e := &h.entries[(h.oldest+len(h.entries)-1-n)%len(h.entries)]
	out := e.Transition
	out.At = t.date(e.at)
	out.Errors, out.Witnesses = slices.Clone(out.Errors), slices.Clone(out.Witnesses)
	return out
}

// Written gives the entries that the last request wrote to the history, in order: what a store pushes to those who
// watch, together with a snapshot taken just after the request. They are adoptions, transitions, commands and ends of
// commands. A request that was refused wrote none.
func (m *Machine) Written() []store.Transition {
	if m.written == 0 {
		return nil
	}
	out := make([]store.Transition, 0, m.written)
	for n := int(m.written) - 1; n >= 0; n-- {
		out = append(out, m.history.ago(n, moment{m.at, m.off}))
	}
	return out
}

// lastMade is the last entry of this request that is its own doing.
func (m *Machine) lastMade() *store.Transition {
	if m.made == 0 {
		return nil
	}
	made := m.history.ago(int(m.written-m.made), moment{m.at, m.off})
	return &made
}

// History gives the newest entries, newest first; limit <= 0 is all that are kept, 50. A name that is not shown has
// none.
func (m *Machine) History(now int64, name string, limit int) []store.Transition {
	if m.phase != shown {
		return nil
	}
	n := m.history.len()
	if limit > 0 {
		n = min(n, limit)
	}
	t := m.moment(now)
	var out []store.Transition
	for i := range n {
		e := m.history.ago(i, t)
		e.Name = name
		out = append(out, e)
	}
	return out
}
