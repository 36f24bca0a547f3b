package machine

import (
	"slices"

	"github.com/commontrip/commontrip/store"
)

// Settle says how a probe went. set must have been normalised. Twice, after the lease's end, or by another replica than the
// holder: nothing changes. A probe of an older generation is counted as late, unless it was ignored.
func (m *Machine) Settle(now int64, set store.Settlement) store.Result {
	req := m.request(now, set.Lease.Name, set.Replica)
	switch {
	case m.Empty(now):
		return store.Result{Snapshot: store.Snapshot{Name: req.name}}
	case m.phase == removed:
		m.keep(req)
		return store.Result{Snapshot: m.tombstoneSnapshot(req, store.Policy{})}
	}
	m.keep(req)
	m.expire(req)
	if l := m.takeLease(req, &set); l != nil {
		m.decide(req, l, &set)
	}
	return m.result(req)
}

// takeLease takes out the lease, if this replica holds it, or gives nil.
func (m *Machine) takeLease(req request, set *store.Settlement) *lease {
	p := m.probes
	if p == nil {
		return nil
	}
	for i, l := range p.leases {
		if l.id == set.Lease.ID {
			// mutant: holder
			if l.replica != req.from {
				return nil
			}
			p.leases = slices.Delete(p.leases, i, i+1)
			return &l
		}
	}
	return nil
}

// failProbe notes a failed probe. It reopens once failed probes come from enough replicas, or once one replica fails again
// with a lease that it got after its first failure. Until then that replica gets no lease.
func (m *Machine) failProbe(req request, l *lease) {
	p, policy := m.probes, m.policyInForce()
	failed := p.findFailed(req.from)
	again := failed != nil && l.granted > failed.first
	if failed == nil {
		p.failed = append(p.failed, failedProbe{replica: req.from, first: req.at})
		failed = &p.failed[len(p.failed)-1]
	}
	failed.ban = req.at + int64(policy.probeLease)
	// mutant: reopen
	if again || len(p.failed) >= int(policy.reporters) {
		names := make([]string, len(p.failed))
		for i := range p.failed {
			names[i] = p.failed[i].replica
		}
		m.open(req, change{reason: store.ByProbeFailure, cause: req.from, witnesses: firstNames(names)})
	}
}

// decide lets a probe of this half-open decide. If slow calls are judged, a slow one has failed: else the tier would close by
// what opened it. Under a forced mode it is only counted, and after this half-open it is late.
func (m *Machine) decide(req request, l *lease, set *store.Settlement) {
	// mutant: counts
	if l.generation != m.generation || set.Lease.Generation != m.generation {
		if set.Outcome != store.Ignored || set.Slow { // else there may have been no call: the lease was given back
			// mutant: late-probe
			add(&m.counters().Late, 1)
		}
		return
	}
	m.count(set.Outcome, set.Slow, 1, nil)
	// mutant: too-slow
	tooSlow := set.Slow && m.policyInForce().slowCallRate > 0
	switch {
	case m.mode != store.Auto || set.Outcome == store.Ignored && !tooSlow:
	case set.Outcome == store.Failure || tooSlow:
		if set.Outcome == store.Failure {
			m.addLabels(set.Label, 1)
		}
		m.failProbe(req, l)
	default:
		m.probes.successes++
		// mutant: enough
		if m.probes.successes >= int(m.policyInForce().probeSuccesses) {
			m.transition(req, store.Closed, change{reason: store.ByProbeSuccesses, cause: req.from})
		}
	}
}
