package health_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/health"
)

// heard collects what a listener was told.
type heard struct {
	mu  sync.Mutex
	all []health.Health
}

func (h *heard) listen(s health.Status) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, s.Health)
}

func (h *heard) want(t *testing.T, want ...health.Health) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Equal(h.all, want) {
		t.Errorf("heard %v; want %v", h.all, want)
	}
}

// flap makes every check a change: up, down, up, down...
func flap() (health.Config, []health.Check) {
	n := 0
	return health.Config{DownAfter: 1}, []health.Check{{Name: "db", Run: func(context.Context) error {
		if n++; n%2 == 0 {
			return errTier
		}
		return nil
	}}}
}

func TestListenersHearChangesOnlyInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f tier
		var h heard
		m := monitor(t, health.Config{DownAfter: 2}, []health.Check{{Name: "db", Run: f.check}}, health.WithListener(h.listen))
		for _, result := range []error{nil, nil, errTier, nil, errTier, errTier, errTier, nil, nil} {
			f.answer(result)
			times(t, m, "db", 1)
		}
		if err := m.Close(t.Context()); err != nil {
			t.Error(err)
		}
		h.want(t, health.Up, health.Down, health.Up)
	})
}

func TestAListenerIsToldTheStatusThatMadeTheChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f tier
		f.answer(errTier)
		var got health.Status
		m := monitor(t, health.Config{}, []health.Check{{Name: "db", Run: f.check}},
			health.WithListener(func(s health.Status) { got = s }))
		want := times(t, m, "db", 3)
		times(t, m, "db", 2)
		if err := m.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if got != want || got.Streak != 3 || !errors.Is(got.Err, errTier) {
			t.Errorf("got %+v; want %+v", got, want)
		}
	})
}

// A listener that panicked once took the process, one that ended its goroutine silenced the others, and one that blocked
// held the state back.
func TestAListenerThatPanicsExitsOrBlocksDisturbsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var panicked, exited, blocked, fine heard
		release := make(chan struct{})
		cfg, checks := flap()
		m := monitor(t, cfg, checks,
			health.WithListener(func(s health.Status) { panicked.listen(s); panic("boom") }),
			health.WithListener(func(s health.Status) { exited.listen(s); runtime.Goexit() }),
			health.WithListener(func(s health.Status) { <-release; blocked.listen(s) }),
			health.WithListener(fine.listen),
		)
		times(t, m, "db", 4)
		synctest.Wait()
		want := []health.Health{health.Up, health.Down, health.Up, health.Down}
		panicked.want(t, want...)
		exited.want(t, want...)
		fine.want(t, want...)
		blocked.want(t)
		wantHealth(t, m, "db", health.Down, 1)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := m.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close did not wait for the listener: %v", err)
		}
		close(release)
		if err := m.Close(t.Context()); err != nil {
			t.Error(err)
		}
		blocked.want(t, want...)
	})
}

func TestAListenerMayAskTheMonitor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f tier
		var m *health.Monitor
		var asked atomic.Int32
		m = monitor(t, health.Config{}, []health.Check{{Name: "db", Run: f.check}}, health.WithListener(func(s health.Status) {
			now, err := m.Check(context.Background(), s.Name)
			if err != nil || now.Streak != 2 || len(m.All()) != 1 {
				t.Errorf("%+v, %v", now, err)
			}
			asked.Add(1)
		}))
		times(t, m, "db", 1)
		synctest.Wait()
		if asked.Load() != 1 {
			t.Error("not told")
		}
	})
}

func TestWhatWaitsForABlockedListenerIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h heard
		release := make(chan struct{})
		cfg, checks := flap()
		m := monitor(t, cfg, checks, health.WithListener(func(s health.Status) { <-release; h.listen(s) }))
		times(t, m, "db", 1)
		synctest.Wait() // the first is taken and blocks
		times(t, m, "db", 3000)
		close(release)
		if err := m.Close(t.Context()); err != nil {
			t.Error(err)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		if len(h.all) != 1+1024 || h.all[len(h.all)-1] != health.Up {
			t.Errorf("heard %d, the last is %v", len(h.all), h.all[len(h.all)-1])
		}
	})
}
