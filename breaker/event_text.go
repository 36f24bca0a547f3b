package breaker

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"github.com/commontrip/commontrip/store"
)

// String is one readable sentence on one line, whatever names and notes contain, such as
//
//	mcp opened: failure rate 62 % of 100 calls; 41 x connection refused, 21 x 503; seen by web-7, web-9
func (e Event) String() string {
	s := e.sentence()
	if e.Err != nil && e.Kind != StoreLost {
		s += " (" + e.Err.Error() + ")"
	}
	return printable(s)
}

func (e Event) sentence() string {
	t := &e.Transition
	switch e.Kind {
	case Transitioned:
		return e.Name + " " + verb(t) + because(t)
	case Commanded:
		return e.Name + " " + ordered(t)
	case StoreLost:
		return e.subject("the store is lost") + reasonOf(e.Err) + "; the replica's own verdict rules"
	case StoreBack:
		return e.subject("the store is back") + "; the fleet's verdict rules"
	case OwnTripped:
		return e.Name + " opened by this replica's own verdict" + because(t)
	case OwnClosed:
		return e.Name + " closed by this replica's own verdict" + because(t)
	case PolicyConflict:
		return e.Name + ": replicas report different policies"
	case Repaired:
		return e.Name + " is " + t.To.String() + " again: the store had lost it, and " + display(t.Cause) + " knew"
	default:
		return strings.TrimSpace(e.Name + " " + e.Kind.String())
	}
}

func (e Event) subject(s string) string {
	if e.Name == "" {
		return s
	}
	return e.Name + ": " + s
}

func reasonOf(err error) string {
	if err == nil {
		return ""
	}
	return ": " + err.Error()
}

// verb says what became of the breaker.
func verb(t *store.Transition) string {
	switch {
	case t.From == t.To && t.Prev == t.Generation:
		return "goes by the fleet's policy again"
	case t.To == Open && t.From == HalfOpen:
		return "opened again"
	case t.To == Open:
		return "opened"
	case t.To == HalfOpen:
		return "is half-open"
	default:
		return "closed"
	}
}

// because says why.
func because(t *store.Transition) string {
	var why string
	switch t.Reason {
	case store.ByConsecutiveFailures:
		why = fmt.Sprintf("%d failures in a row", t.Window.Consecutive)
	case store.ByFailureRate:
		why = fmt.Sprintf("failure rate %s of %d calls", percent(t.Window.Failures, t.Window.Calls), t.Window.Calls)
	case store.BySlowCallRate:
		why = fmt.Sprintf("slow call rate %s of %d calls", percent(t.Window.Slow, t.Window.Calls), t.Window.Calls)
	case store.ByProbeFailure:
		why = "probes failed"
	case store.ByProbeSuccesses:
		why = "probes succeeded"
	case store.ByTime:
		why = "its time is over"
	case "":
		why = t.Why
	default:
		why = strings.TrimPrefix(string(t.Reason)+" "+t.Why, "operator ")
	}
	if why == "" {
		return ""
	}
	return ": " + why + labels(t.Errors) + seenBy(t.Witnesses)
}

// ordered says what an operator did.
func ordered(t *store.Transition) string {
	did := map[Action]string{
		ForceOpen: "forced open", ForceClosed: "forced closed", Lift: "no longer forced", Trip: "tripped",
		Reset: "reset", Retune: "retuned", Restore: "given the fleet's policy again",
	}[t.Action]
	if did == "" {
		did = "commanded"
	}
	s := "was " + did + " by " + display(t.Cause)
	if t.Why != "" {
		s += ": " + t.Why
	}
	return s
}

func percent(part, whole int) string {
	if whole <= 0 {
		return "0 %"
	}
	return strconv.FormatFloat(float64(part)*100/float64(whole), 'f', -1, 32) + " %"
}

func labels(counts []store.ErrorCount) string {
	if len(counts) == 0 {
		return ""
	}
	parts := make([]string, len(counts))
	for i, c := range counts {
		parts[i] = strconv.Itoa(c.Count) + " x " + c.Label
	}
	return "; " + strings.Join(parts, ", ")
}

func seenBy(replicas []string) string {
	if len(replicas) == 0 {
		return ""
	}
	names := make([]string, len(replicas))
	for i, r := range replicas {
		names[i] = display(r)
	}
	return "; seen by " + strings.Join(names, ", ")
}

// display is a replica's name without the letters that tell its incarnations apart.
func display(replica string) string {
	if i := strings.LastIndexByte(replica, '#'); i > 0 {
		return replica[:i]
	}
	return replica
}

// LogValue groups what an event tells: kind, breaker, the sentence, and of a transition its parts.
func (e Event) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("kind", e.Kind.String())}
	if e.Name != "" {
		attrs = append(attrs, slog.String("breaker", printable(e.Name)))
	}
	attrs = append(attrs, slog.String("text", e.String()))
	if t := &e.Transition; t.Generation != 0 || t.Rev != 0 {
		attrs = append(attrs, slog.Any("transition", slog.GroupValue(transitionAttrs(t)...)))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.String("error", printable(e.Err.Error())))
	}
	return slog.GroupValue(attrs...)
}

func transitionAttrs(t *store.Transition) []slog.Attr {
	attrs := []slog.Attr{
		slog.String("from", t.From.String()), slog.String("to", t.To.String()),
		slog.Uint64("generation", t.Generation), slog.String("reason", printable(string(t.Reason))),
		slog.String("cause", printable(t.Cause)),
	}
	if t.Action != 0 {
		attrs = append(attrs, slog.String("action", t.Action.String()))
	}
	if t.Mode != store.Auto {
		attrs = append(attrs, slog.String("mode", t.Mode.String()))
	}
	if t.Why != "" {
		attrs = append(attrs, slog.String("why", printable(t.Why)))
	}
	return append(attrs, slog.Int("calls", t.Window.Calls), slog.Int("failures", t.Window.Failures), slog.Int("slow", t.Window.Slow))
}
