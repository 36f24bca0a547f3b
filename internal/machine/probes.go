package machine

import (
	"slices"
	"strconv"
	"time"

	"github.com/commontrip/commontrip/store"
)

// askAgain is after how many ms, and a little at random, a claim refused for want of a place may ask again at the latest.
const askAgain = int64(100)

// probes are the leases, and what the probes of this half-open decided so far.
type probes struct {
	granted   uint64 // leases ever; numbers them
	leases    []lease
	successes int
	failed    []banned
}

type lease struct {
	id, claim, replica string
	generation         uint64
	granted, end       int64 // it lives while time is before its end, whatever its generation
}

// banned is a replica with a failed probe in this half-open: it gets no lease until its ban is over.
type banned struct {
	replica      string
	first, until int64
}

// Claim leases places for probes. c must have been normalised. jitter, in ms, spreads those who are refused for want of
// a place.
func (m *Machine) Claim(now int64, c store.Claim, jitter int64) (store.Grant, error) {
	if m.forgotten(now) {
		var fresh Machine
		grant, err := fresh.Claim(now, c, jitter)
		m.replace(&fresh)
		return grant, err
	}
	s := m.script(now, c.Name, c.Replica)
	if err := m.checkKnown(s, &c.Known); err != nil {
		return store.Grant{}, err
	}
	if m.phase == removed && !m.below(&c.Known) {
		m.keep(s)
		return store.Grant{Snapshot: m.tombstone(s, c.Policy)}, nil
	}
	m.begin(s, termsOf(&c.Policy))
	m.repair(s, &c.Known)
	m.expire(s)
	if m.state == store.Open && m.mode == store.Auto && s.at >= m.until {
		m.turn(s, store.HalfOpen, change{reason: store.ByTime, cause: s.who})
	}
	leases, retryIn := m.lease(s, &c, jitter)
	return store.Grant{Leases: leases, RetryIn: retryIn, Made: m.lastMade(), Snapshot: m.snapshot(s.moment, s.name)}, nil
}

// lease gives places, or says when to ask again.
func (m *Machine) lease(s script, c *store.Claim, jitter int64) ([]store.Lease, time.Duration) {
	switch {
	case m.mode == store.ForcedOpen:
		return nil, m.forcedFor(s)
	case m.mode == store.ForcedClosed, m.state == store.Closed:
		return nil, 0
	case m.state == store.Open:
		return nil, s.left(m.until)
	}
	if m.probes == nil {
		m.probes = &probes{}
	}
	p := m.probes
	if same := p.claimed(s, c.ID); len(same) > 0 {
		return same, 0
	}
	if ban := p.ban(s.who); ban != nil && s.at < ban.until {
		return nil, s.left(ban.until)
	}
	free := int(m.policy().places) - len(p.leases)
	if free <= 0 {
		return nil, min(s.left(p.nextEnd()), duration(askAgain+jitter))
	}
	return p.grant(s, c.ID, m.generation, int64(m.policy().probeLease), min(c.Want, free)), 0
}

func (m *Machine) forcedFor(s script) time.Duration {
	if mode := &m.orders.mode; mode.timed {
		return s.left(mode.ends)
	}
	return duration(int64(m.policy().openFor))
}

func (p *probes) grant(s script, claim string, generation uint64, length int64, n int) []store.Lease {
	out := make([]store.Lease, n)
	for i := range out {
		p.granted++
		l := lease{
			id:    strconv.FormatUint(generation, 10) + "." + strconv.FormatUint(p.granted, 10),
			claim: claim, replica: s.who, generation: generation, granted: s.at, end: s.at + length,
		}
		p.leases = append(p.leases, l)
		out[i] = l.shown(s)
	}
	return out
}

// claimed gives the live leases of a claim that was sent before.
func (p *probes) claimed(s script, claim string) []store.Lease {
	var out []store.Lease
	for i := range p.leases {
		if p.leases[i].claim == claim {
			out = append(out, p.leases[i].shown(s))
		}
	}
	return out
}

func (l *lease) shown(s script) store.Lease {
	return store.Lease{Name: s.name, ID: l.id, Generation: l.generation, For: s.left(l.end)}
}

func (p *probes) nextEnd() int64 {
	end := p.leases[0].end
	for i := range p.leases {
		end = min(end, p.leases[i].end)
	}
	return end
}

func (p *probes) ban(replica string) *banned {
	for i := range p.failed {
		if p.failed[i].replica == replica {
			return &p.failed[i]
		}
	}
	return nil
}

// live counts leases at a time.
func (p *probes) live(at int64) int {
	if p == nil {
		return 0
	}
	n := 0
	for i := range p.leases {
		if at < p.leases[i].end {
			n++
		}
	}
	return n
}

// expire gives back the places of leases that have ended. Nobody settled them: they say nothing about the tier.
func (p *probes) expire(at int64) {
	if p == nil || p.live(at) == len(p.leases) {
		return
	}
	p.leases = slices.DeleteFunc(p.leases, func(l lease) bool { return at >= l.end })
}

func (p *probes) find(id string) int {
	if p == nil {
		return -1
	}
	return slices.IndexFunc(p.leases, func(l lease) bool { return l.id == id })
}
