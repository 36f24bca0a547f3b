package store

import (
	"cmp"
	"fmt"
	"math"
	"time"
)

// Policy says when a breaker opens and how it comes back. Each zero field takes its default; the zero Policy is
// [DefaultPolicy]. Any one rule trips: ConsecutiveFailures, FailureRate, SlowCallRate.
type Policy struct {
	WindowCalls         int           // newest calls judged; 1..10000; default 100 if WindowTime is 0. Both set: refused
	WindowTime          time.Duration // time judged, in 10 buckets; 1 s..24 h
	ConsecutiveFailures int           // rule: this many in a row, in order of arrival, within WindowTime if that is set; default 5 if no rule is set
	ConsecutiveFor      time.Duration // and they must have lasted this long; 0..24 h; default 0
	FailureRate         float64       // rule: share of calls in the window, 0..1, rounded down to 1/10000; exactly at it trips; 0 = off
	SlowCallRate        float64       // rule: share of slow calls, 0..1, as FailureRate; needs SlowCallAfter; a slow probe is then a failed one
	SlowCallAfter       time.Duration // a call that takes longer is slow, also one that its caller gives up by then; 0..24 h; 0 = no clock is read
	MinCalls            int           // rates are judged once the window has this many calls; default 10, or WindowCalls if less
	Reporters           int           // adverse outcomes must come from this many replicas (or all that call, if fewer); 1..16; default 1
	OpenFor             time.Duration // how long calls are refused; 1 ms..24 h; default 60 s
	OpenForMax          time.Duration // each failed round of probes doubles OpenFor up to this; OpenFor..24 h; default OpenFor
	Probes              int           // live probe leases, fleet-wide; 1..1000; default 3
	ProbeSuccesses      int           // successful probes that close; default 2; may exceed Probes
	ProbeLease          time.Duration // a probe's time: its context ends at 90 %; a lease that nobody settled frees its place, no more; 1 ms..24 h; default 30 s
	RampUp              time.Duration // after closing from half-open the admitted share of calls grows over this; 0..24 h; 0 = at once
	Observe             bool          // dry run: count and transition, refuse nobody
}

// DefaultPolicy is for one process: it opens after 5 failures in a row, for 60 s, and closes after 2 good probes of at
// most 3 at once. A streak is the right rule for one stream of calls; a fleet's merged stream wants [FleetPolicy].
func DefaultPolicy() Policy {
	return Policy{ConsecutiveFailures: 5}.WithDefaults()
}

// FleetPolicy is for many replicas: it opens at 50 % failures of the last 100 calls, from 20 calls on, or after 5
// failures in a row that lasted 1 s, and only when at least 2 replicas saw them (or all that call, if fewer).
func FleetPolicy() Policy {
	return Policy{
		ConsecutiveFailures: 5, ConsecutiveFor: time.Second,
		FailureRate: 0.5, MinCalls: 20, Reporters: 2,
	}.WithDefaults()
}

// HasRule reports whether p sets a rule that can trip.
func (p Policy) HasRule() bool {
	return p.ConsecutiveFailures != 0 || p.FailureRate != 0 || p.SlowCallRate != 0
}

// WithDefaults fills each zero field and rounds: durations up to whole milliseconds (WindowTime to 10 ms), rates down to
// 1/10000, so that a share that is hit exactly trips; a positive one is at least that. It is idempotent and leaves bad
// values for [Policy.Validate] to find.
func (p Policy) WithDefaults() Policy {
	if !p.HasRule() {
		p.ConsecutiveFailures = 5
	}
	if p.WindowCalls == 0 && p.WindowTime == 0 {
		p.WindowCalls = 100
	}
	if p.MinCalls == 0 {
		p.MinCalls = 10
		if p.WindowCalls > 0 {
			p.MinCalls = min(p.MinCalls, p.WindowCalls)
		}
	}
	p.WindowTime = roundUp(p.WindowTime, 10*time.Millisecond)
	p.ConsecutiveFor = roundUp(p.ConsecutiveFor, time.Millisecond)
	p.FailureRate = roundRate(p.FailureRate)
	p.SlowCallRate = roundRate(p.SlowCallRate)
	p.SlowCallAfter = roundUp(p.SlowCallAfter, time.Millisecond)
	setDefault(&p.Reporters, 1)
	setDefault(&p.OpenFor, 60*time.Second)
	p.OpenFor = roundUp(p.OpenFor, time.Millisecond)
	setDefault(&p.OpenForMax, p.OpenFor)
	p.OpenForMax = roundUp(p.OpenForMax, time.Millisecond)
	setDefault(&p.Probes, 3)
	setDefault(&p.ProbeSuccesses, 2)
	setDefault(&p.ProbeLease, 30*time.Second)
	p.ProbeLease = roundUp(p.ProbeLease, time.Millisecond)
	p.RampUp = roundUp(p.RampUp, time.Millisecond)
	return p
}

// Validate reports the first bad field, in order of declaration, as a *[PolicyError]. Zero fields are judged by their
// defaults; a value is judged as WithDefaults rounds it, save that nothing negative is rounded into the range.
func (p Policy) Validate() error {
	d := p.WithDefaults()
	const day = 24 * time.Hour
	minCallsMax := 1_000_000
	if d.WindowCalls > 0 {
		minCallsMax = d.WindowCalls
	}
	switch {
	case d.WindowCalls != 0 && !within(d.WindowCalls, 1, 10_000):
		return badField("WindowCalls", p.WindowCalls, "1..10000, or 0 for the default")
	case p.WindowTime != 0 && p.WindowCalls != 0:
		return badField("WindowTime", p.WindowTime, "0 if WindowCalls is set")
	case d.WindowTime != 0 && !within(d.WindowTime, time.Second, day):
		return badField("WindowTime", p.WindowTime, "1s..24h, or 0 for a window of calls")
	case !within(d.ConsecutiveFailures, 0, 1_000_000):
		return badField("ConsecutiveFailures", p.ConsecutiveFailures, "0..1000000")
	case !within(d.ConsecutiveFor, 0, day):
		return badField("ConsecutiveFor", p.ConsecutiveFor, "0..24h")
	case !within(d.FailureRate, 0, 1):
		return badField("FailureRate", p.FailureRate, "0..1")
	case !within(d.SlowCallRate, 0, 1):
		return badField("SlowCallRate", p.SlowCallRate, "0..1")
	case d.SlowCallRate != 0 && d.SlowCallAfter == 0:
		return badField("SlowCallRate", p.SlowCallRate, "0 if SlowCallAfter is not set")
	case !within(d.SlowCallAfter, 0, day):
		return badField("SlowCallAfter", p.SlowCallAfter, "0..24h")
	case !within(d.MinCalls, 1, minCallsMax):
		return badField("MinCalls", p.MinCalls, fmt.Sprintf("1..%d, or 0 for the default", minCallsMax))
	case !within(d.Reporters, 1, 16):
		return badField("Reporters", p.Reporters, "1..16, or 0 for 1")
	case !within(d.OpenFor, time.Millisecond, day):
		return badField("OpenFor", p.OpenFor, "1ms..24h, or 0 for 1m")
	case !within(d.OpenForMax, d.OpenFor, day):
		return badField("OpenForMax", p.OpenForMax, fmt.Sprintf("%v..24h (from OpenFor on), or 0 for OpenFor", d.OpenFor))
	case !within(d.Probes, 1, 1000):
		return badField("Probes", p.Probes, "1..1000, or 0 for 3")
	case !within(d.ProbeSuccesses, 1, 1_000_000):
		return badField("ProbeSuccesses", p.ProbeSuccesses, "1..1000000, or 0 for 2")
	case !within(d.ProbeLease, time.Millisecond, day):
		return badField("ProbeLease", p.ProbeLease, "1ms..24h, or 0 for 30s")
	case !within(d.RampUp, 0, day):
		return badField("RampUp", p.RampUp, "0..24h")
	}
	return nil
}

func badField(field string, value any, want string) *PolicyError {
	return &PolicyError{Field: field, Value: fmt.Sprint(value), Range: want}
}

// within is false for a NaN.
func within[T cmp.Ordered](v, lo, hi T) bool { return lo <= v && v <= hi }

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// roundUp leaves what is not positive, and what rounding would overflow.
func roundUp(d, unit time.Duration) time.Duration {
	rest := d % unit
	if d <= 0 || rest == 0 || d > math.MaxInt64-unit {
		return d
	}
	return d - rest + unit
}

// roundRate rounds down: 2.0/3 that was rounded up would be more than 2 of 3 calls. The little that it adds is for values
// that no float64 holds, such as 0.57. It leaves what is far from any rate: there the little would be lost.
func roundRate(r float64) float64 {
	const unit, little = 10_000, 1e-8
	if !(r > 0 && r < 2) {
		return r
	}
	return max(math.Floor(r*unit+little), 1) / unit
}
