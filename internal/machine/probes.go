package machine

import "slices"

// probes are the leases, and what the probes of this half-open decided so far.
type probes struct {
	granted   uint64 // leases ever; numbers them
	leases    []lease
	successes int
	failed    []failedProbe
}

// lease is a place for a probe.
type lease struct {
	id, claim, replica string
	generation         uint64
	granted, end       int64 // it lives while time is before its end, whatever its generation
}

// failedProbe is a replica with a failed probe in this half-open. It gets no lease until its ban is over.
type failedProbe struct {
	replica    string
	first, ban int64 // when it failed first, when its ban ends
}

// findFailed is the replica's entry among the failed, or nil.
func (p *probes) findFailed(replica string) *failedProbe {
	for i := range p.failed {
		if p.failed[i].replica == replica {
			return &p.failed[i]
		}
	}
	return nil
}

// live counts the leases that have not ended at a time.
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

// dropEnded gives back the places of leases that have ended. Nobody settled them: they say nothing about the tier.
func (p *probes) dropEnded(at int64) {
	if p == nil || p.live(at) == len(p.leases) {
		return
	}
	// mutant: lease-end
	p.leases = slices.DeleteFunc(p.leases, func(l lease) bool { return at >= l.end })
}
