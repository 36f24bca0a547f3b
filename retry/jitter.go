package retry

import (
	"fmt"
	"time"
)

// Jitter is the part of a wait that is drawn at random, so that callers that failed together do not come back
// together. Of a backoff it takes a part away; to a time that an error asked for it adds up to half. The names and the shapes are those of Marc Brooker, "Exponential Backoff And Jitter" (AWS Architecture
// Blog, 2015), which shows that FullJitter costs the least work in all. Its text form is "full", "equal" or "none".
type Jitter uint8

const (
	// FullJitter draws the wait from all of [0, backoff]. It is the zero value.
	FullJitter Jitter = iota
	// EqualJitter keeps half the backoff and draws the other: [backoff/2, backoff]. For calls that must not come at once.
	EqualJitter
	// NoJitter waits the backoff, or what an error asks for, itself. For tests, and for a single caller.
	NoJitter
)

var jitterText = [...]string{FullJitter: "full", EqualJitter: "equal", NoJitter: "none"}

// String returns the text form, or "Jitter(n)" for a number that is not a Jitter.
func (j Jitter) String() string {
	if int(j) < len(jitterText) {
		return jitterText[j]
	}
	return fmt.Sprintf("Jitter(%d)", uint8(j))
}

// MarshalText returns the text form, or an error for a number that is not a Jitter.
func (j Jitter) MarshalText() ([]byte, error) {
	if int(j) < len(jitterText) {
		return []byte(jitterText[j]), nil
	}
	return nil, refuse("Jitter", j.String(), "full, equal or none")
}

// UnmarshalText reads the text form, exactly as MarshalText writes it. On an error j keeps its value.
func (j *Jitter) UnmarshalText(text []byte) error {
	for i, name := range jitterText {
		if name == string(text) {
			*j = Jitter(i)
			return nil
		}
	}
	return refuse("Jitter", fmt.Sprintf("%q", text), "full, equal or none")
}

// above draws what is waited beyond the time that an error asked for, so that all who were told the same do not come back
// in one instant: up to half of that time, and up to half of what is then left, for an attempt to be made in.
func (j Jitter) above(after, left time.Duration, draw func(n uint64) uint64) time.Duration {
	if j == NoJitter {
		return 0
	}
	return time.Duration(draw(uint64(min(after, left-after)/2) + 1))
}

// spread draws a wait from the backoff d; draw(n) is uniform in [0, n).
func (j Jitter) spread(d time.Duration, draw func(n uint64) uint64) time.Duration {
	switch j {
	case FullJitter:
		return time.Duration(draw(uint64(d) + 1))
	case EqualJitter:
		return d - time.Duration(draw(uint64(d/2)+1))
	default:
		return d
	}
}
