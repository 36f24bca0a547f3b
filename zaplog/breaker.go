package zaplog

import (
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
)

// Listener gives a listener that writes each event to l. Fields: breaker (absent for the manager's own events), kind,
// and, if a transition is told of, sentence, from, to, mode, generation, rev, at, and as far as they are known reason, action,
// cause, why, the window's tallies, errors (label to count) and witnesses; error if one belongs to the event.
//
// It is safe for concurrent use. A nil l panics.
func Listener(l *zap.Logger) func(breaker.Event) {
	if l == nil {
		panic("zaplog: Listener of a nil *zap.Logger: give zap.NewNop() to log nothing")
	}
	return func(e breaker.Event) {
		if line := l.Check(level(e), message(e)); line != nil {
			line.Write(fields(e)...)
		}
	}
}

func level(e breaker.Event) zapcore.Level {
	if e.Kind == breaker.StoreLost || e.Kind == breaker.Disowned || e.Kind == breaker.OwnTripped || opens(e) {
		return zap.WarnLevel
	}
	return zap.InfoLevel
}

// opens reports whether the event stops the fleet's calls.
func opens(e breaker.Event) bool {
	t := e.Transition
	switch e.Kind {
	case breaker.Transitioned:
		return t.To == store.Open && t.From != store.Open
	case breaker.Commanded:
		return t.Action == store.ForceOpen || t.Action == store.Trip
	default:
		return false
	}
}

// message is one of a few fixed texts, so that lines can be searched and counted by it.
func message(e breaker.Event) string {
	switch e.Kind {
	case breaker.Transitioned:
		return transitioned(e.Transition)
	case breaker.Commanded:
		return "breaker commanded"
	case breaker.StoreLost:
		return "store lost"
	case breaker.StoreBack:
		return "store back"
	case breaker.OwnTripped:
		return "own verdict opened"
	case breaker.OwnClosed:
		return "own verdict closed"
	case breaker.PolicyConflict:
		return "policies conflict"
	case breaker.Repaired:
		return "store repaired"
	case breaker.Disowned:
		return "store refused what was known"
	default:
		return "breaker event"
	}
}

func transitioned(t store.Transition) string {
	switch {
	case t.From == t.To:
		return "breaker command ended"
	case t.To == store.Open:
		return "breaker opened"
	case t.To == store.HalfOpen:
		return "breaker half-open"
	default:
		return "breaker closed"
	}
}

func fields(e breaker.Event) []zap.Field {
	fs := make([]zap.Field, 0, 16)
	if e.Name != "" {
		fs = append(fs, zap.String("breaker", e.Name))
	}
	fs = append(fs, zap.Stringer("kind", e.Kind))
	if t := e.Transition; t.Generation != 0 || t.Rev != 0 {
		fs = append(fs,
			zap.String("sentence", e.String()), zap.Stringer("from", t.From), zap.Stringer("to", t.To), zap.Stringer("mode", t.Mode),
			zap.Uint64("generation", t.Generation), zap.Uint64("rev", t.Rev))
		if !t.At.IsZero() {
			fs = append(fs, zap.Time("at", t.At))
		}
		fs = append(fs, known("reason", string(t.Reason)), known("cause", t.Cause), known("why", t.Why))
		if t.Action != 0 {
			fs = append(fs, zap.Stringer("action", t.Action))
		}
		if t.Window.Calls != 0 || t.Window.Consecutive != 0 {
			fs = append(fs, zap.Object("window", tally(t.Window)))
		}
		if len(t.Errors) > 0 {
			fs = append(fs, zap.Object("errors", labels(t.Errors)))
		}
		if len(t.Witnesses) > 0 {
			fs = append(fs, zap.Strings("witnesses", t.Witnesses))
		}
	}
	return append(fs, zap.Error(e.Err)) // of nil: none
}

// known leaves out a text that is empty.
func known(key, text string) zap.Field {
	if text == "" {
		return zap.Skip()
	}
	return zap.String(key, text)
}

type tally store.Tally

func (t tally) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddInt("calls", t.Calls)
	enc.AddInt("failures", t.Failures)
	enc.AddInt("slow", t.Slow)
	enc.AddInt("consecutive", t.Consecutive)
	return nil
}

type labels []store.ErrorCount

func (ls labels) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	for _, l := range ls {
		enc.AddInt(l.Label, l.Count)
	}
	return nil
}
