package machine

import "github.com/commontrip/commontrip/store"

// judge opens the breaker where a rule holds: the streak first, then the failure rate, then the rate of slow calls. The
// outcomes that a rule counts must come from enough replicas, or from all that reported outcomes lately where they are
// fewer.
func (m *Machine) judge(s script) {
	p, w := m.policy(), m.window
	quorum := min(int(p.reporters), m.roster.reporting(s.slice()))
	if p.consecutiveFailures > 0 && w.streak >= int(p.consecutiveFailures) &&
		s.at-w.streakFrom >= int64(p.consecutiveFor) && len(w.streaks) >= quorum {
		m.trip(s, store.ByConsecutiveFailures, w.streaks.names(place{}))
		return
	}
	t, first := w.count(s.at, p.bucket())
	if t.calls < int64(p.minCalls) {
		return
	}
	switch {
	case atRate(t.failures, t.calls, p.failureRate) && w.failing.since(first) >= quorum:
		m.trip(s, store.ByFailureRate, w.failing.names(first))
	case atRate(t.slow, t.calls, p.slowCallRate) && w.slow.since(first) >= quorum:
		m.trip(s, store.BySlowCallRate, w.slow.names(first))
	}
}

func (m *Machine) trip(s script, reason store.Reason, witnesses []string) {
	m.open(s, change{reason: reason, cause: s.who, witnesses: witnesses})
}

// atRate: exactly at the threshold holds, in integers. A rate of 0 is no rule.
func atRate(n, calls int64, rate uint16) bool { return rate > 0 && n*10_000 >= int64(rate)*calls }
