package machine

import (
	"strconv"
	"time"

	"github.com/commontrip/commontrip/internal/limits"
	"github.com/commontrip/commontrip/store"
)

// Claim leases places for probes. c must have been normalised. spread, in ms, keeps those apart that are refused for want
// of a place.
func (m *Machine) Claim(now int64, c store.Claim, spread int64) (store.Grant, error) {
	if m.forgotten(now) {
		var fresh Machine
		grant, err := fresh.Claim(now, c, spread)
		m.replace(&fresh)
		return grant, err
	}
	req := m.request(now, c.Name, c.Replica)
	if err := m.checkKnown(req, &c.Known); err != nil {
		return store.Grant{}, err
	}
	if m.phase == removed && !m.behind(&c.Known) {
		m.keep(req)
		return store.Grant{Snapshot: m.tombstoneSnapshot(req, c.Policy)}, nil
	}
	m.begin(req, compilePolicy(&c.Policy))
	m.repair(req, &c.Known)
	m.expire(req)
	// mutant: due
	if m.state == store.Open && m.mode == store.Auto && req.at >= m.until {
		m.transition(req, store.HalfOpen, change{reason: store.ByTime, cause: req.from})
	}
	leases, retryIn := m.lease(req, &c, spread)
	return store.Grant{Leases: leases, RetryIn: retryIn, Made: m.lastMade(), Snapshot: m.snapshot(req.moment, req.name)}, nil
}

// claimed gives the live leases of a claim, if it was sent before.
func (p *probes) claimed(req request, claim string) []store.Lease {
	var out []store.Lease
	for i := range p.leases {
		if p.leases[i].claim == claim {
			out = append(out, p.leases[i].shown(req))
		}
	}
	return out
}

// grant gives n new leases.
func (m *Machine) grant(req request, claim string, n int) []store.Lease {
	p, end := m.probes, req.at+int64(m.policyInForce().probeLease)
	out := make([]store.Lease, n)
	for i := range out {
		p.granted++
		l := lease{
			id:    strconv.FormatUint(m.generation, 10) + "." + strconv.FormatUint(p.granted, 10),
			claim: claim, replica: req.from, generation: m.generation, granted: req.at, end: end,
		}
		p.leases = append(p.leases, l)
		out[i] = l.shown(req)
	}
	return out
}

// lease is what the claim gets: leases, or after how long to ask again.
func (m *Machine) lease(req request, c *store.Claim, spread int64) ([]store.Lease, time.Duration) {
	switch {
	case m.mode == store.ForcedOpen && m.overrides.mode.timed:
		return nil, req.left(m.overrides.mode.ends)
	case m.mode == store.ForcedOpen:
		return nil, duration(int64(m.policyInForce().openFor))
	case m.mode == store.ForcedClosed, m.state == store.Closed:
		return nil, 0
	case m.state == store.Open:
		return nil, req.left(m.until)
	}
	if m.probes == nil {
		m.probes = &probes{}
	}
	p := m.probes
	// mutant: same
	if same := p.claimed(req, c.ID); len(same) > 0 {
		return same, 0
	}
	// mutant: ban
	if failed := p.findFailed(req.from); failed != nil && req.at < failed.ban {
		return nil, req.left(failed.ban)
	}
	// mutant: free
	free := int(m.policyInForce().places) - len(p.leases)
	if free <= 0 {
		firstEnd := req.at + limits.AskAgain + spread
		for i := range p.leases {
			firstEnd = min(firstEnd, p.leases[i].end)
		}
		return nil, req.left(firstEnd)
	}
	return m.grant(req, c.ID, min(c.Want, free)), 0
}

// shown is a lease as its replica gets it.
func (l *lease) shown(req request) store.Lease {
	return store.Lease{Name: req.name, ID: l.id, Generation: l.generation, For: req.left(l.end)}
}
