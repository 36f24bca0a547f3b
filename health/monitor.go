package health

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/commontrip/commontrip/store"
)

// Breaker is what a check needs of its tier's breaker; *breaker.Breaker is one.
type Breaker interface {
	Run(ctx context.Context, fn func(ctx context.Context) error) error
	State() store.State
}

// Feed says which checks go through the check's Breaker. The zero value is FeedNothing.
type Feed uint8

// The three feeds.
const (
	FeedNothing Feed = iota // none: the breaker learns nothing of checks
	FeedProbes              // those made while the breaker is not closed, as its probes: they bring the tier back, and take no part in tripping
	FeedAll                 // all: a check counts like a call
)

func (f Feed) String() string {
	switch f {
	case FeedNothing:
		return "nothing"
	case FeedProbes:
		return "probes"
	case FeedAll:
		return "all"
	}
	return fmt.Sprintf("Feed(%d)", uint8(f))
}

// Check is how to ask one tier for a sign of life.
type Check struct {
	Name     string                      // by the rules of store.ValidateName; one of its kind in a Monitor
	Run      func(context.Context) error // nil = healthy. Its context ends at the timeout and with Close; never two at once
	Interval time.Duration               // 0 = the Config's
	Timeout  time.Duration               // 0 = the Config's
	Breaker  Breaker                     // may be nil if Feed is FeedNothing
	Feed     Feed
}

// Errors of a Monitor. Compare with errors.Is.
var (
	ErrUnknown = errors.New("health: no such check")
	ErrStarted = errors.New("health: the monitor was started before")
	ErrClosed  = errors.New("health: the monitor is closed")
)

// Monitor runs checks and keeps what they found. It is safe for concurrent use, from checks and listeners too.
type Monitor struct {
	targets   []*target // in the order of the checks
	byName    map[string]*target
	listeners []*listener
	life      context.Context
	end       context.CancelFunc

	mu      sync.Mutex
	started bool
	loops   sync.WaitGroup
}

// Option is a behaviour of a Monitor.
type Option func(*Monitor)

// WithListener has fn called at each change of a tier's health, with the status that made it: one call at a time, in
// order, on a goroutine of its own. It may block, panic or call the Monitor without delaying a check; of the changes that
// wait for it the newest 1024 are kept. It may be given more than once. A nil fn panics.
func WithListener(fn func(Status)) Option {
	if fn == nil {
		panic("health: WithListener with a nil function")
	}
	return func(m *Monitor) { m.listeners = append(m.listeners, &listener{fn: fn}) }
}

// New makes a Monitor that does not check yet. A bad field of cfg or of a check is a *[ConfigError]; a bad name Is
// store.ErrName.
func New(cfg Config, checks []Check, opts ...Option) (*Monitor, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	m := &Monitor{byName: make(map[string]*target, len(checks))}
	m.life, m.end = context.WithCancel(context.Background())
	for _, opt := range opts {
		opt(m)
	}
	now := time.Now()
	for i, c := range checks {
		if err := store.ValidateName(c.Name); err != nil {
			return nil, fmt.Errorf("health: check %d: %w", i, err)
		}
		own, err := c.configure(cfg.WithDefaults())
		if err != nil {
			return nil, err
		}
		if m.byName[c.Name] != nil {
			return nil, &ConfigError{Check: c.Name, Field: "Name", Value: "given twice", Range: "one check a name"}
		}
		t := &target{
			Check: c, cfg: own, listeners: m.listeners, life: m.life,
			status: Status{Name: c.Name, Since: now},
		}
		m.byName[c.Name] = t
		m.targets = append(m.targets, t)
	}
	return m, nil
}

// configure gives the Config that holds for c, or c's first bad field.
func (c Check) configure(cfg Config) (Config, error) {
	bad := func(field, value, want string) (Config, error) {
		return Config{}, &ConfigError{Check: c.Name, Field: field, Value: value, Range: want}
	}
	if c.Run == nil {
		return bad("Run", "nil", "a function")
	}
	if c.Interval != 0 {
		cfg.Interval = c.Interval
	}
	if c.Timeout != 0 {
		cfg.Timeout = c.Timeout
	}
	var ce *ConfigError
	if errors.As(cfg.Validate(), &ce) {
		return bad(ce.Field, ce.Value, "1ms..24h, or 0 for the monitor's")
	}
	if c.Feed > FeedAll {
		return bad("Feed", c.Feed.String(), "FeedNothing, FeedProbes or FeedAll")
	}
	if v := reflect.ValueOf(c.Breaker); c.Feed != FeedNothing && (c.Breaker == nil || v.Kind() == reflect.Pointer && v.IsNil()) {
		return bad("Breaker", "nil", fmt.Sprintf("a breaker to feed (Feed is %v)", c.Feed))
	}
	return cfg, nil
}

// Start begins the background checks, the first of each at once. It is ErrStarted the second time and ErrClosed after
// Close: a Monitor is not started again.
func (m *Monitor) Start() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.life.Err() != nil {
		return ErrClosed
	}
	if m.started {
		return ErrStarted
	}
	m.started = true
	for _, t := range m.targets {
		m.loops.Go(t.loop)
	}
	return nil
}

// Close ends the background checks, cancels those under way (they count for nothing), and waits for them and for the
// listeners until ctx ends; its error then names the checks that have not returned. Guards admit every call from now on;
// the statuses stay as they were. It is idempotent. From inside a check or a listener it waits for its own caller, until
// ctx ends.
func (m *Monitor) Close(ctx context.Context) error {
	if ctx == nil {
		panic("health: Close with a nil context")
	}
	m.mu.Lock()
	m.end()
	m.mu.Unlock()
	m.loops.Wait() // they wait for nothing but the life
	var hung []string
	for _, t := range m.targets {
		if r := t.retire(); r != nil && !wait(ctx, r.returned) {
			hung = append(hung, fmt.Sprintf("%q", t.Name))
		}
	}
	if hung != nil {
		return fmt.Errorf("health: checks that have not returned: %s: %w", strings.Join(hung, ", "), ctx.Err())
	}
	for _, l := range m.listeners {
		if !wait(ctx, l.drained()) {
			return fmt.Errorf("health: a listener has not returned: %w", ctx.Err())
		}
	}
	return nil
}

// wait reports whether done was closed before ctx ended.
func wait(ctx context.Context, done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
	}
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}

// Check runs one check now, or joins the run under way, and gives the status after it. It counts like a background check,
// works before Start, and does not move the next one. How the check ended is in the Status; the error says why there is
// no new one: ErrUnknown, ErrClosed, or ctx.Err() if ctx ended first (the check goes on). A refusal by the breaker is not an
// error and leaves the status as it was.
func (m *Monitor) Check(ctx context.Context, name string) (Status, error) {
	if ctx == nil {
		panic("health: Check with a nil context")
	}
	t, err := m.find(name)
	if err != nil {
		return Status{}, err
	}
	if err := ctx.Err(); err != nil {
		return t.known(), err
	}
	err = t.check(ctx)
	return t.known(), err
}

func (m *Monitor) find(name string) (*target, error) {
	if t := m.byName[name]; t != nil {
		return t, nil
	}
	return nil, fmt.Errorf("%w: %q", ErrUnknown, name)
}

// Status is what is known of one tier, without asking it; false if there is no such check.
func (m *Monitor) Status(name string) (Status, bool) {
	t, err := m.find(name)
	if err != nil {
		return Status{}, false
	}
	return t.known(), true
}

// All gives every tier's status, in the order in which New got the checks.
func (m *Monitor) All() []Status {
	all := make([]Status, 0, len(m.targets))
	for _, t := range m.targets {
		all = append(all, t.known())
	}
	return all
}

// Guard gives the guard of one tier; ErrUnknown if there is no such check.
func (m *Monitor) Guard(name string) (*Guard, error) {
	t, err := m.find(name)
	if err != nil {
		return nil, err
	}
	return &Guard{t}, nil
}
