package health_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/health"
)

// goroutines counts those that run a method of the given receiver.
func goroutines(of string) int {
	buf := make([]byte, 1<<20)
	n := 0
	for _, stack := range bytes.Split(buf[:runtime.Stack(buf, true)], []byte("\n\n")) {
		if frames, _, _ := bytes.Cut(stack, []byte("created by")); bytes.Contains(frames, []byte(of)) {
			n++
		}
	}
	return n
}

func TestTheFirstCheckIsAtOnceAndTheOthersAreSpreadByTenPercent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f, slow tier
		begin := time.Now()
		started(t, health.Config{}, []health.Check{
			{Name: "mcp", Run: f.check},
			{Name: "sdk", Run: slow.check, Interval: time.Hour},
		})
		synctest.Wait()
		if got := f.times(); len(got) != 1 || !got[0].Equal(begin) {
			t.Fatalf("first checks: %v", got)
		}
		<-time.After(10 * time.Hour)
		at := f.times()
		gaps := map[time.Duration]bool{}
		var shortest, longest time.Duration = time.Hour, 0
		for i := 1; i < len(at); i++ {
			gap := at[i].Sub(at[i-1])
			gaps[gap] = true
			shortest, longest = min(shortest, gap), max(longest, gap)
		}
		if shortest < 27*time.Second || longest > 33*time.Second {
			t.Errorf("gaps from %v to %v", shortest, longest)
		}
		if shortest > 28*time.Second || longest < 32*time.Second || len(gaps) < 100 {
			t.Errorf("hardly spread: %d gaps from %v to %v", len(gaps), shortest, longest)
		}
		if n := len(slow.times()); n < 10 || n > 12 {
			t.Errorf("with an Interval of its own of 1 h: %d checks in 10 h", n)
		}
	})
}

func TestATierGoesDownAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f tier
		f.answer(errTier)
		m := started(t, health.Config{UpAfter: 2}, []health.Check{{Name: "db", Run: f.check}})
		synctest.Wait()
		wantHealth(t, m, "db", health.Unknown, 1)
		for len(f.times()) < 3 {
			<-time.After(time.Second)
		}
		wantHealth(t, m, "db", health.Down, 3)
		s, _ := m.Status("db")
		if !errors.Is(s.Err, errTier) || !s.Checked.Equal(s.Since) || !s.Checked.Equal(f.times()[2]) {
			t.Errorf("status: %+v", s)
		}
		f.answer(nil)
		<-time.After(33 * time.Second)
		wantHealth(t, m, "db", health.Down, 1)
		<-time.After(33 * time.Second)
		if s, _ := m.Status("db"); s.Health != health.Up || s.Err != nil {
			t.Errorf("status: %+v", s)
		}
	})
}

// A check that looks at nothing once took the whole loop with it.
func TestACheckThatHangsFailsEachIntervalAndIsNotStartedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var calls atomic.Int32
		hang := func(context.Context) error {
			if calls.Add(1) == 1 {
				<-release
			}
			return nil
		}
		var f tier
		m := started(t, health.Config{}, []health.Check{{Name: "hung", Run: hang}, {Name: "fine", Run: f.check}})

		<-time.After(9 * time.Second)
		wantHealth(t, m, "hung", health.Unknown, 0)
		<-time.After(time.Second)
		synctest.Wait()
		wantHealth(t, m, "hung", health.Unknown, 1)
		s, _ := m.Status("hung")
		if !errors.Is(s.Err, context.DeadlineExceeded) || s.Took != 10*time.Second {
			t.Errorf("after the timeout: %+v", s)
		}

		<-time.After(time.Hour)
		synctest.Wait()
		if n := goroutines("health.(*target)"); n != 3 { // two loops and the run that hangs
			t.Errorf("%d goroutines after an hour", n)
		}
		s, _ = m.Status("hung")
		if s.Health != health.Down || s.Streak < 100 || s.Took < 59*time.Minute || calls.Load() != 1 {
			t.Errorf("after an hour: %+v, %d calls", s, calls.Load())
		}
		if n := len(f.times()); n < 109 || n > 135 {
			t.Errorf("the other check ran %d times", n)
		}
		wantHealth(t, m, "fine", health.Up, len(f.times()))

		close(release)
		synctest.Wait()
		if s, _ := m.Status("hung"); s.Health != health.Down || s.Err == nil {
			t.Errorf("a success after the timeout counted: %+v", s)
		}
		<-time.After(34 * time.Second)
		wantHealth(t, m, "hung", health.Up, int(calls.Load())-1)
	})
}

// The timeout and the check's own return come at one instant: whichever is first, it is one failure by timeout.
func TestACheckThatObeysItsContextFailsOnceAtTheTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for i := range 500 {
			result := []error{nil, errTier}[i%2]
			m := monitor(t, health.Config{}, []health.Check{{Name: "db", Timeout: time.Second, Run: func(ctx context.Context) error {
				<-ctx.Done()
				return result
			}}})
			begin := time.Now()
			s := times(t, m, "db", 1)
			synctest.Wait()
			if !errors.Is(s.Err, context.DeadlineExceeded) || s.Streak != 1 || time.Since(begin) != time.Second {
				t.Fatalf("%v: %+v after %v", result, s, time.Since(begin))
			}
			wantHealth(t, m, "db", health.Unknown, 1)
		}
	})
}

func TestACheckSlowerThanItsIntervalRunsOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most, calls atomic.Int32
		m := started(t, health.Config{Interval: time.Second, Timeout: time.Minute}, []health.Check{{Name: "db", Run: func(context.Context) error {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			calls.Add(1)
			<-time.After(5 * time.Second)
			return nil
		}}})
		<-time.After(51 * time.Second)
		if most.Load() != 1 || calls.Load() != 11 {
			t.Errorf("%d at once, %d in all", most.Load(), calls.Load())
		}
		wantHealth(t, m, "db", health.Up, 10)
	})
}

func TestAPanicAndAGoexitAreFailuresOfTheirCheckAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f tier
		m := started(t, health.Config{}, []health.Check{
			{Name: "panics", Run: func(context.Context) error { panic("boom") }},
			{Name: "exits", Run: func(context.Context) error { runtime.Goexit(); return nil }},
			{Name: "fine", Run: f.check},
		})
		<-time.After(200 * time.Second)
		for _, name := range []string{"panics", "exits"} {
			s, _ := m.Status(name)
			if s.Health != health.Down || s.Streak < 6 || s.Err == nil || !strings.Contains(s.Err.Error(), "panicked") {
				t.Errorf("%s: %+v", name, s)
			}
		}
		if s, _ := m.Status("panics"); !strings.Contains(s.Err.Error(), "boom") {
			t.Errorf("the panic's value is lost: %v", s.Err)
		}
		wantHealth(t, m, "fine", health.Up, len(f.times()))
	})
}

func TestAThousandCallersShareOneCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		m := monitor(t, health.Config{}, []health.Check{{Name: "db", Run: func(context.Context) error {
			calls.Add(1)
			<-time.After(time.Second)
			return nil
		}}})
		var callers sync.WaitGroup
		for range 1000 {
			callers.Go(func() {
				if s, err := m.Check(t.Context(), "db"); err != nil || s.Health != health.Up {
					t.Errorf("%+v, %v", s, err)
				}
			})
		}
		callers.Wait()
		if calls.Load() != 1 {
			t.Errorf("%d calls", calls.Load())
		}
		wantHealth(t, m, "db", health.Up, 1)
	})
}

func TestCheckSaysWhyThereIsNoNewStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		m := monitor(t, health.Config{}, []health.Check{{Name: "db", Run: func(context.Context) error {
			calls.Add(1)
			<-time.After(2 * time.Second)
			return nil
		}}})
		if _, err := m.Check(t.Context(), "bd"); !errors.Is(err, health.ErrUnknown) || !strings.Contains(err.Error(), `"bd"`) {
			t.Errorf("unknown name: %v", err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if s, err := m.Check(ended, "db"); !errors.Is(err, context.Canceled) || s.Name != "db" || calls.Load() != 0 {
			t.Errorf("ended before: %+v, %v, %d calls", s, err, calls.Load())
		}
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if s, err := m.Check(short, "db"); !errors.Is(err, context.DeadlineExceeded) || s.Health != health.Unknown {
			t.Errorf("ended meanwhile: %+v, %v", s, err)
		}
		<-time.After(time.Second)
		synctest.Wait()
		wantHealth(t, m, "db", health.Up, 1) // the caller left, the check went on
		if err := m.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if s, err := m.Check(t.Context(), "db"); !errors.Is(err, health.ErrClosed) || s.Health != health.Up || calls.Load() != 1 {
			t.Errorf("closed: %+v, %v, %d calls", s, err, calls.Load())
		}
	})
}

// Close was final. In the module that people come from a monitor starts again.
func TestAMonitorThatWasClosedStartsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f tier
		var h heard
		f.answer(errTier)
		m := monitor(t, health.Config{DownAfter: 1}, []health.Check{{Name: "db", Run: f.check}}, health.WithListener(h.listen))
		if err := m.Start(); err != nil {
			t.Error(err)
		}
		if err := m.Start(); !errors.Is(err, health.ErrStarted) {
			t.Errorf("twice: %v", err)
		}
		synctest.Wait()
		g, err := m.Guard("db")
		if err != nil {
			t.Fatal(err)
		}
		works := func(context.Context) error { return nil }
		if err := g.Run(t.Context(), works); !errors.Is(err, health.ErrDown) {
			t.Errorf("down: %v", err)
		}
		for range 2 {
			if err := m.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(time.Hour)
		if n := len(f.times()); n != 1 {
			t.Errorf("%d checks, an hour after Close", n)
		}
		if err := g.Run(t.Context(), works); err != nil {
			t.Errorf("closed: %v", err)
		}
		wantHealth(t, m, "db", health.Down, 1)
		f.answer(nil)
		for range 3 {
			if err := m.Start(); err != nil {
				t.Fatalf("again: %v", err)
			}
			if err := m.Start(); !errors.Is(err, health.ErrStarted) {
				t.Errorf("again, twice: %v", err)
			}
			synctest.Wait()
			wantHealth(t, m, "db", health.Up, 1)
			before := len(f.times())
			time.Sleep(10 * time.Minute)
			if n := len(f.times()) - before; n < 18 || n > 23 {
				t.Errorf("%d checks in ten minutes", n)
			}
			if err := m.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
		h.want(t, health.Down, health.Unknown, health.Up, health.Unknown, health.Up, health.Unknown, health.Up)

		never := monitor(t, health.Config{}, nil)
		if err := errors.Join(never.Close(t.Context()), never.Start(), never.Close(t.Context())); err != nil {
			t.Errorf("closed before Start: %v", err)
		}
	})
}

func TestAResultOfTheLifeBeforeCountsForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release, calls := make(chan struct{}), atomic.Int32{}
		m := monitor(t, health.Config{DownAfter: 1}, []health.Check{{Name: "db", Run: func(context.Context) error {
			if calls.Add(1) == 1 {
				<-release
				return errTier
			}
			return nil
		}}})
		if err := m.Start(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		ended, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := m.Close(ended); err == nil || !strings.Contains(err.Error(), `"db"`) {
			t.Errorf("Close: %v", err)
		}
		if err := m.Start(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := calls.Load(); n != 1 {
			t.Errorf("%d runs at once", n)
		}
		wantHealth(t, m, "db", health.Down, 1) // that it hangs is a failure of this life, too
		close(release)
		synctest.Wait()
		wantHealth(t, m, "db", health.Down, 1)
		if s, _ := m.Status("db"); errors.Is(s.Err, errTier) {
			t.Errorf("its result counted: %+v", s)
		}
		time.Sleep(33 * time.Second)
		wantHealth(t, m, "db", health.Up, 1)
		if err := m.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestChecksComeAndGoWhileTheMonitorRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var first, second tier
		second.answer(errTier)
		m := started(t, health.Config{DownAfter: 1}, []health.Check{{Name: "first", Run: first.check}})
		if err := m.Add(health.Check{Name: "second", Run: second.check}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		wantHealth(t, m, "second", health.Down, 1)
		if all := m.All(); len(all) != 2 || all[0].Name != "first" || all[1].Name != "second" {
			t.Errorf("all: %v", all)
		}
		for _, bad := range []health.Check{
			{Name: "second", Run: second.check},
			{Name: "", Run: second.check},
			{Name: "third"},
			{Name: "third", Run: second.check, Interval: -1},
			{Name: "third", Run: second.check, Feed: health.FeedAll},
		} {
			if err := m.Add(bad); err == nil {
				t.Errorf("%+v was taken", bad)
			}
		}
		g, err := m.Guard("second")
		if err != nil {
			t.Fatal(err)
		}
		works := func(context.Context) error { return nil }
		if err := g.Run(t.Context(), works); !errors.Is(err, health.ErrDown) {
			t.Errorf("down: %v", err)
		}
		if err := m.Remove(t.Context(), "second"); err != nil {
			t.Error(err)
		}
		if err := g.Run(t.Context(), works); err != nil {
			t.Errorf("removed: %v", err)
		}
		if err := m.Remove(t.Context(), "second"); !errors.Is(err, health.ErrUnknown) {
			t.Errorf("twice: %v", err)
		}
		if _, err := m.Check(t.Context(), "second"); !errors.Is(err, health.ErrUnknown) {
			t.Errorf("a check that is gone: %v", err)
		}
		before := len(second.times())
		time.Sleep(time.Hour)
		if n := len(second.times()) - before; n != 0 || len(first.times()) < 100 {
			t.Errorf("%d checks after Remove, %d of the other", n, len(first.times()))
		}
		second.answer(nil)
		if err := m.Add(health.Check{Name: "second", Run: second.check}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		wantHealth(t, m, "second", health.Up, 1)
	})
}

func TestACheckThatIsAddedToAMonitorThatRestsRunsFromItsStartOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f tier
		m := monitor(t, health.Config{}, nil)
		if err := m.Add(health.Check{Name: "before", Run: f.check}); err != nil {
			t.Fatal(err)
		}
		times(t, m, "before", 1) // works before Start, as for the others
		if err := m.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if err := m.Add(health.Check{Name: "closed", Run: f.check}); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Check(t.Context(), "closed"); !errors.Is(err, health.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
		if err := m.Start(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		wantHealth(t, m, "before", health.Up, 1)
		wantHealth(t, m, "closed", health.Up, 1)
		if err := m.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestRemoveCancelsARunningCheckAndNamesOneThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		m := started(t, health.Config{DownAfter: 1}, []health.Check{
			{Name: "obeys", Run: func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }},
			{Name: "hangs", Run: func(context.Context) error { <-release; return nil }},
		})
		synctest.Wait()
		joined := make(chan error)
		go func() {
			_, err := m.Check(t.Context(), "obeys")
			joined <- err
		}()
		synctest.Wait()
		if err := m.Remove(t.Context(), "obeys"); err != nil {
			t.Error(err)
		}
		if err := <-joined; !errors.Is(err, health.ErrUnknown) {
			t.Errorf("who waited for the check got %v", err)
		}
		why := errors.New("no more time")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, why)
		defer cancel()
		if err := m.Remove(ctx, "hangs"); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, why) || !strings.Contains(err.Error(), `"hangs"`) {
			t.Errorf("Remove: %v", err)
		}
		close(release)
	})
}

func TestStartCloseAddAndRemoveAtOnceAreSafe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f tier
		m := monitor(t, health.Config{Interval: time.Millisecond}, []health.Check{{Name: "db", Run: f.check}})
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				for n := range 50 {
					name := fmt.Sprint(i, n)
					_ = m.Start()
					_ = m.Add(health.Check{Name: name, Run: f.check})
					_, _ = m.Check(t.Context(), "db")
					_ = m.All()
					_ = m.Close(t.Context())
					if err := m.Remove(t.Context(), name); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		if err := m.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// errors.Is found neither who had ended the context, nor why.
func TestTheContextsCauseIsInTheErrorOfACheck(t *testing.T) {
	shutdown := errors.New("shutting down")
	ctx, cancel := context.WithCancelCause(t.Context())
	m := monitor(t, health.Config{}, []health.Check{{Name: "db", Run: func(ctx context.Context) error {
		cancel(shutdown)
		<-ctx.Done()
		return nil
	}}})
	for _, when := range []string{"meanwhile", "before"} {
		if _, err := m.Check(ctx, "db"); !errors.Is(err, context.Canceled) || !errors.Is(err, shutdown) {
			t.Errorf("ended %s: %v", when, err)
		}
	}
	if err := m.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestCloseCancelsARunningCheckAndCountsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard atomic.Int32
		m := monitor(t, health.Config{DownAfter: 1}, []health.Check{{Name: "db", Run: func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}}}, health.WithListener(func(health.Status) { heard.Add(1) }))
		if err := m.Start(); err != nil {
			t.Fatal(err)
		}
		joined := make(chan error)
		go func() {
			_, err := m.Check(t.Context(), "db")
			joined <- err
		}()
		<-time.After(time.Second)
		begin := time.Now()
		if err := m.Close(t.Context()); err != nil || time.Since(begin) != 0 {
			t.Errorf("Close: %v after %v", err, time.Since(begin))
		}
		if err := <-joined; !errors.Is(err, health.ErrClosed) {
			t.Errorf("the caller that waited for the check got %v", err)
		}
		wantHealth(t, m, "db", health.Unknown, 0)
		if heard.Load() != 0 {
			t.Error("listeners heard of a check that Close ended")
		}
	})
}

func TestCloseReturnsAfterTheBackgroundChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f tier
		checks := make([]health.Check, 100)
		for i := range checks {
			checks[i] = health.Check{Name: fmt.Sprint(i), Run: f.check}
		}
		m := monitor(t, health.Config{}, checks)
		if err := m.Start(); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Second)
		if n := goroutines("health.(*target).loop"); n != 100 {
			t.Errorf("%d of 100 run", n)
		}
		if err := m.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if n := goroutines("health.(*target).loop"); n != 0 {
			t.Errorf("%d still run", n)
		}
	})
}

func TestCloseNamesTheChecksThatDoNotReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var f tier
		m := monitor(t, health.Config{}, []health.Check{
			{Name: "hung", Run: func(context.Context) error { <-release; return nil }},
			{Name: "fine", Run: f.check},
		})
		if err := m.Start(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		begin := time.Now()
		err := m.Close(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), `"hung"`) || strings.Contains(err.Error(), "fine") {
			t.Errorf("Close: %v", err)
		}
		if time.Since(begin) != 5*time.Second {
			t.Errorf("after %v", time.Since(begin))
		}
		close(release)
		if err := m.Close(t.Context()); err != nil {
			t.Errorf("Close again: %v", err)
		}
		if n := len(f.times()); n != 1 {
			t.Errorf("checks went on after Close: %d", n)
		}
	})
}

func TestStatusesComeInTheOrderOfTheChecks(t *testing.T) {
	checks := []health.Check{{Name: "mcp"}, {Name: "sdk"}, {Name: "rest"}}
	for i := range checks {
		checks[i].Run = func(context.Context) error { return nil }
	}
	m := monitor(t, health.Config{}, checks)
	checks[0].Name = "changed by the caller"
	var names []string
	for _, s := range m.All() {
		names = append(names, s.Name)
		if s.Health != health.Unknown || !s.Checked.IsZero() || s.Since.IsZero() {
			t.Errorf("before any check: %+v", s)
		}
	}
	if strings.Join(names, " ") != "mcp sdk rest" {
		t.Errorf("got %v", names)
	}
	if _, ok := m.Status("nobody"); ok {
		t.Error("there is a status for a name without a check")
	}
}

func TestStartCloseCheckAndReadsMayRace(t *testing.T) {
	for range 20 {
		var f tier
		m := monitor(t, health.Config{Interval: time.Millisecond}, []health.Check{{Name: "db", Run: f.check}},
			health.WithListener(func(health.Status) {}))
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				_ = m.Start()
				_, _ = m.Check(context.Background(), "db")
				m.All()
				if i == 0 {
					_ = m.Close(context.Background())
				}
			})
		}
		all.Wait()
		if err := m.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
