package storetest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/commontrip/commontrip/store"
)

// The texts below are a scenario's answers. They leave out what is zero, and name every field that is not.

// words joins what is not empty.
func words(list ...string) string {
	var full []string
	for _, f := range list {
		if f != "" {
			full = append(full, f)
		}
	}
	return strings.Join(full, " ")
}

// when is text where holds, else nothing.
func when(holds bool, format string, args ...any) string {
	if !holds {
		return ""
	}
	return fmt.Sprintf(format, args...)
}

// numberText is what parseNumber reads.
func numberText(n uint64) string {
	if s := uint64(start.UnixMilli()); n >= s {
		return fmt.Sprintf("+%d", n-s)
	}
	return fmt.Sprint(n)
}

// timeText is a time of day as time since the scenario's start.
func timeText(t time.Time) string {
	return durationText(time.Duration(t.UnixMilli()-start.UnixMilli()) * ms)
}

func refusalText(err error) string {
	for _, kind := range []error{store.ErrName, store.ErrInvalid, store.ErrUnknown, store.ErrClosed} {
		if errors.Is(err, kind) {
			return "refused: " + kind.Error()
		}
	}
	return "the store failed: " + err.Error()
}

func (g *stage) resultText(r store.Result) string {
	return g.madeText(r.Made) + g.snapshotText(r.Snapshot)
}

func (g *stage) madeText(made *store.Transition) string {
	if made == nil {
		return ""
	}
	return "made " + g.transitionText(*made) + "\n"
}

// grantText says "soon" for the random wait of who found no place.
func (g *stage) grantText(grant store.Grant) string {
	text := fmt.Sprintf("refused, retry=%s", durationText(grant.RetryIn))
	switch {
	case len(grant.Leases) > 0:
		text = fmt.Sprintf("granted %d for %s", len(grant.Leases), durationText(grant.Leases[0].For))
		for _, l := range grant.Leases {
			if l.For != grant.Leases[0].For || l.Generation != grant.Leases[0].Generation || l.Name != g.name {
				text += fmt.Sprintf(", but one %+v", l)
			}
		}
		text += when(grant.Leases[0].Generation != grant.Snapshot.Generation, " of gen=%s", numberText(grant.Leases[0].Generation))
		text += when(grant.RetryIn != 0, ", retry=%s", durationText(grant.RetryIn))
	case grant.Snapshot.State == store.HalfOpen && grant.RetryIn >= 100*ms && grant.RetryIn <= 150*ms:
		text = "refused, retry=soon"
	}
	return text + "\n" + g.madeText(grant.Made) + g.snapshotText(grant.Snapshot)
}

func (g *stage) snapshotText(s store.Snapshot) string {
	return words(
		s.State.String(),
		"gen="+numberText(s.Generation),
		when(s.Rev != 0, "rev=%s", numberText(s.Rev)),
		when(s.Mode != store.Auto, "%v", s.Mode),
		noteText("note", s.ModeNote),
		when(s.RetryIn != 0, "retry=%s", durationText(s.RetryIn)),
		when(s.Reason != "", "reason=%s", s.Reason),
		when(s.Cause != "", "cause=%s", s.Cause),
		when(s.Openings != 0, "openings=%d", s.Openings),
		tallyText(s.Window),
		errorsText(s.Errors),
		when(s.Probing != 0, "probing=%d", s.Probing),
		when(s.ProbeSuccesses != 0, "probe-successes=%d", s.ProbeSuccesses),
		when(s.Replicas != 0, "replicas=%d", s.Replicas),
		totalsText(s.Totals),
		when(s.PolicyConflict, "conflict"),
		when(s.Retuned, "retuned"),
		noteText("policy-note", s.PolicyNote),
		when(s.Policy != g.policy.WithDefaults(), "policy(%s)", policyText(s.Policy)),
		"age="+durationText(s.Age),
		when(!s.Since.IsZero() && s.Since.UnixMilli()+s.Age.Milliseconds() != g.clock.Now().UnixMilli(), "but since=%s", timeText(s.Since)),
		when(s.Name != g.name, "but name=%s", s.Name),
	)
}

func noteText(word string, n store.Note) string {
	if n == (store.Note{}) {
		return ""
	}
	return word + "(" + words("by="+n.By, when(n.Why != "", "why=%s", n.Why), "at="+timeText(n.At), when(n.Timed, "ends=%s", durationText(n.EndsIn))) + ")"
}

func tallyText(t store.Tally) string {
	return words(
		when(t.Calls != 0 || t.Failures != 0 || t.Slow != 0, "window=%d/%d/%d", t.Calls, t.Failures, t.Slow),
		when(t.Consecutive != 0, "streak=%d", t.Consecutive),
	)
}

func errorsText(errs []store.ErrorCount) string {
	list := make([]string, len(errs))
	for i, e := range errs {
		list[i] = fmt.Sprintf("%s*%d", e.Label, e.Count)
	}
	return when(len(list) > 0, "errors=%s", strings.Join(list, ","))
}

func totalsText(t store.Totals) string {
	list := words(
		when(t.Calls != 0, "calls=%d", t.Calls), when(t.Failures != 0, "failed=%d", t.Failures), when(t.Slow != 0, "slow=%d", t.Slow),
		when(t.Ignored != 0, "ignored=%d", t.Ignored), when(t.Late != 0, "late=%d", t.Late), when(t.Rejected != 0, "rejected=%d", t.Rejected),
	)
	return when(list != "", "totals(%s)", list)
}

func (g *stage) transitionText(e store.Transition) string {
	return words(
		fmt.Sprintf("%v->%v", e.From, e.To),
		when(e.Action != 0, "%v", e.Action),
		"gen="+numberText(e.Generation),
		"prev="+numberText(e.Prev),
		when(e.Rev != 0, "rev=%s", numberText(e.Rev)),
		when(e.Mode != store.Auto, "%v", e.Mode),
		fmt.Sprintf("reason=%s cause=%s", e.Reason, e.Cause),
		when(e.Why != "", "why=%s", e.Why),
		tallyText(e.Window),
		errorsText(e.Errors),
		when(len(e.Witnesses) > 0, "witnesses=%s", strings.Join(e.Witnesses, ",")),
		"at="+timeText(e.At),
		when(e.Name != g.name, "but name=%s", e.Name),
	)
}

func rosterText(roster []store.Replica) string {
	lines := make([]string, len(roster))
	for i, r := range roster {
		lines[i] = words(
			r.Name, "seen="+durationText(r.Seen), when(r.Calls != 0, "calls=%d", r.Calls), when(r.Failures != 0, "failed=%d", r.Failures),
			when(r.OwnOpen, "own-open"), when(r.Conflict, "conflict"),
		)
	}
	return strings.Join(lines, "\n")
}
