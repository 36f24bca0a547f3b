package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// The one JSON form: snake case, durations as integer milliseconds (rounded up) in names that end in _ms, times as RFC
// 3339, a zero time left out. Reading a Command is strict: a field that it does not know is refused, since a misspelt
// "for_ms" would force a fleet without end. What is read as an answer may have grown fields.

// millis is a duration in its JSON form.
type millis time.Duration

func (m millis) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "%d", roundUp(time.Duration(m), time.Millisecond)/time.Millisecond), nil
}

func (m *millis) UnmarshalJSON(data []byte) error {
	var n int64
	if err := json.Unmarshal(data, &n); err != nil {
		return err
	}
	const limit = math.MaxInt64 / int64(time.Millisecond)
	if n < -limit || n > limit {
		return invalid("duration", n, fmt.Sprintf("at most %d ms", limit))
	}
	*m = millis(n) * millis(time.Millisecond)
	return nil
}

type policyJSON struct {
	WindowCalls         int     `json:"window_calls"`
	WindowTime          millis  `json:"window_time_ms"`
	ConsecutiveFailures int     `json:"consecutive_failures"`
	ConsecutiveFor      millis  `json:"consecutive_for_ms"`
	FailureRate         float64 `json:"failure_rate"`
	SlowCallRate        float64 `json:"slow_call_rate"`
	SlowCallAfter       millis  `json:"slow_call_after_ms"`
	MinCalls            int     `json:"min_calls"`
	Reporters           int     `json:"reporters"`
	OpenFor             millis  `json:"open_for_ms"`
	OpenForMax          millis  `json:"open_for_max_ms"`
	Probes              int     `json:"probes"`
	ProbeSuccesses      int     `json:"probe_successes"`
	ProbeLease          millis  `json:"probe_lease_ms"`
	RampUp              millis  `json:"ramp_up_ms"`
	Observe             bool    `json:"observe"`
}

// MarshalJSON gives the one JSON form.
func (p Policy) MarshalJSON() ([]byte, error) {
	return json.Marshal(policyJSON{
		p.WindowCalls, millis(p.WindowTime), p.ConsecutiveFailures, millis(p.ConsecutiveFor), p.FailureRate,
		p.SlowCallRate, millis(p.SlowCallAfter), p.MinCalls, p.Reporters, millis(p.OpenFor), millis(p.OpenForMax),
		p.Probes, p.ProbeSuccesses, millis(p.ProbeLease), millis(p.RampUp), p.Observe,
	})
}

// UnmarshalJSON reads the one JSON form; fields left out are zero. It does not validate.
func (p *Policy) UnmarshalJSON(data []byte) error {
	var j policyJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	*p = j.policy()
	return nil
}

func (j policyJSON) policy() Policy {
	return Policy{
		j.WindowCalls, time.Duration(j.WindowTime), j.ConsecutiveFailures, time.Duration(j.ConsecutiveFor), j.FailureRate,
		j.SlowCallRate, time.Duration(j.SlowCallAfter), j.MinCalls, j.Reporters, time.Duration(j.OpenFor),
		time.Duration(j.OpenForMax), j.Probes, j.ProbeSuccesses, time.Duration(j.ProbeLease), time.Duration(j.RampUp), j.Observe,
	}
}

type commandJSON struct {
	Name   string  `json:"name"`
	Action Action  `json:"action"`
	Policy *Policy `json:"policy,omitempty"`
	For    millis  `json:"for_ms,omitempty"`
	By     string  `json:"by,omitempty"`
	Why    string  `json:"why,omitempty"`
}

// MarshalJSON gives the one JSON form; a zero policy, end, operator and reason are left out.
func (c Command) MarshalJSON() ([]byte, error) {
	j := commandJSON{c.Name, c.Action, nil, millis(c.For), c.By, c.Why}
	if c.Policy != (Policy{}) {
		j.Policy = &c.Policy
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads the one JSON form and refuses fields that it does not know. It does not validate.
func (c *Command) UnmarshalJSON(data []byte) error {
	var j struct {
		commandJSON
		Policy policyJSON `json:"policy"` // shadows the lenient one
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&j); err != nil {
		return fmt.Errorf("%w: command: %w", ErrInvalid, err)
	}
	*c = Command{Name: j.Name, Action: j.Action, Policy: j.Policy.policy(), For: time.Duration(j.For), By: j.By, Why: j.Why}
	return nil
}

type noteJSON struct {
	By     string    `json:"by"`
	Why    string    `json:"why"`
	At     time.Time `json:"at,omitzero"`
	Timed  bool      `json:"timed"`
	EndsIn millis    `json:"ends_in_ms"`
}

// MarshalJSON gives the one JSON form.
func (n Note) MarshalJSON() ([]byte, error) {
	return json.Marshal(noteJSON{n.By, n.Why, n.At, n.Timed, millis(n.EndsIn)})
}

// UnmarshalJSON reads the one JSON form.
func (n *Note) UnmarshalJSON(data []byte) error {
	var j noteJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	*n = Note{j.By, j.Why, j.At, j.Timed, time.Duration(j.EndsIn)}
	return nil
}

type tallyJSON struct {
	Calls       int `json:"calls"`
	Failures    int `json:"failures"`
	Slow        int `json:"slow"`
	Consecutive int `json:"consecutive"`
}

type totalsJSON struct {
	Calls    uint64 `json:"calls"`
	Failures uint64 `json:"failures"`
	Slow     uint64 `json:"slow"`
	Ignored  uint64 `json:"ignored"`
	Late     uint64 `json:"late"`
	Rejected uint64 `json:"refused"`
}

type errorCountJSON struct {
	Label string `json:"label"`
	Count int    `json:"count"`
}

type snapshotJSON struct {
	Name           string           `json:"name"`
	State          State            `json:"state"`
	Mode           Mode             `json:"mode"`
	Effective      State            `json:"effective"`
	Generation     uint64           `json:"generation"`
	Rev            uint64           `json:"rev"`
	Since          time.Time        `json:"since,omitzero"`
	Age            millis           `json:"age_ms"`
	RetryIn        millis           `json:"retry_in_ms"`
	Reason         Reason           `json:"reason"`
	Cause          string           `json:"cause"`
	Openings       int              `json:"openings"`
	Window         tallyJSON        `json:"window"`
	Errors         []errorCountJSON `json:"errors"`
	Probing        int              `json:"probing"`
	ProbeSuccesses int              `json:"probe_successes"`
	Replicas       int              `json:"replicas"`
	Totals         totalsJSON       `json:"totals"`
	Policy         Policy           `json:"policy"`
	Retuned        bool             `json:"retuned"`
	PolicyConflict bool             `json:"policy_conflict"`
	ModeNote       *Note            `json:"mode_note,omitempty"`   // if Mode stands
	PolicyNote     *Note            `json:"policy_note,omitempty"` // if Retuned
}

// MarshalJSON gives the one JSON form, with the derived field "effective" beside "state".
func (s Snapshot) MarshalJSON() ([]byte, error) {
	j := snapshotJSON{
		Name: s.Name, State: s.State, Mode: s.Mode, Effective: s.Effective(), Generation: s.Generation, Rev: s.Rev,
		Since: s.Since, Age: millis(s.Age), RetryIn: millis(s.RetryIn), Reason: s.Reason, Cause: s.Cause,
		Openings: s.Openings, Window: tallyJSON(s.Window), Errors: errorsToJSON(s.Errors),
		Probing: s.Probing, ProbeSuccesses: s.ProbeSuccesses, Replicas: s.Replicas, Totals: totalsJSON(s.Totals),
		Policy: s.Policy, Retuned: s.Retuned, PolicyConflict: s.PolicyConflict,
	}
	if s.ModeNote != (Note{}) {
		j.ModeNote = &s.ModeNote
	}
	if s.PolicyNote != (Note{}) {
		j.PolicyNote = &s.PolicyNote
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads the one JSON form.
func (s *Snapshot) UnmarshalJSON(data []byte) error {
	var j snapshotJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	*s = Snapshot{
		Name: j.Name, State: j.State, Mode: j.Mode, Generation: j.Generation, Rev: j.Rev,
		Since: j.Since, Age: time.Duration(j.Age), RetryIn: time.Duration(j.RetryIn), Reason: j.Reason, Cause: j.Cause,
		Openings: j.Openings, Window: Tally(j.Window), Errors: errorsFromJSON(j.Errors),
		Probing: j.Probing, ProbeSuccesses: j.ProbeSuccesses, Replicas: j.Replicas, Totals: Totals(j.Totals),
		Policy: j.Policy, Retuned: j.Retuned, PolicyConflict: j.PolicyConflict,
	}
	if j.ModeNote != nil {
		s.ModeNote = *j.ModeNote
	}
	if j.PolicyNote != nil {
		s.PolicyNote = *j.PolicyNote
	}
	return nil
}

// past is a state, mode or action that an answer tells of. One of a newer release is written as String prints it, and any text
// that is not known is read as the greatest value: what happened is told all the same.
type past[T interface {
	State | Mode | Action
	fmt.Stringer
}] struct{ is T }

func (p past[T]) MarshalText() ([]byte, error) { return []byte(p.is.String()), nil }

func (p *past[T]) UnmarshalText(text []byte) error {
	for v := range 255 {
		if p.is = T(v); p.is.String() == string(text) {
			return nil
		}
	}
	p.is = ^T(0)
	return nil
}

type transitionJSON struct {
	Name       string           `json:"name"`
	From       past[State]      `json:"from"`
	To         past[State]      `json:"to"`
	Mode       past[Mode]       `json:"mode"`
	Prev       uint64           `json:"prev"`
	Generation uint64           `json:"generation"`
	Rev        uint64           `json:"rev"`
	Action     past[Action]     `json:"action,omitzero"`
	At         time.Time        `json:"at,omitzero"`
	Reason     Reason           `json:"reason"`
	Cause      string           `json:"cause"`
	Why        string           `json:"why,omitempty"`
	Window     tallyJSON        `json:"window"`
	Errors     []errorCountJSON `json:"errors"`
	Witnesses  []string         `json:"witnesses"`
	Sentence   string           `json:"sentence"` // written, not read: it follows from the other fields
}

// MarshalJSON gives the one JSON form, with the derived field "sentence".
func (t Transition) MarshalJSON() ([]byte, error) {
	return json.Marshal(transitionJSON{
		t.Name,
		past[State]{t.From},
		past[State]{t.To},
		past[Mode]{t.Mode},
		t.Prev, t.Generation, t.Rev,
		past[Action]{t.Action},
		t.At, t.Reason, t.Cause, t.Why,
		tallyJSON(t.Window), errorsToJSON(t.Errors), append([]string{}, t.Witnesses...), t.Sentence(),
	})
}

// UnmarshalJSON reads the one JSON form. The sentence may be missing.
func (t *Transition) UnmarshalJSON(data []byte) error {
	var j transitionJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	*t = Transition{
		j.Name, j.From.is, j.To.is, j.Mode.is, j.Prev, j.Generation, j.Rev, j.Action.is, j.At, j.Reason, j.Cause, j.Why,
		Tally(j.Window), errorsFromJSON(j.Errors), append([]string(nil), j.Witnesses...),
	}
	return nil
}

func errorsToJSON(errs []ErrorCount) []errorCountJSON {
	out := make([]errorCountJSON, len(errs))
	for i, e := range errs {
		out[i] = errorCountJSON(e)
	}
	return out
}

func errorsFromJSON(errs []errorCountJSON) []ErrorCount {
	var out []ErrorCount
	for _, e := range errs {
		out = append(out, ErrorCount(e))
	}
	return out
}

// MarshalJSON gives the one JSON form: snapshot, made if there is one, again_ms, and error, the text of Err, if there is one.
func (r Result) MarshalJSON() ([]byte, error) {
	text := ""
	if r.Err != nil {
		text = r.Err.Error()
	}
	return json.Marshal(struct {
		Snapshot Snapshot    `json:"snapshot"`
		Made     *Transition `json:"made,omitempty"`
		Again    millis      `json:"again_ms"`
		Error    string      `json:"error,omitempty"`
	}{r.Snapshot, r.Made, millis(r.Again), text})
}
