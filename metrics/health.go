package metrics

import "github.com/commontrip/commontrip/health"

var healths = []health.Health{health.Unknown, health.Up, health.Down}

// check shows one active check.
func (s *sink) check(st *health.Status) {
	oneHot(s, healthState, st.Health, healths, health.Health.String, st.Name)
	s.put(healthSince, timestamp(st.Since), st.Name)
	s.put(healthChecked, timestamp(st.Checked), st.Name)
	s.put(healthTook, st.Took.Seconds(), st.Name)
}
