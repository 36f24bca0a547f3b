package zaplog_test

import (
	"errors"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/health"
	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/zaplog"
)

func TestEachKindOfEventIsOneLineAtItsLevel(t *testing.T) {
	move := func(from, to store.State) store.Transition {
		return store.Transition{Name: "users", From: from, To: to, Generation: 7}
	}
	command := func(a store.Action) store.Transition {
		return store.Transition{Name: "users", Generation: 7, Rev: 3, Action: a}
	}
	for _, c := range []struct {
		event   breaker.Event
		level   zapcore.Level
		message string
	}{
		{breaker.Event{Kind: breaker.Transitioned, Transition: move(store.Closed, store.Open)}, zap.WarnLevel, "breaker opened"},
		{breaker.Event{Kind: breaker.Transitioned, Transition: move(store.HalfOpen, store.Open)}, zap.WarnLevel, "breaker opened"},
		{breaker.Event{Kind: breaker.Transitioned, Transition: move(store.Open, store.HalfOpen)}, zap.InfoLevel, "breaker half-open"},
		{breaker.Event{Kind: breaker.Transitioned, Transition: move(store.HalfOpen, store.Closed)}, zap.InfoLevel, "breaker closed"},
		{breaker.Event{Kind: breaker.Transitioned, Transition: move(store.Open, store.Open)}, zap.InfoLevel, "breaker command ended"},
		{breaker.Event{Kind: breaker.Commanded, Transition: command(store.ForceOpen)}, zap.WarnLevel, "breaker commanded"},
		{breaker.Event{Kind: breaker.Commanded, Transition: command(store.Trip)}, zap.WarnLevel, "breaker commanded"},
		{breaker.Event{Kind: breaker.Commanded, Transition: command(store.ForceClosed)}, zap.InfoLevel, "breaker commanded"},
		{breaker.Event{Kind: breaker.Commanded, Transition: command(store.Retune)}, zap.InfoLevel, "breaker commanded"},
		{breaker.Event{Kind: breaker.StoreLost}, zap.WarnLevel, "store lost"},
		{breaker.Event{Kind: breaker.StoreBack}, zap.InfoLevel, "store back"},
		{breaker.Event{Kind: breaker.OwnTripped}, zap.WarnLevel, "own verdict opened"},
		{breaker.Event{Kind: breaker.OwnClosed}, zap.InfoLevel, "own verdict closed"},
		{breaker.Event{Kind: breaker.PolicyConflict}, zap.InfoLevel, "policies conflict"},
		{breaker.Event{Kind: breaker.Repaired, Transition: move(store.Open, store.Open)}, zap.InfoLevel, "store repaired"},
		{breaker.Event{}, zap.InfoLevel, "breaker event"},
	} {
		lines := logged(func(l *zap.Logger) { zaplog.Listener(l)(c.event) })
		if len(lines) != 1 {
			t.Fatalf("%v: %d lines; want 1", c.event.Kind, len(lines))
		}
		if got := lines[0]; got.Level != c.level || got.Message != c.message {
			t.Errorf("%v to %v: %v %q; want %v %q", c.event.Kind, c.event.Transition.To, got.Level, got.Message, c.level, c.message)
		}
	}
}

func TestATransitionIsToldInFields(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	lines := logged(func(l *zap.Logger) {
		zaplog.Listener(l)(breaker.Event{Kind: breaker.Transitioned, Name: "users", Transition: store.Transition{
			Name: "users", From: store.Closed, To: store.Open, Prev: 6, Generation: 7, Rev: 2, At: at,
			Reason: store.ByFailureRate, Cause: "web-1#a", Window: store.Tally{Calls: 20, Failures: 12, Slow: 1, Consecutive: 4},
			Errors: []store.ErrorCount{{Label: "503", Count: 11}, {Label: "timeout", Count: 1}}, Witnesses: []string{"web-1#a", "web-2#b"},
		}})
	})
	got := lines[0].ContextMap()
	want := map[string]any{
		"breaker": "users", "kind": "transitioned", "from": "closed", "to": "open", "mode": "auto",
		"sentence":   "users opened because 12 of the last 20 calls failed (60 %); errors: 11 x 503, 1 x timeout; seen by web-1 and web-2",
		"generation": uint64(7), "rev": uint64(2), "at": at, "reason": "failure-rate", "cause": "web-1#a",
	}
	for key, value := range want {
		if got[key] != value {
			t.Errorf("%s is %v; want %v", key, got[key], value)
		}
	}
	window, _ := got["window"].(map[string]any)
	if window["calls"] != 20 || window["failures"] != 12 || window["slow"] != 1 || window["consecutive"] != 4 {
		t.Errorf("window is %v", got["window"])
	}
	if labels, _ := got["errors"].(map[string]any); labels["503"] != 11 || labels["timeout"] != 1 {
		t.Errorf("errors is %v", got["errors"])
	}
	if witnesses, _ := got["witnesses"].([]any); len(witnesses) != 2 || witnesses[1] != "web-2#b" {
		t.Errorf("witnesses is %v", got["witnesses"])
	}
	for _, absent := range []string{"action", "why", "error"} {
		if value, there := got[absent]; there {
			t.Errorf("%s is %v; want none", absent, value)
		}
	}
}

func TestAnEventOfTheManagerNamesNoBreakerAndNoTransition(t *testing.T) {
	away := errors.New("connection refused")
	lines := logged(func(l *zap.Logger) { zaplog.Listener(l)(breaker.Event{Kind: breaker.StoreLost, Err: away}) })
	got := lines[0].ContextMap()
	if len(got) != 2 || got["kind"] != "store-lost" || got["error"] != away.Error() {
		t.Errorf("fields are %v; want kind and error alone", got)
	}
}

func TestNothingIsMadeForALevelThatIsOff(t *testing.T) {
	core, lines := observer.New(zap.WarnLevel)
	zaplog.Listener(zap.New(core))(breaker.Event{Kind: breaker.StoreBack})
	zaplog.Health(zap.New(core))(health.Status{Health: health.Up})
	if lines.Len() != 0 {
		t.Errorf("%d lines below the logger's level", lines.Len())
	}
}

func TestATiersHealthIsOneLineAtItsLevel(t *testing.T) {
	since := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		health  health.Health
		level   zapcore.Level
		message string
	}{
		{health.Down, zap.WarnLevel, "tier down"}, {health.Up, zap.InfoLevel, "tier up"}, {health.Unknown, zap.InfoLevel, "tier unknown"},
	} {
		lines := logged(func(l *zap.Logger) {
			zaplog.Health(l)(health.Status{Name: "mcp", Health: c.health, Since: since, Took: time.Millisecond, Streak: 3, Err: errors.New("503")})
		})
		if len(lines) != 1 || lines[0].Level != c.level || lines[0].Message != c.message {
			t.Fatalf("%v: %v; want one line, %v %q", c.health, lines, c.level, c.message)
		}
		got := lines[0].ContextMap()
		for key, want := range map[string]any{
			"tier": "mcp", "health": c.health.String(), "since": since, "took": time.Millisecond, "streak": int64(3), "error": "503",
		} {
			if got[key] != want {
				t.Errorf("%v: %s is %v; want %v", c.health, key, got[key], want)
			}
		}
	}
}

func TestANilLoggerIsRefusedWithASentence(t *testing.T) {
	for name, give := range map[string]func(){
		"Listener": func() { zaplog.Listener(nil) }, "Health": func() { zaplog.Health(nil) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			give()
		})
	}
}

// logged gives the lines that do wrote.
func logged(do func(*zap.Logger)) []observer.LoggedEntry {
	core, lines := observer.New(zap.DebugLevel)
	do(zap.New(core))
	return lines.All()
}
