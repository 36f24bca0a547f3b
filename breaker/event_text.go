package breaker

import (
	"encoding/json"
	"log/slog"
	"strings"

	"github.com/commontrip/commontrip/store"
)

// String is one readable sentence on one line, whatever names and notes contain. Of a transition it is the words of
// [store.Transition.Sentence].
func (e Event) String() string {
	s := e.sentence()
	if e.Err != nil && e.Kind != StoreLost {
		s += " (" + e.Err.Error() + ")"
	}
	return printable(s)
}

func (e Event) sentence() string {
	t := e.Transition
	if t.Name == "" {
		t.Name = e.Name
	}
	switch e.Kind {
	case Transitioned, Commanded, Repaired:
		return t.Sentence()
	case OwnTripped, OwnClosed:
		t.Action = 0 // the replica's own machine was told by the replica, not by an operator
		return "this replica's own verdict: " + t.Sentence()
	case StoreLost:
		return e.subject("the store is lost") + reasonOf(e.Err) + "; the replica's own verdict rules"
	case StoreBack:
		return e.subject("the store is back") + "; the fleet's verdict rules"
	case Disowned:
		return e.Name + ": the store refuses what this replica knew, which is dropped; commands that stood may have to be given again"
	case PolicyConflict:
		return e.Name + ": replicas report different policies"
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

// LogValue groups what an event tells: kind, breaker, the sentence, and of a transition its parts.
func (e Event) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("kind", e.Kind.String())}
	if e.Name != "" {
		attrs = append(attrs, slog.String("breaker", printable(e.Name)))
	}
	attrs = append(attrs, slog.String("sentence", e.String()))
	if t := &e.Transition; t.Generation != 0 || t.Rev != 0 {
		attrs = append(attrs, slog.Any("transition", slog.GroupValue(transitionAttrs(t)...)))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.String("error", printable(e.Err.Error())))
	}
	return slog.GroupValue(attrs...)
}

// MarshalJSON gives kind, breaker (absent for the Manager's own events), sentence, and, as far as there are such, transition in
// the store's one form and error, the text of Err.
func (e Event) MarshalJSON() ([]byte, error) {
	form := struct {
		Kind       string            `json:"kind"`
		Breaker    string            `json:"breaker,omitempty"`
		Sentence   string            `json:"sentence"`
		Transition *store.Transition `json:"transition,omitempty"`
		Error      string            `json:"error,omitempty"`
	}{Kind: e.Kind.String(), Breaker: e.Name, Sentence: e.String()}
	if t := &e.Transition; t.Generation != 0 || t.Rev != 0 {
		form.Transition = t
	}
	if e.Err != nil {
		form.Error = e.Err.Error()
	}
	return json.Marshal(form)
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
