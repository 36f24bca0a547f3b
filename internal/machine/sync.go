package machine

import (
	"fmt"

	"github.com/commontrip/commontrip/internal/limits"
	"github.com/commontrip/commontrip/store"
)

// Report judges what one replica saw. r must have been normalised. The Result's Err is ErrLate if r was under way for too
// long, and ErrInvalid if r's Known is more than 24 h ahead of the machine's time and above what the machine holds. Nothing
// has changed then.
func (m *Machine) Report(now int64, r store.Report) store.Result {
	if m.forgotten(now) {
		var fresh Machine
		result := fresh.Report(now, r)
		m.replace(&fresh)
		return result
	}
	req := m.request(now, r.Name, r.Replica)
	late := req.lateness(r.SentAt)
	if late > min(millis(r.MaxAge), limits.TooLate) {
		return store.Result{Err: fmt.Errorf("%w: by %v", store.ErrLate, duration(late))}
	}
	r.MaxAge -= duration(late)
	if err := m.checkKnown(req, &r.Known); err != nil {
		return store.Result{Err: err}
	}
	// mutant: again
	again := r.Seq <= m.roster.seq(sliceOf(req.at), r.Replica)
	// mutant: active
	active := !again && len(r.Runs) > 0
	if m.phase == removed && !active && !m.behind(&r.Known) {
		m.keep(req)
		return store.Result{Snapshot: m.tombstoneSnapshot(req, r.Policy)}
	}
	policy := compilePolicy(&r.Policy)
	m.begin(req, policy)
	m.repair(req, &r.Known)
	m.expire(req)
	if r.Announce && !again {
		m.announce(req, policy)
	}
	from := m.touchReplica(req, &r, policy, again, active)
	if active {
		m.unhide(req)
	}
	if !again {
		if r.Rejected > 0 {
			add(&m.counters().Rejected, r.Rejected)
		}
		m.takeRuns(req, &r, from)
	}
	return m.result(req)
}

// announce makes another policy the fleet's, so that the last deploy wins.
func (m *Machine) announce(req request, policy compiledPolicy) {
	if policy == m.fleet {
		return
	}
	m.refit(func() { m.fleet = policy })
	m.rev = nextNumber(m.rev, req.at)
	if m.roster != nil {
		m.roster.conflict = 0
	}
}
