package machine

import (
	"math"
	"time"

	"github.com/commontrip/commontrip/store"
)

// terms is a policy as the machine works with it: durations in ms, rates in 1/10000. It is comparable: two policies are
// the same, defaults filled in, where their terms are. places is Policy.Probes.
type terms struct {
	windowTime, consecutiveFor, slowCallAfter      int32
	openFor, openForMax, probeLease, rampUp        int32
	consecutiveFailures, minCalls, probeSuccesses  int32
	failureRate, slowCallRate, windowCalls, places uint16
	reporters                                      uint8
	observe                                        bool
}

// termsOf takes a normalised policy.
func termsOf(p *store.Policy) terms {
	return terms{
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

func (t *terms) policy() store.Policy {
	return store.Policy{
		WindowCalls:         int(t.windowCalls),
		WindowTime:          duration(int64(t.windowTime)),
		ConsecutiveFailures: int(t.consecutiveFailures),
		ConsecutiveFor:      duration(int64(t.consecutiveFor)),
		FailureRate:         float64(t.failureRate) / 10_000,
		SlowCallRate:        float64(t.slowCallRate) / 10_000,
		SlowCallAfter:       duration(int64(t.slowCallAfter)),
		MinCalls:            int(t.minCalls),
		Reporters:           int(t.reporters),
		OpenFor:             duration(int64(t.openFor)),
		OpenForMax:          duration(int64(t.openForMax)),
		Probes:              int(t.places),
		ProbeSuccesses:      int(t.probeSuccesses),
		ProbeLease:          duration(int64(t.probeLease)),
		RampUp:              duration(int64(t.rampUp)),
		Observe:             t.observe,
	}
}

// set tells terms from none: each policy has a window.
func (t *terms) set() bool { return t.windowCalls != 0 || t.windowTime != 0 }

// bucket is the length of a tenth of a time window; 0 for a window of calls.
func (t *terms) bucket() int64 { return int64(t.windowTime) / bucketCount }

func ms32(d time.Duration) int32 { return int32(d / time.Millisecond) }

func rate(r float64) uint16 { return uint16(math.Round(r * 10_000)) }
