package machine

import (
	"github.com/commontrip/commontrip/internal/limits"
	"github.com/commontrip/commontrip/store"
)

// quorum is from how many replicas the outcomes that a rule counts must come, or from all that reported outcomes lately if
// they are fewer.
func (m *Machine) quorum(req request) int {
	// mutant: quorum
	return min(int(m.policyInForce().reporters), m.roster.reporting(sliceOf(req.at)))
}

// judge gives the rule that trips now, and the replicas whose outcomes it counted, the first few by name. The reason is
// empty if none does. The rules are looked at in this order: streak, failure rate, rate of slow calls.
func (m *Machine) judge(req request) (store.Reason, []string) {
	p, w, quorum := m.policyInForce(), m.window, m.quorum(req)
	width := p.bucket()
	t, lowest := w.sum(req.at, width)
	inStreak := place{}
	if width > 0 {
		inStreak = lowest
	}
	// mutant: streak
	if p.consecutiveFailures > 0 && w.countedStreak(t, width) >= int(p.consecutiveFailures) &&
		req.at-w.streakFrom >= int64(p.consecutiveFor) && w.streaks.since(inStreak) >= quorum {
		return store.ByConsecutiveFailures, w.streaks.names(inStreak)
	}
	// mutant: min-calls
	if t.calls < int64(p.minCalls) {
		return "", nil
	}
	switch {
	case atRate(t.failures, t.calls, p.failureRate) && w.failing.since(lowest) >= quorum:
		return store.ByFailureRate, w.failing.names(lowest)
	case atRate(t.slow, t.calls, p.slowCallRate) && w.slow.since(lowest) >= quorum:
		return store.BySlowCallRate, w.slow.names(lowest)
	}
	return "", nil
}

// atRate: exactly at the threshold holds, in integers. A rate of 0 is not a rule.
func atRate(n, calls int64, rate uint16) bool {
	// mutant: rate
	return rate > 0 && n*limits.RateUnit >= int64(rate)*calls
}
