package machine

import (
	"github.com/commontrip/commontrip/internal/limits"
	"github.com/commontrip/commontrip/store"
)

// compiledPolicy is a policy as the machine works with it: durations in ms, rates in limits.RateUnit. It is comparable:
// two policies are the same, defaults filled in, if they compile to the same. places is Policy.Probes.
type compiledPolicy struct {
	windowTime, consecutiveFor, slowCallAfter      int32
	openFor, openForMax, probeLease, rampUp        int32
	consecutiveFailures, minCalls, probeSuccesses  int32
	failureRate, slowCallRate, windowCalls, places uint16
	reporters                                      uint8
	observe                                        bool
}

// compilePolicy takes a normalised policy.
func compilePolicy(p *store.Policy) compiledPolicy {
	return compiledPolicy{
		windowTime:          ms32(p.WindowTime),
		consecutiveFor:      ms32(p.ConsecutiveFor),
		slowCallAfter:       ms32(p.SlowCallAfter),
		openFor:             ms32(p.OpenFor),
		openForMax:          ms32(p.OpenForMax),
		probeLease:          ms32(p.ProbeLease),
		rampUp:              ms32(p.RampUp),
		consecutiveFailures: int32(p.ConsecutiveFailures),
		minCalls:            int32(p.MinCalls),
		probeSuccesses:      int32(p.ProbeSuccesses),
		failureRate:         rate(p.FailureRate),
		slowCallRate:        rate(p.SlowCallRate),
		windowCalls:         uint16(p.WindowCalls),
		places:              uint16(p.Probes),
		reporters:           uint8(p.Reporters),
		observe:             p.Observe,
	}
}

// policyInForce is an operator's policy, or else the fleet's.
func (m *Machine) policyInForce() *compiledPolicy {
	if m.retuned() {
		return &m.overrides.retuned
	}
	return &m.fleet
}

// policy is the policy that compiles to p.
func (p *compiledPolicy) policy() store.Policy {
	return store.Policy{
		WindowCalls:         int(p.windowCalls),
		WindowTime:          duration(int64(p.windowTime)),
		ConsecutiveFailures: int(p.consecutiveFailures),
		ConsecutiveFor:      duration(int64(p.consecutiveFor)),
		FailureRate:         float64(p.failureRate) / limits.RateUnit,
		SlowCallRate:        float64(p.slowCallRate) / limits.RateUnit,
		SlowCallAfter:       duration(int64(p.slowCallAfter)),
		MinCalls:            int(p.minCalls),
		Reporters:           int(p.reporters),
		OpenFor:             duration(int64(p.openFor)),
		OpenForMax:          duration(int64(p.openForMax)),
		Probes:              int(p.places),
		ProbeSuccesses:      int(p.probeSuccesses),
		ProbeLease:          duration(int64(p.probeLease)),
		RampUp:              duration(int64(p.rampUp)),
		Observe:             p.observe,
	}
}

// set tells a policy from none: each policy has a window.
func (p *compiledPolicy) set() bool { return p.windowCalls != 0 || p.windowTime != 0 }

// bucket is the length of a bucket of a time window; 0 for a window of calls.
func (p *compiledPolicy) bucket() int64 { return int64(p.windowTime) / limits.Buckets }
