package health

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// Health is what a Monitor believes of a tier. The zero value is Unknown.
type Health uint8

// The three healths.
const (
	Unknown Health = iota // too few checks so far; guards admit
	Up                    // UpAfter checks in a row succeeded
	Down                  // DownAfter checks in a row failed; guards refuse
)

var healthTexts = []string{"unknown", "up", "down"}

func (h Health) String() string {
	if int(h) < len(healthTexts) {
		return healthTexts[h]
	}
	return fmt.Sprintf("Health(%d)", uint8(h))
}

// MarshalText gives "unknown", "up" or "down".
func (h Health) MarshalText() ([]byte, error) {
	if int(h) >= len(healthTexts) {
		return nil, fmt.Errorf("health is %d; want 0..%d", uint8(h), len(healthTexts)-1)
	}
	return []byte(healthTexts[h]), nil
}

// UnmarshalText reads what MarshalText gives.
func (h *Health) UnmarshalText(text []byte) error {
	i := slices.Index(healthTexts, string(text))
	if i < 0 {
		return fmt.Errorf("health is %q; want one of %q", text, healthTexts)
	}
	*h = Health(i)
	return nil
}

// Status is what is known of one tier. A check that its breaker refused changes none of it.
type Status struct {
	Name    string
	Health  Health
	Since   time.Time     // when Health became what it is; for Unknown, when the Monitor was made
	Checked time.Time     // when the last check ended; zero = never
	Took    time.Duration // how long it took; for one that did not return, how long it has been running
	Streak  int           // how many checks in a row ended as the last one did, well or badly
	Err     error         // why the last check failed; nil = it did not
}

// after is the status after one more check that ended now with err, as cfg judges it.
func (s Status) after(cfg Config, now time.Time, took time.Duration, err error) Status {
	if (err == nil) != (s.Err == nil) {
		s.Streak = 0
	}
	s.Checked, s.Took, s.Err = now, took, err
	s.Streak++
	verdict, need := Up, cfg.UpAfter
	if err != nil {
		verdict, need = Down, cfg.DownAfter
	}
	if s.Health != verdict && s.Streak >= need {
		s.Health, s.Since = verdict, now
	}
	return s
}

// Why a check failed, if it did not say so itself.
var (
	errPanic  = errors.New("the check panicked")
	errGoexit = fmt.Errorf("%w: runtime.Goexit", errPanic)
)

// problem is the kind of failure, fit to be shown to anybody: "timeout", "panic", "failed", or "" for none.
func (s Status) problem() string {
	switch {
	case s.Err == nil:
		return ""
	case errors.Is(s.Err, errPanic):
		return "panic"
	case errors.Is(s.Err, context.DeadlineExceeded):
		return "timeout"
	default:
		return "failed"
	}
}

// MarshalJSON gives the form that is fit to be shown to anybody: no error text, but "problem" ("timeout", "panic" or
// "failed"; absent after a success). "took_ms" is in whole milliseconds; "checked" is absent before the first check.
func (s Status) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Name    string    `json:"name"`
		Health  Health    `json:"health"`
		Since   time.Time `json:"since"`
		Checked time.Time `json:"checked,omitzero"`
		TookMS  int64     `json:"took_ms"`
		Streak  int       `json:"streak"`
		Problem string    `json:"problem,omitempty"`
	}{s.Name, s.Health, s.Since, s.Checked, s.Took.Milliseconds(), s.Streak, s.problem()})
}

// LogValue makes s a group for slog, the error's text included.
func (s Status) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("name", s.Name),
		slog.String("health", s.Health.String()),
		slog.Duration("took", s.Took),
		slog.Int("streak", s.Streak),
	}
	if s.Err != nil {
		attrs = append(attrs, slog.String("err", s.Err.Error()))
	}
	return slog.GroupValue(attrs...)
}
