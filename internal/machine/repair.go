package machine

import (
	"fmt"

	"github.com/commontrip/commontrip/internal/limits"
	"github.com/commontrip/commontrip/store"
)

// checkKnown refuses numbers that no store can have given out: above the machine's own and more than a day above its
// clock.
func (m *Machine) checkKnown(req request, k *store.Known) error {
	// mutant: limit
	limit := uint64(req.at) + limits.Day
	switch {
	case k.Rev > m.rev && k.Rev > limit:
		return fmt.Errorf("%w: Known.Rev is %d; want at most 24h ahead of the store's clock (%d)", store.ErrAhead, k.Rev, limit)
	case k.Generation > m.generation && k.Generation > limit:
		return fmt.Errorf("%w: Known.Generation is %d; want at most 24h ahead of the store's clock (%d)", store.ErrAhead, k.Generation, limit)
	}
	return nil
}

// behind reports that the machine is behind what a replica knows: its store has lost what it had acknowledged.
func (m *Machine) behind(k *store.Known) bool {
	return k.Rev > m.rev || k.Generation > m.generation
}

// repair takes over each part of what a replica knows whose number is above the machine's own.
func (m *Machine) repair(req request, k *store.Known) {
	if k.Rev > m.rev {
		m.adoptRev(req, k)
	}
	// mutant: older = if k.Generation != 0 && k.Generation != m.generation {
	if k.Generation > m.generation {
		m.adoptGeneration(req, k)
	}
}

// knownNote is a note that a replica knows, in machine time.
func knownNote(req request, n *store.Note) note {
	return note{by: n.By, why: n.Why, at: n.At.UnixMilli() + req.off, timed: n.Timed, ends: req.at + millis(n.EndsIn)}
}

// adoptRev takes over mode and policy.
func (m *Machine) adoptRev(req request, k *store.Known) {
	m.rev, m.mode = k.Rev, k.Mode
	m.refit(func() {
		m.overrides = nil
		if k.Mode != store.Auto {
			m.openOverrides().mode = knownNote(req, &k.ModeNote)
		}
		if k.Retuned {
			o := m.openOverrides()
			o.retuned, o.policy = compilePolicy(&k.Policy), knownNote(req, &k.PolicyNote)
		}
	})
}

// adoptGeneration takes over the state, as the replica brought it. A half-open state becomes open for ProbeLease: by then
// the leases that were lost have ended.
func (m *Machine) adoptGeneration(req request, k *store.Known) {
	c := change{reason: store.ByRepair, cause: req.from}
	e := m.beginEntry(req, c)
	e.From = k.State
	m.generation = k.Generation
	m.beginGeneration(req, k.State, k.Reason, k.Cause)
	m.openings = int32(k.Openings)
	if m.probes != nil {
		// mutant: leases
		m.probes.leases = nil
	}
	if k.State == store.Open {
		// mutant: cut
		m.until = req.at + min(millis(k.RetryIn), millis(store.MaxFor))
	}
	m.appendEntry(e, true)
	// mutant: half-open
	if k.State == store.HalfOpen {
		m.transition(req, store.Open, c)
		m.until = req.at + int64(m.policyInForce().probeLease)
	}
}
