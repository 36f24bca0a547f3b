package machine

import (
	"slices"

	"github.com/commontrip/commontrip/store"
)

// Settle says how a probe went. set must have been normalised. Twice, too late, or by another replica than the holder:
// nothing changes.
func (m *Machine) Settle(now int64, set store.Settlement) store.Result {
	s := m.script(now, set.Lease.Name, set.Replica)
	switch {
	case m.Empty(now):
		return store.Result{Snapshot: store.Snapshot{Name: s.name}}
	case m.phase == removed:
		m.keep(s)
		return store.Result{Snapshot: m.tombstone(s, store.Policy{})}
	}
	m.keep(s)
	m.expire(s)
	if i := m.probes.find(set.Lease.ID); i >= 0 && m.probes.leases[i].replica == s.who {
		l := m.probes.leases[i]
		m.probes.leases = slices.Delete(m.probes.leases, i, i+1)
		if l.generation == m.generation && set.Lease.Generation == m.generation {
			m.settled(s, l, &set)
		}
	}
	return m.result(s)
}

// settled lets a probe of this half-open decide. Under a forced mode it is only counted.
func (m *Machine) settled(s script, l lease, set *store.Settlement) {
	m.tellProbe(set)
	switch {
	case m.mode != store.Auto || set.Outcome == store.Ignored:
	case set.Outcome == store.Success:
		m.probes.successes++
		if m.probes.successes >= int(m.policy().probeSuccesses) {
			m.turn(s, store.Closed, change{reason: store.ByProbeSuccesses, cause: s.who})
		}
	default:
		m.label(set.Label)
		if m.probes.fail(s, l, int(m.policy().reporters), int64(m.policy().probeLease)) {
			m.open(s, change{reason: store.ByProbeFailure, cause: s.who, witnesses: m.probes.failing()})
		}
	}
}

func (m *Machine) tellProbe(set *store.Settlement) {
	totals := m.counters()
	if set.Outcome == store.Ignored {
		add(&totals.Ignored, 1)
		return
	}
	add(&totals.Calls, 1)
	if set.Outcome == store.Failure {
		add(&totals.Failures, 1)
	}
	if set.Slow {
		add(&totals.Slow, 1)
	}
}

// fail notes a failed probe and reports whether it reopens: once they come from enough replicas, or one fails again with
// a lease that it got after its first ban. Until then that replica gets no lease for a while.
func (p *probes) fail(s script, l lease, reporters int, banFor int64) bool {
	ban := p.ban(s.who)
	again := ban != nil && l.granted > ban.first
	if ban == nil {
		p.failed = append(p.failed, banned{replica: s.who, first: s.at})
		ban = &p.failed[len(p.failed)-1]
	}
	ban.until = s.at + banFor
	return again || len(p.failed) >= reporters
}

func (p *probes) failing() []string {
	out := make([]string, len(p.failed))
	for i := range p.failed {
		out[i] = p.failed[i].replica
	}
	return firstNames(out)
}
