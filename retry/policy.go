package retry

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

const (
	defaultAttempts   = 3
	defaultDelay      = time.Second
	defaultMaxDelay   = 60 * time.Second
	defaultMaxRefusal = 5 * time.Second // and the least default of MaxRetryAfter
	defaultMultiplier = 2
)

// Policy says how often to try, how long, and how far apart. The zero Policy is usable: each zero field takes its
// default.
type Policy struct {
	// Attempts is how often the call is made, the first included; at least 1, which means no retry. Default 3.
	Attempts int

	// Delay is the first backoff. Default 1 s, or MaxDelay if that is set and shorter.
	Delay time.Duration
	// MaxDelay is the longest backoff: backoff n, from 0, is min(MaxDelay, Delay * Multiplier^n). At least Delay.
	// Default 60 s, or Delay if that is longer.
	MaxDelay time.Duration

	// MaxRetryAfter is the longest wait that an error may ask for by its method RetryAfter() time.Duration: an error
	// that asks for more ends the retry at once and is returned as it is. Default MaxDelay, or 5 s if that is longer:
	// what a retrier would wait by itself, an error may ask for too.
	MaxRetryAfter time.Duration
	// MaxRefusal is the same for a guard's refusal, such as an open breaker's: nothing was asked, and a caller that is
	// refused at once may have something better to do than to stand in line. Default MaxRetryAfter if that is set, else
	// 5 s.
	MaxRefusal time.Duration

	// Multiplier is what each backoff is longer than the one before; 1 or more, finite. Default 2; 1 is a constant delay.
	Multiplier float64

	// Jitter is the random part of a wait. Default [FullJitter].
	Jitter Jitter

	// AttemptTimeout bounds one attempt: its context ends after that time. 0, the default, means no bound.
	AttemptTimeout time.Duration
	// MaxElapsed bounds all attempts and waits together, counted from the start of the first attempt: no wait is begun
	// that would last longer, and the context of an attempt under way ends then. 0, the default, means no bound.
	MaxElapsed time.Duration
}

// WithDefaults returns p with each zero field replaced by its default. It is idempotent and judges nothing.
func (p Policy) WithDefaults() Policy {
	if p.Attempts == 0 {
		p.Attempts = defaultAttempts
	}
	if p.Delay == 0 {
		p.Delay = defaultDelay
		if p.MaxDelay > 0 {
			p.Delay = min(p.Delay, p.MaxDelay)
		}
	}
	if p.MaxDelay == 0 {
		p.MaxDelay = max(defaultMaxDelay, p.Delay)
	}
	if p.MaxRefusal == 0 {
		p.MaxRefusal = p.MaxRetryAfter
		if p.MaxRetryAfter == 0 {
			p.MaxRefusal = defaultMaxRefusal
		}
	}
	if p.MaxRetryAfter == 0 {
		p.MaxRetryAfter = max(p.MaxDelay, defaultMaxRefusal)
	}
	if p.Multiplier == 0 {
		p.Multiplier = defaultMultiplier
	}
	return p
}

// Validate judges p as [New] would take it, defaults filled in. It returns nil, or a *[PolicyError] about the first bad
// field in order of declaration.
func (p Policy) Validate() error {
	p = p.WithDefaults()
	switch {
	case p.Attempts < 1:
		return refuse("Attempts", strconv.Itoa(p.Attempts), "1 or more")
	case p.Delay < 0:
		return refuse("Delay", p.Delay.String(), "more than 0")
	case p.MaxDelay < p.Delay:
		return refuse("MaxDelay", p.MaxDelay.String(), "Delay ("+p.Delay.String()+") or more")
	case p.MaxRetryAfter < 0:
		return refuse("MaxRetryAfter", p.MaxRetryAfter.String(), "more than 0")
	case p.MaxRefusal < 0:
		return refuse("MaxRefusal", p.MaxRefusal.String(), "more than 0")
	case !(p.Multiplier >= 1) || math.IsInf(p.Multiplier, 0): // so written, it refuses NaN
		return refuse("Multiplier", strconv.FormatFloat(p.Multiplier, 'g', -1, 64), "1 or more, finite")
	case p.Jitter > NoJitter:
		return refuse("Jitter", p.Jitter.String(), "full, equal or none")
	case p.AttemptTimeout < 0:
		return refuse("AttemptTimeout", p.AttemptTimeout.String(), "0 (none) or more")
	case p.MaxElapsed < 0:
		return refuse("MaxElapsed", p.MaxElapsed.String(), "0 (none) or more")
	}
	return nil
}

// backoff returns backoff n, counted from 0, before jitter. No n and no multiplier makes it overflow: what floating
// point cannot hold is above MaxDelay.
func (p Policy) backoff(n int) time.Duration {
	d := float64(p.Delay) * math.Pow(p.Multiplier, float64(n))
	if d >= float64(p.MaxDelay) {
		return p.MaxDelay
	}
	return time.Duration(math.Round(d))
}

// PolicyError says which setting of a [Policy] or a [Budget] was refused: its name, the value given, and what would be
// accepted.
type PolicyError struct{ Field, Value, Range string }

// Error returns the refusal as one sentence.
func (e *PolicyError) Error() string {
	return fmt.Sprintf("retry: %s is %s, want %s", e.Field, e.Value, e.Range)
}

func refuse(field, value, want string) error {
	return &PolicyError{Field: field, Value: value, Range: want}
}
