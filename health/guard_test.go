package health_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/health"
)

func admitted(t *testing.T, g *health.Guard) (bool, error) {
	t.Helper()
	entered := false
	err := g.Run(t.Context(), func(context.Context) error { entered = true; return nil })
	return entered, err
}

func TestAGuardRefusesOnlyWhileDown(t *testing.T) {
	var f tier
	f.answer(errTier)
	m := monitor(t, health.Config{}, []health.Check{{Name: "db", Run: f.check}})
	g, err := m.Guard("db")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // unknown, with 0, 1 and 2 failures
		if in, err := admitted(t, g); !in || err != nil {
			t.Errorf("unknown: %v, %v", in, err)
		}
		times(t, m, "db", 1)
	}
	in, err := admitted(t, g)
	var down *health.DownError
	if in || !errors.Is(err, health.ErrDown) || !errors.As(err, &down) || down.Name != "db" {
		t.Errorf("down: %v, %v", in, err)
	}
	if errors.Is(err, errTier) {
		t.Error("a refusal passes for the check's own error")
	}
	f.answer(nil)
	times(t, m, "db", 1)
	if in, err := admitted(t, g); !in || err != nil {
		t.Errorf("up: %v, %v", in, err)
	}
}

func TestAGuardReturnsTheCallsOwnError(t *testing.T) {
	m := monitor(t, health.Config{}, []health.Check{{Name: "db", Run: func(context.Context) error { return nil }}})
	g, _ := m.Guard("db")
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, 7)
	err := g.Run(ctx, func(ctx context.Context) error {
		if ctx.Value(key{}) != 7 {
			t.Error("another context")
		}
		return errTier
	})
	if err != errTier { //nolint:errorlint // the very error, not one that wraps it
		t.Errorf("got %v", err)
	}
}

func TestARefusalSaysHowLongUntilTheNextCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f tier
		f.answer(errTier)
		m := started(t, health.Config{DownAfter: 1}, []health.Check{{Name: "db", Run: f.check}})
		synctest.Wait()
		g, _ := m.Guard("db")
		_, err := admitted(t, g)
		var down *health.DownError
		if !errors.As(err, &down) {
			t.Fatal(err)
		}
		first := down.RetryAfter()
		if first < 27*time.Second || first > 33*time.Second {
			t.Errorf("just checked: %v", first)
		}
		<-time.After(20 * time.Second)
		if got := down.RetryAfter(); got != first-20*time.Second {
			t.Errorf("20 s after %v: %v", first, got)
		}
		<-time.After(down.RetryAfter())
		synctest.Wait()
		if n := len(f.times()); n != 2 {
			t.Errorf("when RetryAfter was over there had been %d checks", n)
		}
		if got := down.RetryAfter(); got < 27*time.Second {
			t.Errorf("checked again: %v", got)
		}
	})
}

func TestWithoutBackgroundChecksARefusalNamesTheInterval(t *testing.T) {
	m := monitor(t, health.Config{DownAfter: 1}, []health.Check{{Name: "db", Interval: time.Minute, Run: func(context.Context) error { return errTier }}})
	times(t, m, "db", 1)
	g, _ := m.Guard("db")
	_, err := admitted(t, g)
	var down *health.DownError
	if !errors.As(err, &down) || down.RetryAfter() != time.Minute {
		t.Errorf("got %v", err)
	}
	if got := (&health.DownError{Name: "made by hand"}).RetryAfter(); got != 0 {
		t.Errorf("made by hand: %v", got)
	}
}

// Nobody would ever find out that the tier is back.
func TestAClosedMonitorsGuardAdmits(t *testing.T) {
	m := monitor(t, health.Config{DownAfter: 1}, []health.Check{{Name: "db", Run: func(context.Context) error { return errTier }}})
	times(t, m, "db", 1)
	g, _ := m.Guard("db")
	if in, _ := admitted(t, g); in {
		t.Fatal("admitted while down")
	}
	if err := m.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if in, err := admitted(t, g); !in || err != nil {
		t.Errorf("%v, %v", in, err)
	}
	wantHealth(t, m, "db", health.Down, 1)
}

func TestAGuardCostsNoAllocation(t *testing.T) {
	var f tier
	f.answer(errTier)
	m := monitor(t, health.Config{DownAfter: 1}, []health.Check{{Name: "db", Run: f.check}})
	g, _ := m.Guard("db")
	ctx, fn := t.Context(), func(context.Context) error { return nil }
	run := func() { _ = g.Run(ctx, fn) }
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("admitted: %v allocations", n)
	}
	times(t, m, "db", 1)
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("refused: %v allocations", n)
	}
}

func TestWhatIsNilPanicsWithASentence(t *testing.T) {
	m := monitor(t, health.Config{}, []health.Check{{Name: "db", Run: func(context.Context) error { return nil }}})
	g, _ := m.Guard("db")
	fn := func(context.Context) error { return nil }
	for name, call := range map[string]func(){
		"listener":       func() { health.WithListener(nil) },
		"guard":          func() { _ = (*health.Guard)(nil).Run(t.Context(), fn) },
		"zero guard":     func() { _ = new(health.Guard).Run(t.Context(), fn) },
		"guard function": func() { _ = g.Run(t.Context(), nil) },
		"guard context":  func() { _ = g.Run(nil, fn) },        //nolint:staticcheck // the point of the test
		"check context":  func() { _, _ = m.Check(nil, "db") }, //nolint:staticcheck // the point of the test
		"close context":  func() { _ = m.Close(nil) },          //nolint:staticcheck // the point of the test
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if s, ok := recover().(string); !ok || s == "" {
					t.Errorf("recovered %v", s)
				}
			}()
			call()
		})
	}
	if _, err := m.Guard("bd"); !errors.Is(err, health.ErrUnknown) {
		t.Errorf("a guard without a check: %v", err)
	}
}
