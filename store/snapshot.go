package store

import (
	"fmt"
	"reflect"
	"time"
)

// Tally counts the calls of a window.
type Tally struct {
	Calls, Failures, Slow int
	Consecutive           int // failures in a row, in order of arrival; with a window of time at most its failures
}

// Totals count since the breaker was made. Each outcome is in exactly one of Late, Ignored and Calls; Failures and Slow
// are parts of Calls. A slow call that its caller gave up is in Calls and Slow, not in Ignored.
type Totals struct {
	Calls, Failures, Slow, Ignored uint64
	Late                           uint64 // too old, or of an older generation: never judged
	Rejected                       uint64 // calls that replicas refused
}

// ErrorCount is how often a label came up.
type ErrorCount struct {
	Label string
	Count int
}

// Note says who commanded something that stands, and until when.
type Note struct {
	By, Why string
	At      time.Time     // by the store's clock, for display
	Timed   bool          // false: until lifted
	EndsIn  time.Duration // if Timed; 0 = over, the next script ends it
}

// Snapshot is what a store holds about one breaker, as of now.
type Snapshot struct {
	Name                    string
	State                   State
	Mode                    Mode
	Generation, Rev         uint64
	Since                   time.Time     // when this state began, by the store's clock, for display
	Age                     time.Duration // time in this state, for arithmetic
	RetryIn                 time.Duration // what is left of the open time; 0 in other states
	Reason                  Reason        // of the last transition
	Cause                   string        // the replica or operator of the last transition
	Openings                int           // consecutive openings: the backoff's step
	Window                  Tally
	Errors                  []ErrorCount // of this generation, the most frequent 8
	Probing, ProbeSuccesses int          // live leases; successful probes of this half-open
	Replicas                int          // that reported in this half minute or the one before
	Totals                  Totals
	Policy                  Policy // in force
	Retuned                 bool   // Policy is an operator's
	PolicyConflict          bool   // a replica reports another policy than the fleet's
	ModeNote, PolicyNote    Note
}

// Effective is the state that rules calls: a forced mode first, then Closed if the policy only observes, then State.
func (s Snapshot) Effective() State {
	switch {
	case s.Mode == ForcedOpen:
		return Open
	case s.Mode == ForcedClosed, s.Policy.Observe:
		return Closed
	default:
		return s.State
	}
}

// Clock is what the store's clock said when it gave s, for a [Report]'s SentAt. Zero: s does not tell.
func (s Snapshot) Clock() time.Time {
	if s.Since.IsZero() {
		return time.Time{}
	}
	return s.Since.Add(s.Age)
}

// Known is s as a request carries it, to repair a store that has lost it since.
func (s Snapshot) Known() Known {
	k := Known{
		Generation: s.Generation, Rev: s.Rev, State: s.State, Reason: s.Reason, Cause: s.Cause, RetryIn: s.RetryIn,
		Openings: s.Openings, Mode: s.Mode, ModeNote: s.ModeNote, Retuned: s.Retuned, PolicyNote: s.PolicyNote,
	}
	if s.Retuned {
		k.Policy = s.Policy
	}
	return k
}

// Transition is one entry of a breaker's history: a change of state, or a command that changed mode or policy (From =
// To).
type Transition struct {
	Name             string
	From, To         State
	Mode             Mode      // after it
	Prev, Generation uint64    // the generation before it, and its own
	Rev              uint64    // after it
	Action           Action    // the command; 0 = none
	At               time.Time // by the store's clock, for display
	Reason           Reason
	Cause, Why       string       // the replica whose report made it, or the operator, with why
	Window           Tally        // just before it
	Errors           []ErrorCount // just before it
	Witnesses        []string     // replicas whose outcomes counted, at most 8
}

// Effective is the state that rules calls after t, as [Snapshot.Effective], but for a policy that only observes: t does not
// tell of it.
func (t Transition) Effective() State { return Snapshot{State: t.To, Mode: t.Mode}.Effective() }

// Version is the two numbers that order everything about one breaker.
type Version struct {
	Name            string
	Generation, Rev uint64
}

// Replica is one entry of a breaker's roster.
type Replica struct {
	Name            string
	Seen            time.Duration // ago
	Calls, Failures uint64        // that it reported
	OwnOpen         bool          // its own verdict is open
	Conflict        bool          // its policy is not the fleet's
	Policy, Agreed  Policy        // if Conflict: its policy, and the fleet's; zero if the store does not tell, as one of an older release
}

// Differences says in which fields r's policy differs from the fleet's, such as "OpenFor 30s here, 10s agreed". It is nil if there
// is not a difference, or if the store does not tell.
func (r Replica) Differences() []string {
	var out []string
	here, agreed := reflect.ValueOf(r.Policy), reflect.ValueOf(r.Agreed)
	for i := range here.NumField() {
		if h, a := here.Field(i).Interface(), agreed.Field(i).Interface(); h != a {
			out = append(out, fmt.Sprintf("%s %v here, %v agreed", here.Type().Field(i).Name, h, a))
		}
	}
	return out
}
