package machine

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/commontrip/commontrip/internal/limits"
	"github.com/commontrip/commontrip/store"
)

// A saved machine is one byte, the schema, and then fields. A field is its number, the length of its value, and the value.
// Fields stand in the order of their numbers, and one that is zero is left out. A reader passes over the numbers that it
// does not know. It keeps those of the machine itself, so that an older release does not lose what a newer one saved.
//
// A change that older code may ignore is another field, with a number above all others. A change that older code would
// misread raises the schema. Older code then refuses the whole machine.
const codecSchema = 1

// errSaved: the bytes are not a saved machine.
var errSaved = errors.New("not a saved machine")

// NewerError is what Load says of a machine that a newer release has saved.
type NewerError struct{ Schema int }

func (e *NewerError) Error() string {
	return fmt.Sprintf("it was saved in schema %d; this release reads schemas up to %d", e.Schema, codecSchema)
}

// Save appends the machine to buf. What the last request wrote to the history is not marked any more after a Load.
func (m *Machine) Save(buf []byte) []byte {
	c := &coder{out: append(buf, codecSchema)}
	c.machine(m)
	return append(c.out, m.unknown...)
}

// Load makes m, which must be the zero value, what was saved of the breaker with that name. After an error m is of no use.
func (m *Machine) Load(name string, data []byte) error {
	if len(data) == 0 || data[0] == 0 {
		return errSaved
	}
	if data[0] > codecSchema {
		return &NewerError{int(data[0])}
	}
	c := &coder{reading: true, in: data[1:], name: name}
	c.machine(m)
	c.end()
	m.unknown = string(c.unknown)
	if c.failed || !m.sound() {
		return errSaved
	}
	return nil
}

// Lifetime is how long, in ms, a store keeps the machine without a request, as the scripts in Lua do; 0 is for ever. It is a
// day, or ten times the longest period if that is more, and less for a breaker to which nothing ever happened. An hour is on
// top of it, and 10 minutes for the latter, within which a store need not note it again.
func (m *Machine) Lifetime() int64 {
	if m.phase == absent || m.phase == removed {
		return 2 * limits.Day
	}
	p := m.policyInForce()
	longest := max(int64(max(p.openForMax, p.probeLease, p.windowTime, p.consecutiveFor)), m.until-m.at)
	for _, n := range m.standing() {
		if !n.timed {
			return 0
		}
		longest = max(longest, n.ends-m.at)
	}
	if m.generation == 0 && m.rev == 0 {
		return max(10*longest, limits.QuietKept) + limits.QuietSet
	}
	day := int64(limits.Day)
	if m.phase == hidden {
		day *= 2
	}
	return max(10*longest, day) + limits.Hour
}

// standing are the notes of the commands that stand.
func (m *Machine) standing() (notes []*note) {
	if m.mode != store.Auto {
		notes = append(notes, &m.overrides.mode)
	}
	if m.retuned() {
		notes = append(notes, &m.overrides.policy)
	}
	return notes
}

// sound reports that the parts of a machine that was read fit together, so that no request to it can panic.
func (m *Machine) sound() bool {
	p := m.policyInForce()
	switch {
	case m.phase > hidden, m.state > store.HalfOpen, m.mode > store.ForcedClosed, m.openings < 0:
		return false
	case m.phase == hidden && m.tombstone == nil, m.mode != store.Auto && m.overrides == nil:
		return false
	case (m.phase == shown || m.phase == hidden) && !m.fleet.set():
		return false
	case p.windowTime < 0 || p.windowTime > 0 && p.bucket() == 0 || p.windowCalls > limits.MaxWindowCalls:
		return false
	case p.openFor < 0 || p.openForMax < 0 || p.probeLease < 0:
		return false
	case m.labels != nil && !inRing(m.labels.oldest, len(m.labels.newest), limits.LabelsKept):
		return false
	case m.history != nil && !inRing(m.history.oldest, len(m.history.entries), limits.HistoryKept):
		return false
	case m.window != nil && !m.window.calls.sound(int(p.windowCalls)):
		return false
	}
	return true
}

// inRing reports that a ring with that many entries may have its oldest one there.
func inRing(oldest, entries, most int) bool {
	return entries <= most && (oldest == 0 || oldest > 0 && entries == most && oldest < most)
}

// sound reports that a ring that was read is one of that size.
func (r *ring) sound(size int) bool {
	return r.size == size && len(r.bits) == (size+3)/4 && r.next >= 0 && r.next < max(size, 1) &&
		r.sum.calls >= 0 && r.sum.calls <= int64(size)
}

// coder writes the fields of a value, or reads them. Each type says once which fields it has, for both.
type coder struct {
	reading bool
	failed  bool   // while reading: the bytes make no sense
	out     []byte // while writing
	in      []byte // while reading: what is left
	known   uint64 // while reading: the greatest number that was asked for
	unknown []byte // while reading: fields that only a newer release knows
	name    string // of the breaker, which entries of the history do not repeat
}

// head reads a field's number and finds its value, without taking it. ok is false at the end.
func (c *coder) head() (number uint64, value, rest []byte, ok bool) {
	if c.failed || len(c.in) == 0 {
		return 0, nil, nil, false
	}
	number, n := binary.Uvarint(c.in)
	if n > 0 {
		length, l := binary.Uvarint(c.in[n:])
		if from := n + l; l > 0 && length <= uint64(len(c.in)-from) {
			to := from + int(length)
			return number, c.in[from:to], c.in[to:], true
		}
	}
	c.failed = true
	return 0, nil, nil, false
}

// take gives the value of a field, if it is there. It passes over the fields before it.
func (c *coder) take(number uint64) (value []byte, ok bool) {
	c.known = number
	for {
		found, value, rest, ok := c.head()
		switch {
		case !ok || found > number:
			return nil, false
		case found == number:
			c.in = rest
			return value, true
		}
		c.in = rest
	}
}

// end passes over the fields that are left, and keeps those that only a newer release knows.
func (c *coder) end() {
	for {
		number, _, rest, ok := c.head()
		if !ok {
			return
		}
		if number > c.known {
			c.unknown = append(c.unknown, c.in[:len(c.in)-len(rest)]...)
		}
		c.in = rest
	}
}

// put writes a field.
func (c *coder) put(number uint64, value []byte) {
	c.out = binary.AppendUvarint(c.out, number)
	c.out = binary.AppendUvarint(c.out, uint64(len(value)))
	c.out = append(c.out, value...)
}

// number is a field with an integer. It must fit into 63 bits.
func number[T ~int | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint64](c *coder, field uint64, v *T) {
	if !c.reading {
		if *v != 0 {
			var buf [binary.MaxVarintLen64]byte
			c.put(field, buf[:binary.PutVarint(buf[:], int64(*v))])
		}
		return
	}
	if value, ok := c.take(field); ok {
		n, size := binary.Varint(value)
		*v = T(n)
		c.failed = c.failed || size != len(value) || int64(*v) != n
	}
}

// flag is a field with a truth value.
func (c *coder) flag(field uint64, v *bool) {
	var n uint8
	if *v {
		n = 1
	}
	number(c, field, &n)
	*v = n != 0
}

// text is a field with a text or with bytes.
func text[T ~string | ~[]byte](c *coder, field uint64, v *T) {
	if !c.reading {
		if len(*v) > 0 {
			c.put(field, []byte(*v))
		}
		return
	}
	if value, ok := c.take(field); ok {
		*v = T(append([]byte(nil), value...))
	}
}

// group is a field that has fields itself.
func (c *coder) group(field uint64, fields func(*coder)) {
	if !c.reading {
		inner := &coder{}
		if fields(inner); len(inner.out) > 0 {
			c.put(field, inner.out)
		}
		return
	}
	if value, ok := c.take(field); ok {
		c.inside(value, fields)
	}
}

// inside reads the fields of a field.
func (c *coder) inside(value []byte, fields func(*coder)) {
	inner := &coder{reading: true, in: value, name: c.name}
	fields(inner)
	inner.end()
	c.failed = c.failed || inner.failed
}

// part is a field for what stands behind a pointer, and is left out if that is nil.
func part[T any](c *coder, field uint64, v **T, fields func(*coder, *T)) {
	if !c.reading {
		if *v != nil {
			inner := &coder{}
			fields(inner, *v)
			c.put(field, inner.out)
		}
		return
	}
	if value, ok := c.take(field); ok {
		*v = new(T)
		c.inside(value, func(inner *coder) { fields(inner, *v) })
	}
}

// list is a field with a list, whose elements have fields.
func list[T any, L ~[]T](c *coder, field uint64, v *L, fields func(*coder, *T)) {
	if !c.reading {
		var elements []byte
		inner := &coder{}
		for i := range *v {
			inner.out = inner.out[:0]
			fields(inner, &(*v)[i])
			elements = append(binary.AppendUvarint(elements, uint64(len(inner.out))), inner.out...)
		}
		if len(elements) > 0 {
			c.put(field, elements)
		}
		return
	}
	value, _ := c.take(field)
	for len(value) > 0 && !c.failed {
		length, n := binary.Uvarint(value)
		if n <= 0 || length > uint64(len(value)-n) {
			c.failed = true
			return
		}
		var element T
		c.inside(value[n:n+int(length)], func(inner *coder) { fields(inner, &element) })
		*v, value = append(*v, element), value[n+int(length):]
	}
}

// texts is a field with a list of texts.
func (c *coder) texts(field uint64, v *[]string) {
	list(c, field, v, func(c *coder, s *string) { text(c, 1, s) })
}

func (c *coder) machine(m *Machine) {
	number(c, 1, &m.at)
	number(c, 2, &m.off)
	number(c, 3, &m.generation)
	number(c, 4, &m.rev)
	number(c, 5, &m.since)
	number(c, 6, &m.until)
	c.policy(7, &m.fleet)
	number(c, 8, &m.openings)
	number(c, 9, &m.phase)
	number(c, 10, &m.state)
	number(c, 11, &m.mode)
	part(c, 12, &m.totals, (*coder).totals)
	part(c, 13, &m.window, (*coder).window)
	part(c, 14, &m.labels, (*coder).labels)
	part(c, 15, &m.probes, (*coder).probes)
	part(c, 16, &m.overrides, (*coder).overrides)
	part(c, 17, &m.history, (*coder).history)
	part(c, 18, &m.tombstone, (*coder).tombstone)
	part(c, 19, &m.roster, (*coder).roster)
}

func (c *coder) policy(field uint64, p *compiledPolicy) {
	c.group(field, func(c *coder) { c.policyFields(p) })
}

func (c *coder) policyFields(p *compiledPolicy) {
	number(c, 1, &p.windowTime)
	number(c, 2, &p.consecutiveFor)
	number(c, 3, &p.slowCallAfter)
	number(c, 4, &p.openFor)
	number(c, 5, &p.openForMax)
	number(c, 6, &p.probeLease)
	number(c, 7, &p.rampUp)
	number(c, 8, &p.consecutiveFailures)
	number(c, 9, &p.minCalls)
	number(c, 10, &p.probeSuccesses)
	number(c, 11, &p.failureRate)
	number(c, 12, &p.slowCallRate)
	number(c, 13, &p.windowCalls)
	number(c, 14, &p.places)
	number(c, 15, &p.reporters)
	c.flag(16, &p.observe)
}

func (c *coder) totals(t *store.Totals) {
	number(c, 1, &t.Calls)
	number(c, 2, &t.Failures)
	number(c, 3, &t.Slow)
	number(c, 4, &t.Ignored)
	number(c, 5, &t.Late)
	number(c, 6, &t.Rejected)
}

func (c *coder) tally(field uint64, t *tally) {
	c.group(field, func(c *coder) {
		number(c, 1, &t.calls)
		number(c, 2, &t.failures)
		number(c, 3, &t.slow)
	})
}

func (c *coder) window(w *window) {
	text(c, 1, &w.calls.bits)
	number(c, 2, &w.calls.size)
	number(c, 3, &w.calls.next)
	c.tally(4, &w.calls.sum)
	part(c, 5, &w.times.slots, (*coder).buckets)
	number(c, 6, &w.arrivals)
	number(c, 7, &w.streak)
	number(c, 8, &w.streakFrom)
	list(c, 9, &w.failing, (*coder).witness)
	list(c, 10, &w.slow, (*coder).witness)
	list(c, 11, &w.streaks, (*coder).witness)
}

func (c *coder) buckets(b *[limits.Buckets]bucket) {
	for i := range b {
		c.group(uint64(i+1), func(c *coder) {
			number(c, 1, &b[i].index)
			c.tally(2, &b[i].tally)
		})
	}
}

func (c *coder) witness(w *witness) {
	text(c, 1, &w.replica)
	number(c, 2, &w.place.bucket)
	number(c, 3, &w.place.arrival)
}

func (c *coder) labels(l *labels) {
	c.texts(1, &l.newest)
	number(c, 2, &l.oldest)
}

func (c *coder) probes(p *probes) {
	number(c, 1, &p.granted)
	number(c, 2, &p.successes)
	list(c, 3, &p.leases, func(c *coder, l *lease) {
		text(c, 1, &l.id)
		text(c, 2, &l.claim)
		text(c, 3, &l.replica)
		number(c, 4, &l.generation)
		number(c, 5, &l.granted)
		number(c, 6, &l.end)
	})
	list(c, 4, &p.failed, func(c *coder, f *failedProbe) {
		text(c, 1, &f.replica)
		number(c, 2, &f.first)
		number(c, 3, &f.ban)
	})
}

func (c *coder) overrides(o *overrides) {
	c.note(1, &o.mode)
	c.note(2, &o.policy)
	c.policy(3, &o.retuned)
}

func (c *coder) note(field uint64, n *note) {
	c.group(field, func(c *coder) {
		text(c, 1, &n.by)
		text(c, 2, &n.why)
		number(c, 3, &n.at)
		c.flag(4, &n.timed)
		number(c, 5, &n.ends)
	})
}

func (c *coder) history(h *history) {
	text(c, 1, &h.reason)
	text(c, 2, &h.cause)
	number(c, 3, &h.oldest)
	list(c, 4, &h.entries, (*coder).entry)
	part(c, 5, &h.outage, (*coder).entry)
}

func (c *coder) entry(e *entry) {
	if c.reading {
		e.Name = c.name
	}
	number(c, 1, &e.at)
	number(c, 2, &e.From)
	number(c, 3, &e.To)
	number(c, 4, &e.Mode)
	number(c, 5, &e.Prev)
	number(c, 6, &e.Generation)
	number(c, 7, &e.Rev)
	number(c, 8, &e.Action)
	text(c, 9, &e.Reason)
	text(c, 10, &e.Cause)
	text(c, 11, &e.Why)
	c.group(12, func(c *coder) {
		number(c, 1, &e.Window.Calls)
		number(c, 2, &e.Window.Failures)
		number(c, 3, &e.Window.Slow)
		number(c, 4, &e.Window.Consecutive)
	})
	list(c, 13, &e.Errors, func(c *coder, count *store.ErrorCount) {
		text(c, 1, &count.Label)
		number(c, 2, &count.Count)
	})
	c.texts(14, &e.Witnesses)
}

func (c *coder) tombstone(t *tombstone) {
	number(c, 1, &t.generation)
	number(c, 2, &t.rev)
}

func (c *coder) roster(r *roster) {
	number(c, 1, &r.slice)
	c.arrivals(2, &r.seen)
	c.arrivals(3, &r.active)
	number(c, 4, &r.conflict)
	list(c, 5, &r.replicas, func(c *coder, e *replica) {
		text(c, 1, &e.name)
		number(c, 2, &e.seq)
		number(c, 3, &e.seen)
		number(c, 4, &e.active)
		number(c, 5, &e.calls)
		number(c, 6, &e.failures)
		c.flag(7, &e.ownOpen)
		c.flag(8, &e.conflict)
		part(c, 9, &e.policy, (*coder).policyFields)
	})
}

func (c *coder) arrivals(field uint64, a *arrivals) {
	c.group(field, func(c *coder) {
		number(c, 1, &a.now)
		number(c, 2, &a.last)
		number(c, 3, &a.both)
	})
}
