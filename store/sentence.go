package store

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Sentence puts the transition into words: who did it or which rule held, what became of the breaker, why, with the
// numbers, the error labels and the replicas that saw it. It is one line without a full stop, whatever the names and
// notes contain, such as
//
//	mcp opened because 62 of the last 100 calls failed (62 %); errors: 21 x 503, 11 x timeout; seen by web-7 and web-9
//	oncall forced mcp open: INC-42
//
// Logs, the command line and the dashboard all show these words, and the JSON form carries them as "sentence". They are
// for people and may change. A program reads the fields.
func (t Transition) Sentence() string {
	if t.Action != 0 {
		return printable(t.commanded())
	}
	return printable(t.happened())
}

// commanded says what an operator did.
func (t *Transition) commanded() string {
	by, name := orElse(t.Cause, "somebody"), t.subject()
	s := by + " "
	switch t.Action {
	case ForceOpen:
		s += "forced " + name + " open"
	case ForceClosed:
		s += "forced " + name + " closed"
	case Lift:
		s += "lifted the forced mode of " + name + ", which is now " + t.To.String()
	case Trip:
		s += "tripped " + name
	case Reset:
		s += "reset " + name + ", which is now " + t.To.String()
	case Retune:
		s += "retuned the policy of " + name
	case Restore:
		s += "gave " + name + " the fleet's policy again"
	default:
		s += "gave " + name + " the command " + t.Action.String()
	}
	return s + after(": ", t.Why)
}

// happened says what a rule, a probe, the time or a repair did.
func (t *Transition) happened() string {
	name, w := t.subject(), t.Window
	switch t.Reason {
	case ByConsecutiveFailures:
		if w.Consecutive == 1 {
			return name + " " + t.became() + " because a call failed" + t.evidence()
		}
		return fmt.Sprintf("%s %s because %d calls in a row failed", name, t.became(), w.Consecutive) + t.evidence()
	case ByFailureRate:
		return fmt.Sprintf("%s %s because %d of the last %d calls failed (%s)", name, t.became(), w.Failures, w.Calls,
			percent(w.Failures, w.Calls)) + t.evidence()
	case BySlowCallRate:
		return fmt.Sprintf("%s %s because %d of the last %d calls were slow (%s)", name, t.became(), w.Slow, w.Calls,
			percent(w.Slow, w.Calls)) + t.evidence()
	case ByProbeFailure:
		return name + " " + t.became() + " because probes failed" + t.evidence()
	case ByProbeSuccesses:
		return name + " " + t.became() + " because enough probes succeeded" + after("; the last one by ", display(t.Cause))
	case ByTime:
		return name + " " + t.ended() + after("; noticed by ", display(t.Cause))
	case ByRepair:
		return t.repaired()
	case ByOperator, "": // an event of a replica's own verdict has a note and no action
		return name + " " + t.became() + after(" because ", t.Why)
	default: // of a newer version
		return name + " " + t.became() + " because of " + string(t.Reason) + after(": ", t.Why) + t.evidence()
	}
}

func (t *Transition) subject() string { return orElse(t.Name, "the breaker") }

// became says which state came of a change of state.
func (t *Transition) became() string {
	switch {
	case t.To == HalfOpen:
		return "became half-open"
	case t.To == Open && t.From != Closed:
		return "opened again"
	case t.To == Open:
		return "opened"
	default:
		return "closed"
	}
}

// ended says what came of a time that is over: a timed policy's, an opening's or a forced mode's. A forced open whose
// breaker was open below it reads as an opening: the two end alike.
func (t *Transition) ended() string {
	switch {
	case t.Prev == t.Generation:
		return "follows the fleet's policy again because the time of the retuned policy is over"
	case t.From == Open && t.To == HalfOpen:
		return "became half-open because its open time is over"
	case t.From == t.To:
		return "is " + t.To.String() + " again because the time of its forced mode is over"
	default:
		return t.became() + " because the time of its forced mode is over"
	}
}

// repaired says that a store learned from a replica what it had lost. A half-open whose leases it lost opens.
func (t *Transition) repaired() string {
	by := orElse(display(t.Cause), "a replica")
	if t.From == t.To {
		return by + " told the store that " + t.subject() + " is " + t.To.String() + ", because the store had lost it"
	}
	return t.subject() + " " + t.became() + " because the store had lost its probes; told by " + by
}

// evidence is which errors came up and who saw them.
func (t *Transition) evidence() string {
	var s string
	if len(t.Errors) > 0 {
		tallies := make([]string, len(t.Errors))
		for i, e := range t.Errors {
			tallies[i] = strconv.Itoa(e.Count) + " x " + e.Label
		}
		s = "; errors: " + strings.Join(tallies, ", ")
	}
	if len(t.Witnesses) == 0 {
		return s + after("; reported by ", display(t.Cause))
	}
	names := make([]string, len(t.Witnesses))
	for i, w := range t.Witnesses {
		names[i] = display(w)
	}
	return s + "; seen by " + listed(names)
}

// listed puts one name or more in a row: "a, b and c".
func listed(names []string) string {
	last := len(names) - 1
	if last == 0 {
		return names[0]
	}
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// display is a replica's name without the letters that tell its incarnations apart.
func display(replica string) string {
	if i := strings.LastIndexByte(replica, '#'); i > 0 {
		return replica[:i]
	}
	return replica
}

// percent has one digit after the point if it is not a whole number.
func percent(part, whole int) string {
	if whole <= 0 {
		return "0 %"
	}
	text := strconv.FormatFloat(float64(part)*100/float64(whole), 'f', 1, 64)
	return strings.TrimSuffix(text, ".0") + " %"
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// after gives s behind what introduces it, and nothing if s is empty.
func after(introduction, s string) string {
	if s == "" {
		return ""
	}
	return introduction + s
}

// printable replaces what is not UTF-8 and what could break or turn a line.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(s, string(utf8.RuneError)))
}
