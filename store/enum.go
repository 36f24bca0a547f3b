package store

import "fmt"

// State is the position of a breaker. The zero value is Closed.
type State uint8

// The three states.
const (
	Closed   State = iota // calls go through and are judged
	Open                  // calls are refused until the open time is over
	HalfOpen              // a few leased probes decide
)

// Mode is what an operator's standing command makes of a breaker, whatever its state. The zero value is Auto.
type Mode uint8

// The three modes.
const (
	Auto         Mode = iota // no command stands: the state rules
	ForcedOpen               // all calls are refused
	ForcedClosed             // all calls are admitted
)

// Outcome is how a call ended. The zero value is none of them and is refused, so that a forgotten field is not a success.
type Outcome uint8

// The three outcomes.
const (
	Success Outcome = iota + 1
	Failure
	Ignored // says nothing about the tier: enters no window, breaks no streak
)

// Action is what a [Command] does. The zero value is none and is refused.
type Action uint8

// The seven actions.
const (
	ForceOpen   Action = iota + 1 // refuse every call, until For is over or Lift; then half-open
	ForceClosed                   // admit every call, until For is over or Lift; then closed with an empty window
	Lift                          // end a forced mode now, as its time would
	Trip                          // open once, as a rule would; For replaces the open time
	Reset                         // close, and forget window and backoff
	Retune                        // this policy for all, until For is over or Restore
	Restore                       // end a retuned policy now, as its time would
)

// Reason says why a transition happened.
type Reason string

// The reasons.
const (
	ByConsecutiveFailures Reason = "consecutive-failures"
	ByFailureRate         Reason = "failure-rate"
	BySlowCallRate        Reason = "slow-call-rate"
	ByProbeFailure        Reason = "probe-failure"
	ByProbeSuccesses      Reason = "probe-successes"
	ByTime                Reason = "time"
	ByOperator            Reason = "operator"
	ByRepair              Reason = "repair" // a store that had lost it was told by a replica
)

var (
	stateTexts   = []string{"closed", "open", "half-open"}
	modeTexts    = []string{"auto", "forced-open", "forced-closed"}
	outcomeTexts = []string{"", "success", "failure", "ignored"}
	actionTexts  = []string{"", "force-open", "force-closed", "lift", "trip", "reset", "retune", "restore"}
)

func (s State) String() string   { return enumString("State", stateTexts, uint8(s)) }
func (m Mode) String() string    { return enumString("Mode", modeTexts, uint8(m)) }
func (o Outcome) String() string { return enumString("Outcome", outcomeTexts, uint8(o)) }
func (a Action) String() string  { return enumString("Action", actionTexts, uint8(a)) }

// MarshalText gives "closed", "open" or "half-open".
func (s State) MarshalText() ([]byte, error) { return marshalEnum("state", stateTexts, uint8(s)) }

// UnmarshalText reads what MarshalText gives.
func (s *State) UnmarshalText(text []byte) error {
	return unmarshalEnum("state", stateTexts, text, (*uint8)(s))
}

// MarshalText gives "auto", "forced-open" or "forced-closed".
func (m Mode) MarshalText() ([]byte, error) { return marshalEnum("mode", modeTexts, uint8(m)) }

// UnmarshalText reads what MarshalText gives.
func (m *Mode) UnmarshalText(text []byte) error {
	return unmarshalEnum("mode", modeTexts, text, (*uint8)(m))
}

// MarshalText gives "success", "failure" or "ignored"; the zero value is the empty text.
func (o Outcome) MarshalText() ([]byte, error) {
	return marshalEnum("outcome", outcomeTexts, uint8(o))
}

// UnmarshalText reads what MarshalText gives.
func (o *Outcome) UnmarshalText(text []byte) error {
	return unmarshalEnum("outcome", outcomeTexts, text, (*uint8)(o))
}

// MarshalText gives the action's text, such as "force-open"; the zero value is the empty text.
func (a Action) MarshalText() ([]byte, error) { return marshalEnum("action", actionTexts, uint8(a)) }

// UnmarshalText reads what MarshalText gives.
func (a *Action) UnmarshalText(text []byte) error {
	return unmarshalEnum("action", actionTexts, text, (*uint8)(a))
}

func enumString(kind string, texts []string, v uint8) string {
	if int(v) < len(texts) && texts[v] != "" {
		return texts[v]
	}
	return fmt.Sprintf("%s(%d)", kind, v)
}

func marshalEnum(kind string, texts []string, v uint8) ([]byte, error) {
	if int(v) >= len(texts) {
		return nil, fmt.Errorf("%w: %s is %d; want 0..%d", ErrInvalid, kind, v, len(texts)-1)
	}
	return []byte(texts[v]), nil
}

func unmarshalEnum(kind string, texts []string, text []byte, v *uint8) error {
	for i, t := range texts {
		if t == string(text) {
			*v = uint8(i)
			return nil
		}
	}
	return fmt.Errorf("%w: %s is %q; want one of %q", ErrInvalid, kind, text, texts)
}
