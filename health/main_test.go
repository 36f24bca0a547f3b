package health_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/commontrip/commontrip/health"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errTier = errors.New("dial redis://user:hunter2@db:6379: refused")

// tier is a fake that answers as it is told and remembers when it was asked.
type tier struct {
	mu    sync.Mutex
	err   error
	asked []time.Time
}

func (f *tier) check(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, time.Now())
	return f.err
}

func (f *tier) answer(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *tier) times() []time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]time.Time(nil), f.asked...)
}

func monitor(t *testing.T, cfg health.Config, checks []health.Check, opts ...health.Option) *health.Monitor {
	t.Helper()
	m, err := health.New(cfg, checks, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func started(t *testing.T, cfg health.Config, checks []health.Check, opts ...health.Option) *health.Monitor {
	t.Helper()
	m := monitor(t, cfg, checks, opts...)
	if err := m.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return m
}

func wantHealth(t *testing.T, m *health.Monitor, name string, want health.Health, streak int) {
	t.Helper()
	s, ok := m.Status(name)
	if !ok || s.Health != want || s.Streak != streak {
		t.Errorf("%s is %v with a streak of %d; want %v, %d", name, s.Health, s.Streak, want, streak)
	}
}

// times runs one check n times by hand.
func times(t *testing.T, m *health.Monitor, name string, n int) health.Status {
	t.Helper()
	var s health.Status
	for range n {
		var err error
		if s, err = m.Check(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	return s
}
