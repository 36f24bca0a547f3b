package machine

import (
	"slices"
	"strings"

	"github.com/commontrip/commontrip/internal/limits"
	"github.com/commontrip/commontrip/store"
)

const never = -2 // a slice that is neither this one nor the one before

// roster are the replicas that report, sorted by name. A replica counts while its last report lies in this slice of time or the one
// before; an older one is as if absent, and removed when a slice begins.
type roster struct {
	replicas []replica
	slice    int64
	seen     arrivals // with any report
	active   arrivals // with a report that had outcomes and was no repeat
	conflict int64    // until when their policies are said to differ
}

// replica is an entry of the roster.
type replica struct {
	name            string
	seq             uint64
	seen            int64 // its last report
	active          int64 // the slice of its last report with outcomes
	calls, failures uint64
	policy          *compiledPolicy // of its last report, if it is not the fleet's and a release that tells it wrote it
	ownOpen         bool
	conflict        bool
}

// arrivals counts replicas in this slice, in the one before, and in both.
type arrivals struct{ now, last, both int32 }

// sliceOf is the slice of time in which the roster counts replicas.
func sliceOf(t int64) int64 { return t / limits.SliceFor }

// rollRoster gives the roster, moved on to the slice of the request. It makes one if there is none.
func (m *Machine) rollRoster(req request) *roster {
	if m.roster == nil {
		m.roster = &roster{}
	}
	r, slice := m.roster, sliceOf(req.at)
	if slice == r.slice {
		return r
	}
	if slice == r.slice+1 {
		r.seen, r.active = arrivals{last: r.seen.now}, arrivals{last: r.active.now}
	} else {
		r.seen, r.active = arrivals{}, arrivals{}
	}
	r.slice = slice
	r.replicas = slices.DeleteFunc(r.replicas, func(e replica) bool { return !e.counts(slice) })
	return r
}

// arrive counts a replica's first report in a slice. last is the slice of the report before it.
func (a *arrivals) arrive(slice, last int64) {
	a.now++
	if last == slice-1 {
		a.both++
	}
}

// touchReplica enters a report into the roster and gives the replica's entry, which is good until the next call. active:
// the report has outcomes. A repeat keeps seq.
func (m *Machine) touchReplica(req request, report *store.Report, policy compiledPolicy, again, active bool) *replica {
	r, slice := m.rollRoster(req), sliceOf(req.at)
	i, ok := r.find(req.from)
	if !ok {
		r.replicas = slices.Insert(r.replicas, i, replica{name: req.from, seen: never * limits.SliceFor, active: never})
	}
	e := &r.replicas[i]
	if last := sliceOf(e.seen); last != slice {
		r.seen.arrive(slice, last)
	}
	e.seen, e.ownOpen, e.conflict, e.policy = req.at, report.OwnOpen, policy != m.fleet, nil
	if e.conflict {
		r.conflict = req.at + limits.ConflictFor
		other := policy
		e.policy = &other
	}
	if !again {
		e.seq = report.Seq
	}
	if active && e.active != slice {
		r.active.arrive(slice, e.active)
		e.active = slice
	}
	return e
}

// union counts the replicas of this slice and the one before, as of a later slice, too.
func (r *roster) union(a arrivals, slice int64) int {
	switch slice {
	case r.slice:
		// mutant: union
		return int(a.now + a.last - a.both)
	case r.slice + 1:
		return int(a.now)
	default:
		return 0
	}
}

// counted is how many replicas reported lately.
func (r *roster) counted(slice int64) int {
	if r == nil {
		return 0
	}
	return r.union(r.seen, slice)
}

// reporting is how many replicas reported outcomes lately.
func (r *roster) reporting(slice int64) int {
	if r == nil {
		return 0
	}
	return r.union(r.active, slice)
}

// differs reports that policies are said to differ.
func (r *roster) differs(at int64) bool { return r != nil && at < r.conflict }

// find is the place of a replica's entry, or the place for one.
func (r *roster) find(name string) (int, bool) {
	return slices.BinarySearchFunc(r.replicas, name, func(e replica, name string) int { return strings.Compare(e.name, name) })
}

// seq is the last sequence number of a replica, 0 if it is unknown.
func (r *roster) seq(slice int64, name string) uint64 {
	if r == nil {
		return 0
	}
	if i, ok := r.find(name); ok && r.replicas[i].counts(slice) {
		return r.replicas[i].seq
	}
	return 0
}

// counts reports that a replica's last report is not too old.
func (e *replica) counts(slice int64) bool { return sliceOf(e.seen) >= slice-1 }

// Roster lists the replicas that reported lately, by name. A name that is not shown has none.
func (m *Machine) Roster(now int64) []store.Replica {
	if m.phase != shown || m.roster == nil {
		return nil
	}
	t := m.moment(now)
	var out []store.Replica
	for i := range m.roster.replicas {
		e := &m.roster.replicas[i]
		if !e.counts(sliceOf(t.at)) {
			continue
		}
		shown := store.Replica{
			Name: e.name, Seen: duration(t.at - e.seen), Calls: e.calls, Failures: e.failures,
			OwnOpen: e.ownOpen, Conflict: e.conflict,
		}
		if e.policy != nil {
			shown.Policy, shown.Agreed = e.policy.policy(), m.fleet.policy()
		}
		out = append(out, shown)
	}
	return out
}
