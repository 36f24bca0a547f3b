package health

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/commontrip/commontrip/internal/guard"
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
	cfg       Config // with defaults
	listeners []*listener

	mu      sync.Mutex
	targets []*target // in the order in which they came
	running bool      // started, and not closed since
	closed  bool      // closed, and not started since
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
	m := &Monitor{cfg: cfg.WithDefaults()}
	for _, opt := range opts {
		opt(m)
	}
	for i, c := range checks {
		if err := m.Add(c); errors.Is(err, store.ErrName) {
			return nil, fmt.Errorf("health: check %d: %w", i, err)
		} else if err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Add gives the Monitor one more check, at any time. If it is running the check begins at once. A bad field, or a name
// that it has already, is a *[ConfigError]; a bad name Is store.ErrName.
func (m *Monitor) Add(c Check) error {
	if err := store.ValidateName(c.Name); err != nil {
		return err
	}
	cfg, err := c.configure(m.cfg)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.index(c.Name) >= 0 {
		return &ConfigError{Check: c.Name, Field: "Name", Value: "given twice", Range: "one check a name"}
	}
	t := newTarget(c, cfg, m.listeners)
	switch {
	case m.running:
		t.start()
	case m.closed:
		t.stop(ErrClosed)
	}
	m.targets = append(m.targets, t)
	return nil
}

// Remove takes a check out, cancels it if it is under way (it counts for nothing), and waits for it until ctx ends. It is
// ErrUnknown if there is no such check. Guards of that check admit every call from now on; one that is added later under
// that name is another one, with guards of its own.
func (m *Monitor) Remove(ctx context.Context, name string) error {
	if ctx == nil {
		panic("health: Remove with a nil context")
	}
	m.mu.Lock()
	i := m.index(name)
	if i < 0 {
		m.mu.Unlock()
		return fmt.Errorf("%w: %q", ErrUnknown, name)
	}
	t := m.targets[i]
	m.targets = slices.Delete(slices.Clone(m.targets), i, i+1)
	left := t.stop(fmt.Errorf("%w: %q was removed", ErrUnknown, name))
	m.mu.Unlock()
	return await(ctx, []remains{left})
}

// index is the place of the check of that name, or -1. The caller holds mu.
func (m *Monitor) index(name string) int {
	return slices.IndexFunc(m.targets, func(t *target) bool { return t.Name == name })
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
	if c.Feed != FeedNothing && !hasBreaker(c.Breaker) {
		return bad("Breaker", "nil", fmt.Sprintf("a breaker to feed (Feed is %v)", c.Feed))
	}
	return cfg, nil
}

// hasBreaker tells a breaker from nil, and from a nil pointer in it.
func hasBreaker(b Breaker) bool {
	v := reflect.ValueOf(b)
	return b != nil && !(v.Kind() == reflect.Pointer && v.IsNil())
}

// Start begins the background checks, the first of each at once. It is ErrStarted while they run. After Close it begins
// again: what was known of the tiers is out of date, so that all are Unknown until they have been checked.
func (m *Monitor) Start() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.running {
		return ErrStarted
	}
	for _, t := range m.targets {
		if m.closed {
			t.renew()
		}
		t.start()
	}
	m.running, m.closed = true, false
	return nil
}

// Close ends the background checks, cancels those under way (they count for nothing), and waits for them and for the
// listeners until ctx ends; its error then names the checks that have not returned. Guards admit every call from now on;
// the statuses stay as they were, until Start begins again. It is idempotent. From inside a check or a listener it waits
// for its own caller, until ctx ends.
func (m *Monitor) Close(ctx context.Context) error {
	if ctx == nil {
		panic("health: Close with a nil context")
	}
	m.mu.Lock()
	m.running, m.closed = false, true
	left := make([]remains, 0, len(m.targets))
	for _, t := range m.targets {
		left = append(left, t.stop(ErrClosed))
	}
	m.mu.Unlock()
	if err := await(ctx, left); err != nil {
		return err
	}
	for _, l := range m.listeners {
		if !wait(ctx, l.drained()) {
			return fmt.Errorf("health: a listener has not returned: %w", guard.Ended(ctx))
		}
	}
	return nil
}

// await waits for what is left of checks that were stopped, until ctx ends.
func await(ctx context.Context, left []remains) error {
	var hung []string
	for _, r := range left {
		if r.looped != nil {
			<-r.looped // it waits for nothing but the life, which has ended
		}
		if r.run != nil && !wait(ctx, r.run.returned) {
			hung = append(hung, fmt.Sprintf("%q", r.name))
		}
	}
	if hung != nil {
		return fmt.Errorf("health: checks that have not returned: %s: %w", strings.Join(hung, ", "), guard.Ended(ctx))
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
// no new one: ErrUnknown, ErrClosed, or ctx's error with its cause if ctx ended first (the check goes on). A refusal by the breaker is not an
// error and leaves the status as it was.
func (m *Monitor) Check(ctx context.Context, name string) (Status, error) {
	if ctx == nil {
		panic("health: Check with a nil context")
	}
	t, err := m.find(name)
	if err != nil {
		return Status{}, err
	}
	if ctx.Err() != nil {
		return t.known(), guard.Ended(ctx)
	}
	err = t.check(ctx)
	return t.known(), err
}

func (m *Monitor) find(name string) (*target, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := m.index(name); i >= 0 {
		return m.targets[i], nil
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

// All gives every tier's status, in the order in which the checks came.
func (m *Monitor) All() []Status {
	targets := m.all()
	all := make([]Status, 0, len(targets))
	for _, t := range targets {
		all = append(all, t.known())
	}
	return all
}

func (m *Monitor) all() []*target {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.targets)
}

// Guard gives the guard of one tier; ErrUnknown if there is no such check.
func (m *Monitor) Guard(name string) (*Guard, error) {
	t, err := m.find(name)
	if err != nil {
		return nil, err
	}
	return &Guard{t}, nil
}
