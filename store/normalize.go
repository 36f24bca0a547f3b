package store

import (
	"fmt"
	"slices"
	"time"
)

// Normalize checks r and gives it as a store works with it: ages cut and other durations rounded up to whole
// milliseconds, policy with defaults, and what is not read emptied. Every store calls it first. The error Is ErrInvalid
// and names field, value and range.
func (r Report) Normalize() (Report, error) {
	for _, err := range [...]error{
		checkName("Report.Name", r.Name),
		checkName("Report.Replica", r.Replica),
		checkPolicy("Report.Policy", r.Policy),
		checkNumber("Report.Seq", r.Seq),
		checkNumber("Report.Generation", r.Generation),
		checkNotNegative("Report.MaxAge", r.MaxAge),
		checkNumber("Report.Rejected", r.Rejected),
		checkRuns(r.Runs),
	} {
		if err != nil {
			return Report{}, err
		}
	}
	known, err := r.Known.normalize()
	if err != nil {
		return Report{}, err
	}
	r.Policy, r.MaxAge, r.Runs, r.Known = r.Policy.WithDefaults(), cut(r.MaxAge), cutAges(r.Runs), known
	if !r.SentAt.IsZero() {
		r.SentAt = shownTime(r.SentAt)
	}
	return r, nil
}

// Normalize checks c; see [Report.Normalize].
func (c Claim) Normalize() (Claim, error) {
	for _, err := range [...]error{
		checkName("Claim.Name", c.Name),
		checkName("Claim.ID", c.ID),
		checkPolicy("Claim.Policy", c.Policy),
		checkName("Claim.Replica", c.Replica),
	} {
		if err != nil {
			return Claim{}, err
		}
	}
	if c.Want < 1 {
		return Claim{}, invalid("Claim.Want", c.Want, "at least 1")
	}
	known, err := c.Known.normalize()
	if err != nil {
		return Claim{}, err
	}
	c.Policy, c.Known = c.Policy.WithDefaults(), known
	return c, nil
}

// Normalize checks s; see [Report.Normalize]. A lease's bad ID is not an error. Nobody holds it, and it becomes empty.
func (s Settlement) Normalize() (Settlement, error) {
	for _, err := range [...]error{
		checkName("Settlement.Lease.Name", s.Lease.Name),
		checkNumber("Settlement.Lease.Generation", s.Lease.Generation),
		checkName("Settlement.Replica", s.Replica),
		checkOutcome("Settlement.Outcome", s.Outcome),
		checkText("Settlement.Label", s.Label, MaxLabel),
	} {
		if err != nil {
			return Settlement{}, err
		}
	}
	if ValidateName(s.Lease.ID) != nil {
		s.Lease.ID = ""
	}
	s.Lease.For = 0
	return s, nil
}

// Normalize checks c; see [Report.Normalize]. A Policy that the action does not read becomes empty.
func (c Command) Normalize() (Command, error) {
	if err := checkName("Command.Name", c.Name); err != nil {
		return Command{}, err
	}
	if c.Action < ForceOpen || c.Action > Restore {
		return Command{}, invalid("Command.Action", c.Action, fmt.Sprintf("one of %q", actionTexts[1:]))
	}
	if c.Action != Retune {
		c.Policy = Policy{}
	} else {
		if err := checkPolicy("Command.Policy", c.Policy); err != nil {
			return Command{}, err
		}
		c.Policy = c.Policy.WithDefaults()
	}
	if err := checkFor(c.Action, c.For); err != nil {
		return Command{}, err
	}
	c.For = roundUp(c.For, time.Millisecond)
	if err := checkName("Command.By", c.By); err != nil {
		return Command{}, err
	}
	if err := checkText("Command.Why", c.Why, MaxName); err != nil {
		return Command{}, err
	}
	known, err := c.Known.normalize()
	if err != nil {
		return Command{}, err
	}
	c.Known = known
	return c, nil
}

// normalize looks at notes and policy only if they stand, and empties them elsewhere.
func (k Known) normalize() (Known, error) {
	for _, err := range [...]error{
		checkNumber("Known.Generation", k.Generation),
		checkNumber("Known.Rev", k.Rev),
		checkNotNegative("Known.RetryIn", k.RetryIn),
		checkText("Known.Reason", string(k.Reason), MaxName),
		checkText("Known.Cause", k.Cause, MaxName),
	} {
		if err != nil {
			return Known{}, err
		}
	}
	switch {
	case k.State > HalfOpen:
		return Known{}, invalid("Known.State", k.State, fmt.Sprintf("one of %q", stateTexts))
	case k.Openings < 0 || k.Openings > MaxOpening:
		return Known{}, invalid("Known.Openings", k.Openings, fmt.Sprintf("0..%d", MaxOpening))
	case k.Mode > ForcedClosed:
		return Known{}, invalid("Known.Mode", k.Mode, fmt.Sprintf("one of %q", modeTexts))
	}
	k.RetryIn = roundUp(k.RetryIn, time.Millisecond)
	var err error
	if k.Mode == Auto {
		k.ModeNote = Note{}
	} else if k.ModeNote, err = k.ModeNote.normalize("Known.ModeNote"); err != nil {
		return Known{}, err
	}
	if !k.Retuned {
		k.Policy, k.PolicyNote = Policy{}, Note{}
		return k, nil
	}
	if err := checkPolicy("Known.Policy", k.Policy); err != nil {
		return Known{}, err
	}
	k.Policy = k.Policy.WithDefaults()
	k.PolicyNote, err = k.PolicyNote.normalize("Known.PolicyNote")
	return k, err
}

// normalize cuts a long EndsIn, and an At that no store's clock shows, to what can be kept.
func (n Note) normalize(field string) (Note, error) {
	if err := checkName(field+".By", n.By); err != nil {
		return Note{}, err
	}
	if err := checkText(field+".Why", n.Why, MaxName); err != nil {
		return Note{}, err
	}
	if !n.Timed {
		n.EndsIn = 0
	} else if err := checkNotNegative(field+".EndsIn", n.EndsIn); err != nil {
		return Note{}, err
	}
	n.EndsIn = min(roundUp(n.EndsIn, time.Millisecond), MaxFor)
	n.At = shownTime(n.At)
	return n, nil
}

// shownTime is a time of day in whole milliseconds, cut to what a store's clock can show.
func shownTime(t time.Time) time.Time {
	return time.UnixMilli(min(max(t.UnixMilli(), 0), MaxNumber)).UTC()
}

func checkPolicy(field string, p Policy) error {
	if err := p.Validate(); err != nil {
		return fmt.Errorf("%s: %w", field, err)
	}
	return nil
}

func checkNumber(field string, n uint64) error {
	if n > MaxNumber {
		return invalid(field, n, "0..2^53-1")
	}
	return nil
}

func checkNotNegative(field string, d time.Duration) error {
	if d < 0 {
		return invalid(field, d, "0 or more")
	}
	return nil
}

func checkOutcome(field string, o Outcome) error {
	if o < Success || o > Ignored {
		return invalid(field, o, fmt.Sprintf("one of %q", outcomeTexts[1:]))
	}
	return nil
}

func checkRuns(runs []Run) error {
	if len(runs) > MaxRuns {
		return invalid("Report.Runs", fmt.Sprintf("%d long", len(runs)), fmt.Sprintf("0..%d", MaxRuns))
	}
	adverse := 0
	for i, run := range runs {
		if err := run.check(); err != nil {
			return fmt.Errorf("report: run %d: %w", i, err)
		}
		if run.Outcome == Failure || run.Slow {
			adverse += run.Count
		}
	}
	if adverse > MaxAdverse {
		return invalid("Report.Runs", fmt.Sprintf("%d failures and slow calls", adverse), fmt.Sprintf("0..%d", MaxAdverse))
	}
	return nil
}

func (r Run) check() error {
	if err := checkOutcome("Outcome", r.Outcome); err != nil {
		return err
	}
	if r.Count < 1 || r.Count > MaxCount {
		return invalid("Count", r.Count, fmt.Sprintf("1..%d", MaxCount))
	}
	if err := checkNotNegative("Age", r.Age); err != nil {
		return err
	}
	return checkText("Label", r.Label, MaxLabel)
}

func checkFor(a Action, d time.Duration) error {
	switch a {
	case ForceOpen, ForceClosed, Retune, Trip:
		if d < 0 || d > MaxFor {
			return invalid("Command.For", d, "0..720h (30 days)")
		}
	default:
		if d != 0 {
			return invalid("Command.For", d, "0 for "+a.String())
		}
	}
	return nil
}

// cutAges gives runs with whole milliseconds, the caller's own slice if they are already.
func cutAges(runs []Run) []Run {
	for i := range runs {
		if runs[i].Age != cut(runs[i].Age) {
			runs = slices.Clone(runs)
			for j := range runs {
				runs[j].Age = cut(runs[j].Age)
			}
			break
		}
	}
	return runs
}

func cut(d time.Duration) time.Duration { return d.Truncate(time.Millisecond) }
