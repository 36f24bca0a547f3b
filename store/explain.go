package store

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Explanation is what an operator asks about a breaker, in words: why it is not closed and since when, what comes next, and
// what its replicas do on their own. Each text is one line without a full stop, whatever names and notes contain. A text that
// has nothing to say is empty, and a time beside it is then zero. Times in the texts are UTC, by the store's clock; the
// fields beside them are for showing them in another zone too.
//
// The command line and the dashboard both show these words. They are for people and may change. A program reads the
// [Snapshot].
type Explanation struct {
	State    string    `json:"state,omitempty"` // such as "not closed since 20:21:03 UTC"; empty if it is closed
	Since    time.Time `json:"since,omitzero"`
	Cause    string    `json:"cause,omitempty"`  // the sentence of what made it so
	Latest   string    `json:"latest,omitempty"` // the sentence of the last thing that happened since then, if anything did
	LatestAt time.Time `json:"latest_at,omitzero"`
	Next     string    `json:"next,omitempty"` // such as "the first probe may go at 20:22:03 UTC"
	NextAt   time.Time `json:"next_at,omitzero"`
	Own      string    `json:"own,omitempty"`      // such as "3 of 3 replicas refuse by their own verdict"
	Policies string    `json:"policies,omitempty"` // such as "web-7 reports another policy than the fleet's: OpenFor 30s here, 10s agreed"
}

// Explain puts s into words. The history is [Store.History], newest first, and the roster is [Store.Roster]. Either may be
// left out, or be older or newer than s by what happened between two reads: the explanation then says less. Without a history
// it has no Cause.
func (s Snapshot) Explain(history []Transition, roster []Replica) Explanation {
	var e Explanation
	switch {
	case s.Mode == ForcedClosed:
		e.explainForcedClosed(s)
	case s.Mode == ForcedOpen, s.State != Closed:
		e.explainNotClosed(s, s.notClosed(history))
	}
	e.explainNext(s)
	if s.Mode == Auto && !s.Policy.Observe {
		e.Own = explainOwn(roster)
	}
	e.Policies = explainConflict(s, roster)
	return e
}

// notClosed is the newest part of the history in which the breaker was not closed, newest first. It leaves out what is newer
// than s.
func (s *Snapshot) notClosed(history []Transition) []Transition {
	newer := func(t Transition) bool { return t.Generation > s.Generation || t.Rev > s.Rev }
	closed := func(t Transition) bool { return t.Effective() == Closed }
	for len(history) > 0 && newer(history[0]) {
		history = history[1:]
	}
	if end := slices.IndexFunc(history, closed); end >= 0 {
		return history[:end:end]
	}
	return history
}

func (e *Explanation) explainNotClosed(s Snapshot, happened []Transition) {
	earlier := ""
	if n := len(happened); n > 0 {
		first, last := happened[n-1], happened[0]
		e.Since, e.Cause = first.At, first.Sentence()
		if n > 1 && last.Generation == s.Generation {
			e.Latest, e.LatestAt = last.Sentence(), last.At
		}
		if first.From != Closed {
			earlier = " or earlier" // the history reaches no further back
		}
	} else if e.Since = s.Since; s.Mode == ForcedOpen && s.State == Closed {
		e.Since, e.Cause = s.ModeNote.At, s.force().Sentence()
	} else if s.State != Open || s.Openings != 1 {
		earlier = " or earlier"
	}
	e.State = "not closed since " + s.moment(e.Since) + earlier
	if s.Mode == Auto && s.Policy.Observe {
		e.State += ", but it only observes and refuses no call"
	}
}

func (e *Explanation) explainForcedClosed(s Snapshot) {
	e.Since, e.Cause = s.ModeNote.At, s.force().Sentence()
	e.State = "forced closed since " + s.moment(e.Since)
	if s.State != Closed {
		e.State += "; without that it is " + s.State.String()
	}
}

// force is the command that put the mode in force, as its note tells.
func (s *Snapshot) force() Transition {
	action := ForceOpen
	if s.Mode == ForcedClosed {
		action = ForceClosed
	}
	return Transition{Name: s.Name, Action: action, Cause: s.ModeNote.By, Why: s.ModeNote.Why}
}

func (e *Explanation) explainNext(s Snapshot) {
	at := func(in time.Duration) string {
		e.NextAt = s.Clock().Add(in)
		return s.moment(e.NextAt)
	}
	note := s.ModeNote
	switch {
	case s.Mode != Auto && !note.Timed:
		e.Next = "the forced mode stands until somebody lifts it"
	case s.Mode != Auto && note.EndsIn > 0:
		e.Next = "the forced mode ends at " + at(note.EndsIn)
	case s.Mode != Auto:
		e.Next = "the time of the forced mode is over: the next report or call ends it"
	case s.State == Open && s.RetryIn > 0:
		e.Next = "the first probe may go at " + at(s.RetryIn)
	case s.State == Open:
		e.Next = "the open time is over: the next call is a probe"
	case s.State == HalfOpen:
		e.Next = s.probing()
	}
}

// probing says how far a half-open has come, and how it ends.
func (s *Snapshot) probing() string {
	p := s.Policy
	return fmt.Sprintf("%d of %d probes succeeded, %d under way: it closes after %d more, or opens again for %s if probes fail",
		s.ProbeSuccesses, p.ProbeSuccesses, s.Probing, max(p.ProbeSuccesses-s.ProbeSuccesses, 0), period(s.nextOpening()))
}

// nextOpening is how long the breaker stays open if it opens now.
func (s *Snapshot) nextOpening() time.Duration {
	length := s.Policy.OpenFor
	for range s.Openings {
		if length >= s.Policy.OpenForMax {
			break
		}
		length *= 2
	}
	return min(length, s.Policy.OpenForMax)
}

func explainOwn(roster []Replica) string {
	own := namesOf(roster, func(r Replica) bool { return r.OwnOpen })
	switch {
	case len(own) == 0:
		return ""
	case len(own) == 1 && len(roster) == 1:
		return "1 of 1 replica refuses by its own verdict"
	case len(own) == 1:
		return fmt.Sprintf("1 of %d replicas refuses by its own verdict: %s", len(roster), own[0])
	case len(own) == len(roster):
		return fmt.Sprintf("%d of %d replicas refuse by their own verdict", len(own), len(roster))
	default:
		return fmt.Sprintf("%d of %d replicas refuse by their own verdict: %s", len(own), len(roster), few(own))
	}
}

func explainConflict(s Snapshot, roster []Replica) string {
	var names, kinds []string
	of := map[string][]string{} // the replicas that differ in the same fields
	for _, r := range roster {
		if r.Conflict {
			name, kind := printable(display(r.Name)), strings.Join(r.Differences(), "; ")
			if of[kind] == nil {
				kinds = append(kinds, kind)
			}
			names, of[kind] = append(names, name), append(of[kind], name)
		}
	}
	const report = " another policy than the fleet's"
	switch {
	case len(names) == 0 && s.PolicyConflict:
		return "a replica reports" + report
	case len(names) == 0:
		return ""
	case len(names) == 1:
		return strings.TrimSuffix(names[0]+" reports"+report+": "+kinds[0], ": ")
	case len(kinds) == 1:
		return strings.TrimSuffix(few(names)+" report"+report+": "+kinds[0], ": ")
	default:
		return few(names) + " report" + report + explainKinds(kinds, of)
	}
}

// explainKinds tells of some ways in which policies differ from the fleet's, and which replicas differ so.
func explainKinds(kinds []string, of map[string][]string) (text string) {
	const most = 3
	for _, kind := range kinds[:min(len(kinds), most)] {
		if kind != "" { // an older release's store does not tell it
			text += "; " + few(of[kind]) + ": " + kind
		}
	}
	if more := len(kinds) - most; more > 0 {
		text += fmt.Sprintf("; %d more in other ways", more)
	}
	return text
}

// namesOf gives the display names of some replicas, fit for a line.
func namesOf(roster []Replica, of func(Replica) bool) []string {
	var names []string
	for _, r := range roster {
		if of(r) {
			names = append(names, printable(display(r.Name)))
		}
	}
	return names
}

// few lists the first names of many.
func few(names []string) string {
	const most = 5
	if len(names) > most {
		names = append(names[:most:most], strconv.Itoa(len(names)-most)+" more")
	}
	return listed(names)
}

// moment is a time of day as of s, with the day if that is another.
func (s *Snapshot) moment(t time.Time) string {
	t = t.UTC()
	if s.Clock().UTC().Format(time.DateOnly) == t.Format(time.DateOnly) {
		return t.Format("15:04:05 UTC")
	}
	return t.Format("2006-01-02 15:04:05 UTC")
}

// period is a duration in words, such as "1 min 30 s".
func period(d time.Duration) string {
	if d < time.Second {
		return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	}
	var parts []string
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{time.Hour, "h"}, {time.Minute, "min"}} {
		if n := d / unit.length; n > 0 {
			parts = append(parts, strconv.FormatInt(int64(n), 10)+" "+unit.name)
		}
		d %= unit.length
	}
	if d > 0 {
		parts = append(parts, strconv.FormatFloat(d.Seconds(), 'f', -1, 64)+" s")
	}
	return strings.Join(parts, " ")
}
