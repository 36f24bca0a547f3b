package storekit

import (
	"fmt"
	"time"
)

const (
	defaultTimeout   = time.Second
	maxTimeout       = time.Minute
	defaultBudget    = 500
	maxBudget        = 1_000_000
	defaultHeartbeat = 3 * time.Second
	minPush          = 64
)

// Option changes how a Store works. A bad value is refused by New with its range.
type Option func(*settings)

// settings are what options change.
type settings struct {
	kind      string
	timeout   time.Duration
	budget    int
	heartbeat time.Duration
	maxPush   int
	clock     func() time.Time // nil: the back end's
}

// WithKind says what Info().Kind is; the default is "kit".
func WithKind(kind string) Option { return func(s *settings) { s.kind = kind } }

// WithTimeout bounds one call of the Backend if the context has no deadline; the default is 1 s. 1 ms..1 m.
func WithTimeout(d time.Duration) Option { return func(s *settings) { s.timeout = d } }

// WithBudget says how many reports a second one breaker may cost the back end, while it has no more replicas than that; the
// default is 500. It sets Result.Again: replicas / budget seconds, at most 1 s. 1..1000000.
func WithBudget(reportsPerSecond int) Option {
	return func(s *settings) { s.budget = reportsPerSecond }
}

// WithHeartbeat says after how much silence a Watch pushes a sign of life to itself and all others; the default is 3 s. If
// nothing comes back within that time again, the connection is taken to be lost. 10 ms..1 m.
func WithHeartbeat(d time.Duration) Option { return func(s *settings) { s.heartbeat = d } }

// WithMaxPush says how many bytes a push may have at most. A longer one becomes a Resync. The default is 0, no bound; else at
// least 64.
func WithMaxPush(bytes int) Option { return func(s *settings) { s.maxPush = bytes } }

// WithClock replaces the back end's clock. For tests only: replicas whose clocks differ would judge by different times. The
// function must be safe for concurrent use.
func WithClock(now func() time.Time) Option { return func(s *settings) { s.clock = now } }

// newSettings checks what the options ask for.
func newSettings(opts []Option) (settings, error) {
	s := settings{kind: "kit", timeout: defaultTimeout, budget: defaultBudget, heartbeat: defaultHeartbeat}
	for _, o := range opts {
		o(&s)
	}
	switch {
	case s.kind == "":
		return s, fmt.Errorf("storekit: kind is empty; want a word such as \"etcd\"")
	case s.timeout < time.Millisecond || s.timeout > maxTimeout:
		return s, fmt.Errorf("storekit: timeout is %v; want 1ms..%v", s.timeout, maxTimeout)
	case s.budget < 1 || s.budget > maxBudget:
		return s, fmt.Errorf("storekit: budget is %d; want 1..%d reports a second", s.budget, maxBudget)
	case s.heartbeat < 10*time.Millisecond || s.heartbeat > time.Minute:
		return s, fmt.Errorf("storekit: heartbeat is %v; want 10ms..1m", s.heartbeat)
	case s.maxPush != 0 && s.maxPush < minPush:
		return s, fmt.Errorf("storekit: greatest push is %d bytes; want 0 for no bound, or at least %d", s.maxPush, minPush)
	}
	return s, nil
}
