package breaker_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

func TestAListenerThatPanicsBlocksExitsOrCallsBackHarmsNobody(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		var b *breaker.Breaker
		var after events
		var mu sync.Mutex
		var states []breaker.State
		release := make(chan struct{})
		defer close(release)
		b = solo(t, breaker.WithPolicy(short),
			breaker.WithListener(func(breaker.Event) { panic("listener") }),
			breaker.WithListener(func(breaker.Event) { runtime.Goexit() }),
			breaker.WithListener(func(breaker.Event) { <-release }),
			breaker.WithListener(func(breaker.Event) {
				mu.Lock()
				states = append(states, b.State(), b.Status().State)
				first := len(states) == 2
				mu.Unlock()
				if !first {
					return // its own commands are events, too
				}
				_, _ = b.Command(context.Background(), breaker.Command{Action: breaker.ForceOpen, By: "listener"})
				_, _ = b.Command(context.Background(), breaker.Command{Action: breaker.Lift, By: "listener"})
				_ = b.Run(context.Background(), succeed)
			}),
			breaker.WithListener(after.hear))
		began := time.Now()
		times(3, func() { _ = b.Run(t.Context(), fail) })
		if time.Since(began) != 0 {
			t.Fatal("a call waited for a listener")
		}
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if got := after.all(); len(got) < 3 || got[0].Transition.To != breaker.Open {
			t.Fatalf("a later listener heard %v", got)
		}
		if len(states) == 0 || states[0] != breaker.Open {
			t.Fatalf("a listener that calls back saw %v", states)
		}
	})
}

func TestAListenerThatExitsHearsTheNextEventToo(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		var n atomic.Int64
		b := solo(t, breaker.WithListener(func(breaker.Event) { n.Add(1); runtime.Goexit() }))
		for range 5 {
			if _, err := b.Command(t.Context(), breaker.Command{Action: breaker.Reset, By: "test"}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if n.Load() != 5 {
			t.Fatalf("heard %d of 5", n.Load())
		}
	})
}

func TestASlowListenerIsToldWhatItMissed(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		release := make(chan struct{})
		var heard events
		b := solo(t, breaker.WithListener(func(e breaker.Event) { <-release; heard.hear(e) }))
		reset := func() {
			if _, err := b.Command(t.Context(), breaker.Command{Action: breaker.Reset, By: "test"}); err != nil {
				t.Fatal(err)
			}
		}
		reset()
		synctest.Wait() // one is being heard
		times(1024+7, reset)
		close(release)
		synctest.Wait()
		reset()
		synctest.Wait()
		got := heard.all()
		if len(got) != 1026 || got[1025].Err == nil || !strings.Contains(got[1025].String(), "7 events before this one were dropped") {
			t.Fatalf("%d heard, the last %v", len(got), got[len(got)-1])
		}
	})
}

func TestRacingFailuresOpenOnceAndEventsAlternateInOrder(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		var heard events
		p := short
		p.OpenFor = 10 * time.Millisecond
		b := solo(t, breaker.WithPolicy(p), breaker.WithListener(heard.hear))
		for range 20 {
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() { _ = b.Run(context.Background(), fail) })
			}
			wg.Wait()
			time.Sleep(10 * time.Millisecond)
			_ = b.Run(t.Context(), succeed)
			wantState(t, b, breaker.Closed)
		}
		synctest.Wait()
		got := heard.all()
		if len(got) != 60 {
			t.Fatalf("%d events; want 60", len(got))
		}
		for i, e := range got {
			tr := e.Transition
			if want := []breaker.State{breaker.Open, breaker.HalfOpen, breaker.Closed}[i%3]; tr.To != want {
				t.Fatalf("event %d is %v", i, e)
			}
			if i > 0 && (tr.Prev != got[i-1].Transition.Generation || tr.From != got[i-1].Transition.To) {
				t.Fatalf("event %d does not follow the one before: %+v", i, tr)
			}
		}
	})
}

func TestATransitionMadeThroughAnotherManagerOfTheSameMemoryStoreIsHeardOnce(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		s := memorystore.New()
		var heard events
		a, err := breaker.NewManager(s, breaker.WithPolicy(short), breaker.WithReplica("a"))
		if err != nil {
			t.Fatal(err)
		}
		b, err := breaker.NewManager(s, breaker.WithPolicy(short), breaker.WithListener(heard.hear))
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close(t.Context())
		defer b.Close(t.Context())
		x, _ := a.Register(t.Context(), "tier")
		y, _ := b.Register(t.Context(), "tier")
		times(3, func() { _ = x.Run(t.Context(), fail) })
		synctest.Wait()
		wantState(t, y, breaker.Open)
		time.Sleep(time.Second)
		_ = y.Run(t.Context(), succeed)
		synctest.Wait()
		wantState(t, x, breaker.Closed)
		got := heard.all()
		if len(got) != 3 || !strings.HasPrefix(got[0].Transition.Cause, "a#") {
			t.Fatalf("%v", got)
		}
	})
}

func TestAnEventIsOneReadableSentence(t *testing.T) {
	open := store.Transition{
		Name: "mcp", From: breaker.Closed, To: breaker.Open, Generation: 7, Reason: breaker.ByFailureRate, Cause: "web-7#abc",
		Window: store.Tally{Calls: 100, Failures: 62}, Errors: []store.ErrorCount{{Label: "503", Count: 21}}, Witnesses: []string{"web-7#abc", "web-9#def"},
	}
	forced := store.Transition{Name: "mcp", Rev: 3, Action: breaker.ForceOpen, Mode: breaker.ForcedOpen, Reason: breaker.ByOperator, Cause: "oncall", Why: "INC-42"}
	repaired := store.Transition{Name: "mcp", From: breaker.Open, To: breaker.Open, Generation: 7, Reason: breaker.ByRepair, Cause: "web-7#abc"}
	alone := store.Transition{Name: "mcp", To: breaker.Open, Generation: 2, Action: breaker.Trip, Reason: breaker.ByOperator, Cause: "web-7#abc", Why: "the store went away"}
	for want, e := range map[string]breaker.Event{
		open.Sentence():     {Kind: breaker.Transitioned, Name: "mcp", Transition: open},
		forced.Sentence():   {Kind: breaker.Commanded, Name: "mcp", Transition: forced},
		repaired.Sentence(): {Kind: breaker.Repaired, Name: "mcp", Transition: repaired},
		open.Sentence() + " (this listener missed 3 events)":                     {Kind: breaker.Transitioned, Name: "mcp", Transition: open, Err: errors.New("this listener missed 3 events")},
		"this replica's own verdict: " + open.Sentence():                         {Kind: breaker.OwnTripped, Name: "mcp", Transition: open},
		"this replica's own verdict: mcp opened because the store went away":     {Kind: breaker.OwnTripped, Name: "mcp", Transition: alone},
		"this replica's own verdict: mcp closed":                                 {Kind: breaker.OwnClosed, Name: "mcp"},
		"the store is lost: connection refused; the replica's own verdict rules": {Kind: breaker.StoreLost, Err: errNetwork},
		"the store is back; the fleet's verdict rules":                           {Kind: breaker.StoreBack},
		"mcp: replicas report different policies":                                {Kind: breaker.PolicyConflict, Name: "mcp"},
	} {
		if got := e.String(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func FuzzAnEventIsOneLineWhateverItsNamesContain(f *testing.F) {
	for _, s := range []string{"", "mcp", "a\nb", "\x1b[31m", "\u202egnp", "\u2028", "\xff\xfe", "a\r\nlevel=ERROR msg=forged"} {
		f.Add(s, s, s, uint8(1), uint8(1))
	}
	f.Fuzz(func(t *testing.T, name, who, why string, kind, reason uint8) {
		reasons := []store.Reason{
			store.ByFailureRate, store.ByConsecutiveFailures, store.ByTime, store.ByOperator, store.ByRepair, "", store.Reason(why),
		}
		e := breaker.Event{
			Kind: breaker.EventKind(kind), Name: name, Err: errors.New(why),
			Transition: store.Transition{
				Name: name, Generation: 1, Cause: who, Why: why, Reason: reasons[int(reason)%len(reasons)], Action: store.Action(reason % 9),
				Errors: []store.ErrorCount{{Label: who, Count: 1}}, Witnesses: []string{who, why},
			},
		}
		s := e.String()
		if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) }) {
			t.Fatalf("%q", s)
		}
		var text, json bytes.Buffer
		slog.New(slog.NewTextHandler(&text, nil)).Info("event", "event", e)
		slog.New(slog.NewJSONHandler(&json, nil)).Info("event", "event", e)
		if n, m := strings.Count(text.String(), "\n"), strings.Count(json.String(), "\n"); n != 1 || m != 1 {
			t.Fatalf("%d and %d lines of log:\n%s%s", n, m, &text, &json)
		}
	})
}

func TestAnEventsLogValueHasItsParts(t *testing.T) {
	var out bytes.Buffer
	e := breaker.Event{Kind: breaker.Transitioned, Name: "mcp", Transition: store.Transition{To: breaker.Open, Generation: 7, Reason: breaker.ByFailureRate, Cause: "web-7#a"}}
	slog.New(slog.NewTextHandler(&out, nil)).Info("breaker", "event", e)
	for _, want := range []string{"event.kind=transitioned", "event.breaker=mcp", "event.transition.to=open", "event.transition.reason=failure-rate", "event.transition.cause=web-7#a", "event.sentence="} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in %s", want, &out)
		}
	}
}

func TestMissedTransitionsComeFromTheHistoryInOrder(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		var heard events
		a := f.replica(breaker.WithPolicy(streak))
		b := f.replica(breaker.WithPolicy(streak), breaker.WithListener(heard.hear))
		defer a.close()
		defer b.close()
		x := a.register(t, "tier")
		b.register(t, "tier")
		b.net.hung.Store(true)
		actions := []breaker.Action{breaker.Trip, breaker.Reset, breaker.ForceOpen, breaker.Lift, breaker.Reset, breaker.ForceClosed, breaker.Lift}
		for _, action := range actions {
			if _, err := x.Command(t.Context(), breaker.Command{Action: action, By: "oncall"}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		b.net.hung.Store(false)
		time.Sleep(12 * time.Second)
		var got []breaker.Action
		for _, e := range heard.all() {
			if e.Kind == breaker.Commanded {
				got = append(got, e.Transition.Action)
			}
		}
		if !slices.Equal(got, actions) {
			t.Fatalf("heard %v; want %v", got, actions)
		}
	})
}

func TestAPushAfterALostOneDoesNotHideIt(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		var heard events
		a := f.replica(breaker.WithPolicy(streak))
		b := f.replica(breaker.WithPolicy(streak), breaker.WithListener(heard.hear))
		defer a.close()
		defer b.close()
		x := a.register(t, "tier")
		b.register(t, "tier")
		synctest.Wait()
		for _, action := range []breaker.Action{breaker.Trip, breaker.Reset} {
			b.net.deaf.Store(action == breaker.Trip)
			if _, err := x.Command(t.Context(), breaker.Command{Action: action, By: "oncall"}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		got := heard.all()
		if len(got) != 2 || got[0].Transition.Action != breaker.Trip || got[1].Transition.Action != breaker.Reset {
			t.Fatalf("heard %v", got)
		}
	})
}

// A history that was not answered was requested again only with the next report. Of an open breaker that was seconds later.
func TestAHistoryThatIsNotAnsweredIsAskedForAgain(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		var heard events
		a := f.replica(breaker.WithPolicy(streak))
		b := f.replica(breaker.WithPolicy(streak), breaker.WithListener(heard.hear))
		defer a.close()
		defer b.close()
		x := a.register(t, "tier")
		b.register(t, "tier")
		synctest.Wait()
		b.net.blank.Store(2)
		for _, action := range []breaker.Action{breaker.Trip, breaker.Reset} {
			b.net.deaf.Store(action == breaker.Trip)
			if _, err := x.Command(t.Context(), breaker.Command{Action: action, By: "oncall"}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		time.Sleep(3 * time.Second)
		if got := heard.all(); len(got) != 2 {
			t.Fatalf("heard %v", got)
		}
	})
}
