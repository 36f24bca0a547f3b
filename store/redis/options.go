package redisstore

import (
	"fmt"
	"time"
)

const (
	defaultTimeout = time.Second
	maxTimeout     = time.Minute
	defaultBudget  = 500
	maxBudget      = 1_000_000
)

// Option changes how a Store works. A bad value is refused by Open or New with its range.
type Option func(*settings)

// settings are what options change.
type settings struct {
	prefix  string
	timeout time.Duration
	budget  int
	clock   func() time.Time // nil: the server's
	spread  func() int       // ms on top of a refused claim's 100 ms
}

// WithPrefix names the fleet's name space; the default is "commontrip". Fleets with different prefixes share a Redis and
// nothing else. 1..100 bytes of UTF-8, without braces, quotes, blanks and control characters.
func WithPrefix(prefix string) Option { return func(s *settings) { s.prefix = prefix } }

// WithTimeout bounds one exchange with Redis if the context has no deadline; the default is 1 s. A store of [Open] also gives
// up making a connection after that, unless the URL sets dial_timeout. 1 ms..1 m.
func WithTimeout(d time.Duration) Option { return func(s *settings) { s.timeout = d } }

// WithBudget says how many scripts a second one breaker may cost Redis, while it has no more replicas than that; the
// default is 500. It sets Result.Again: replicas / budget seconds, at most 1 s. 1..1000000.
func WithBudget(scriptsPerSecond int) Option {
	return func(s *settings) { s.budget = scriptsPerSecond }
}

// WithClock replaces the clock of the Redis server. For tests only: replicas whose clocks differ would judge by
// different times. The function must be safe for concurrent use.
func WithClock(now func() time.Time) Option { return func(s *settings) { s.clock = now } }

// newSettings checks what the options ask for.
func newSettings(opts []Option) (settings, error) {
	s := settings{prefix: defaultPrefix, timeout: defaultTimeout, budget: defaultBudget, spread: drawSpread}
	for _, o := range opts {
		o(&s)
	}
	if err := checkPrefix(s.prefix); err != nil {
		return s, err
	}
	if s.timeout < time.Millisecond || s.timeout > maxTimeout {
		return s, fmt.Errorf("redisstore: timeout is %v; want 1ms..%v", s.timeout, maxTimeout)
	}
	if s.budget < 1 || s.budget > maxBudget {
		return s, fmt.Errorf("redisstore: budget is %d; want 1..%d scripts a second", s.budget, maxBudget)
	}
	return s, nil
}
