package machine

import (
	"slices"
	"strings"

	"github.com/commontrip/commontrip/store"
)

const never = -2 // a slice that is neither this one nor the one before

// roster is who reports, sorted by name. A replica counts while its last report lies in this slice of time or the one
// before; an older one is as if absent, and swept when a slice begins.
type roster struct {
	replicas []replica
	slice    int64
	seen     lately // with any report
	active   lately // with a report that had outcomes and was no repeat
	conflict int64  // until when their policies are said to differ
}

type replica struct {
	name            string
	seq             uint64
	seen            int64 // its last report
	active          int64 // the slice of its last report with outcomes
	calls, failures uint64
	ownOpen         bool
	conflict        bool
}

// lately counts replicas in this slice, in the last, and in both.
type lately struct{ now, last, both int32 }

func (l *lately) roll(next bool) {
	if next {
		*l = lately{last: l.now}
	} else {
		*l = lately{}
	}
}

// came counts a replica's first report in a slice; before is the slice of the one before it.
func (l *lately) came(slice, before int64) {
	if before == slice {
		return
	}
	l.now++
	if before == slice-1 {
		l.both++
	}
}

func (r *roster) union(l lately, slice int64) int {
	switch slice {
	case r.slice:
		return int(l.now + l.last - l.both)
	case r.slice + 1:
		return int(l.now)
	default:
		return 0
	}
}

// counted and reporting are how many replicas reported lately, anything and outcomes.
func (r *roster) counted(slice int64) int {
	if r == nil {
		return 0
	}
	return r.union(r.seen, slice)
}

func (r *roster) reporting(slice int64) int {
	if r == nil {
		return 0
	}
	return r.union(r.active, slice)
}

func (r *roster) differs(at int64) bool { return r != nil && at < r.conflict }

func (r *roster) find(name string) (int, bool) {
	return slices.BinarySearchFunc(r.replicas, name, func(e replica, name string) int { return strings.Compare(e.name, name) })
}

// seq is the last sequence number of a replica, 0 where it is unknown.
func (r *roster) seq(slice int64, name string) uint64 {
	if r == nil {
		return 0
	}
	if i, ok := r.find(name); ok && r.replicas[i].counts(slice) {
		return r.replicas[i].seq
	}
	return 0
}

func (e *replica) counts(slice int64) bool { return e.seen/sliceFor >= slice-1 }

// touch enters a report of s.who. The pointer is good until the next touch.
func (r *roster) touch(s script, active bool) *replica {
	slice := s.slice()
	r.roll(slice)
	i, ok := r.find(s.who)
	if !ok {
		r.replicas = slices.Insert(r.replicas, i, replica{name: s.who, seen: never * sliceFor, active: never})
	}
	e := &r.replicas[i]
	r.seen.came(slice, e.seen/sliceFor)
	e.seen = s.at
	if active {
		r.active.came(slice, e.active)
		e.active = slice
	}
	return e
}

func (r *roster) roll(slice int64) {
	if slice == r.slice {
		return
	}
	next := slice == r.slice+1
	r.seen.roll(next)
	r.active.roll(next)
	r.slice = slice
	r.replicas = slices.DeleteFunc(r.replicas, func(e replica) bool { return !e.counts(slice) })
}

// Roster lists who reported lately, by name. A name that is not shown has none.
func (m *Machine) Roster(now int64) []store.Replica {
	if m.phase != shown || m.roster == nil {
		return nil
	}
	t := m.moment(now)
	var out []store.Replica
	for i := range m.roster.replicas {
		e := &m.roster.replicas[i]
		if !e.counts(t.slice()) {
			continue
		}
		out = append(out, store.Replica{
			Name: e.name, Seen: duration(t.at - e.seen), Calls: e.calls, Failures: e.failures,
			OwnOpen: e.ownOpen, Conflict: e.conflict,
		})
	}
	return out
}
