package breaker

import (
	"fmt"
	"time"

	"github.com/commontrip/commontrip/store"
)

// Timing is how a Manager deals with its store. Each zero field takes its default; all are 0 or 1 ms..24 h. On a local
// store (one that is no I/O away) outcomes are judged in the caller, and only RefreshInterval is read.
type Timing struct {
	FlushInterval   time.Duration // the longest that an outcome waits to be reported, unless the store asks for more; default 20 ms
	RefreshInterval time.Duration // how often a breaker in use is compared with the store, idle ones ten times less; default 1 s
	StaleAfter      time.Duration // without an answer for so long the replica's own verdict rules, and what is pending is dropped; default 3 s
	StartTimeout    time.Duration // the longest that Register waits for the fleet's verdict; default 1 s
	ClaimTimeout    time.Duration // the longest that one call waits for a probe's lease; default 100 ms
}

// WithDefaults fills each zero field.
func (t Timing) WithDefaults() Timing {
	for _, f := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&t.FlushInterval, 20 * time.Millisecond},
		{&t.RefreshInterval, time.Second},
		{&t.StaleAfter, 3 * time.Second},
		{&t.StartTimeout, time.Second},
		{&t.ClaimTimeout, 100 * time.Millisecond},
	} {
		if *f.field == 0 {
			*f.field = f.value
		}
	}
	return t
}

// Validate reports the first bad field, in order of declaration, as a *[TimingError].
func (t Timing) Validate() error {
	for _, f := range []struct {
		name  string
		value time.Duration
	}{
		{"FlushInterval", t.FlushInterval},
		{"RefreshInterval", t.RefreshInterval},
		{"StaleAfter", t.StaleAfter},
		{"StartTimeout", t.StartTimeout},
		{"ClaimTimeout", t.ClaimTimeout},
	} {
		if f.value != 0 && (f.value < time.Millisecond || f.value > 24*time.Hour) {
			return &TimingError{Field: f.name, Value: f.value.String(), Range: "1ms..24h, or 0 for the default"}
		}
	}
	return nil
}

// exchange is the longest that one exchange with the store takes.
func (t Timing) exchange() time.Duration { return max(t.StaleAfter/3, time.Millisecond) }

// heartbeat is how often a lane is asked something, so that its freshness never lapses while its store answers.
func (t Timing) heartbeat() time.Duration { return min(t.RefreshInterval, t.exchange()) }

// claimWait is how long a call waits for a lease: a little less than it may, since timers are late.
func (t Timing) claimWait() time.Duration { return t.ClaimTimeout / 20 * 19 }

// TimingError is one bad field of a [Timing]. It is a [store.ErrInvalid].
type TimingError struct {
	Field string // the field's Go name, such as "StaleAfter"
	Value string // what was given
	Range string // what would be accepted
}

func (e *TimingError) Error() string {
	return fmt.Sprintf("timing: %s is %s; want %s", e.Field, e.Value, e.Range)
}

// Is reports that a TimingError is a store.ErrInvalid.
func (e *TimingError) Is(target error) bool { return target == store.ErrInvalid }
