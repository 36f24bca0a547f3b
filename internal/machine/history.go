package machine

import (
	"slices"

	"github.com/commontrip/commontrip/internal/limits"
	"github.com/commontrip/commontrip/store"
)

// history is what happened: why the present generation began, and the newest entries.
type history struct {
	reason  store.Reason
	cause   string
	entries []entry // grows to limits.HistoryKept, then a ring
	oldest  int
	outage  *entry // the one since which the breaker was not closed, if the ring begins in the middle of that time
}

// entry is a transition whose At is in machine time.
type entry struct {
	store.Transition
	at int64
}

// openHistory is the history for another entry. It makes one if there is none.
func (m *Machine) openHistory() *history {
	if m.history == nil {
		m.history = &history{}
	}
	return m.history
}

// add writes an entry, over the oldest one if all are taken. What began an outage is kept as long as the outage lasts.
func (h *history) add(e entry) {
	if len(h.entries) < limits.HistoryKept {
		h.entries = append(h.entries, e)
		return
	}
	switch gone := h.entries[h.oldest]; {
	case gone.Effective() == store.Closed:
		h.outage = nil
	// mutant: outage
	case h.outage == nil:
		h.outage = &gone
	}
	h.entries[h.oldest] = e
	h.oldest = (h.oldest + 1) % limits.HistoryKept
}

// len is how many entries there are.
func (h *history) len() int {
	if h == nil {
		return 0
	}
	return len(h.entries)
}

// ago gives the nth newest entry, from 0, as t shows it.
func (h *history) ago(n int, t moment) store.Transition {
	return h.entries[(h.oldest+len(h.entries)-1-n)%len(h.entries)].shown(t)
}

// shown is an entry as t shows it. It shares no memory with the machine.
func (e *entry) shown(t moment) store.Transition {
	out := e.Transition
	out.At = t.date(e.at)
	out.Errors, out.Witnesses = slices.Clone(out.Errors), slices.Clone(out.Witnesses)
	return out
}

// Written gives the entries that the last request wrote to the history, in order: what a store pushes to its
// watchers, together with a snapshot taken just after the request. They are adoptions, transitions, commands and ends of
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

// History gives the newest entries, newest first; limit <= 0 is all that are kept: 50, and the one since which the breaker
// was not closed, if that is older. A name that is not shown has none.
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
		out = append(out, m.history.ago(i, t))
	}
	closed := func(e store.Transition) bool { return e.Effective() == store.Closed }
	if n > 0 && m.history.outage != nil && (limit <= 0 || limit > n) && !slices.ContainsFunc(out, closed) {
		out = append(out, m.history.outage.shown(t))
	}
	for i := range out {
		out[i].Name = name
	}
	return out
}
