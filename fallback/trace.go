package fallback

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Trace says how a request went through a chain.
type Trace struct {
	Tier     string        // that served; "" if none did
	Attempts []Attempt     // the tiers that were asked and did not serve, in order; not to be changed
	Elapsed  time.Duration // of all of it
}

// Attempt is a tier that did not serve.
type Attempt struct {
	Tier    string
	Skipped bool  // a guard refused: the tier was not asked
	Err     error // the guard's, or the tier's; ErrPanic for a panic or Goexit
	Elapsed time.Duration
}

// String returns the trace as one sentence.
func (t Trace) String() string {
	var s strings.Builder
	if t.Tier != "" {
		s.WriteString("served by " + t.Tier)
	} else {
		s.WriteString("served by none")
	}
	s.WriteString(" in " + t.Elapsed.String())
	for i, a := range t.Attempts {
		s.WriteString([]string{", ", "; "}[min(i, 1)])
		s.WriteString(a.String())
	}
	return s.String()
}

// String returns the attempt as a clause: the tier, whether it was skipped or failed, and why.
func (a Attempt) String() string {
	how := " failed"
	if a.Skipped {
		how = " skipped"
	}
	return fmt.Sprintf("%s%s after %v: %v", a.Tier, how, a.Elapsed, a.Err)
}

// MarshalJSON gives tier, attempts and elapsed_ms, in whole milliseconds.
func (t Trace) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Tier      string    `json:"tier"`
		Attempts  []Attempt `json:"attempts,omitempty"`
		ElapsedMS int64     `json:"elapsed_ms"`
	}{t.Tier, t.Attempts, t.Elapsed.Milliseconds()})
}

// MarshalJSON gives tier, skipped, error, the text of Err, and elapsed_ms, in whole milliseconds.
func (a Attempt) MarshalJSON() ([]byte, error) {
	text := ""
	if a.Err != nil {
		text = a.Err.Error()
	}
	return json.Marshal(struct {
		Tier      string `json:"tier"`
		Skipped   bool   `json:"skipped"`
		Error     string `json:"error,omitempty"`
		ElapsedMS int64  `json:"elapsed_ms"`
	}{a.Tier, a.Skipped, text, a.Elapsed.Milliseconds()})
}
