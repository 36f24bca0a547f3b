package fallback

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// Guard stands before a call and decides whether, when and how often it is made: a breaker, a retrier, a health check,
// a bulkhead. Run calls fn to let the call through, and returns an error of its own without calling fn to refuse it. It
// must be safe for concurrent use, must not call fn once it has returned, and must not return nil unless a call of fn
// did.
type Guard interface {
	Run(ctx context.Context, fn func(ctx context.Context) error) error
}

// Tier is one way to get an answer.
type Tier[Req, Res any] struct {
	// Name tells the tier from the chain's others: 1 to 200 bytes of UTF-8 without control and format characters.
	Name string
	// Call asks the tier. It must be safe for concurrent use, and obey its context.
	Call func(ctx context.Context, req Req) (Res, error)
	// Guards stand before Call, outermost first. The usual order is health check, retrier, breaker: a tier that is down
	// costs no retry, and each attempt is evidence for the breaker.
	Guards []Guard
	// Timeout bounds the whole tier, guards, waits and all attempts included, through its context. 0 means no bound.
	Timeout time.Duration
}

// Chain is a sequence of tiers, made by [New] or [Chain.Via]. It is immutable and safe for concurrent use.
type Chain[Req, Res any] struct {
	tiers        []Tier[Req, Res]
	guardedCalls sync.Pool // of *guardedCall[Req, Res]
	behaviour
}

type behaviour struct {
	fallIf    func(error) bool // nil: every error
	observers []func(context.Context, Trace)
}

// Option is a part of a chain's behaviour; see [WithFallIf] and [WithObserver].
type Option func(*behaviour) error

// WithFallIf makes the chain go on after a tier that failed only if fn is true for its error; if it is false the
// error is the answer and is returned as it is. Without it the chain goes on after every error. fn is not asked about a
// tier that was skipped, since a guard's refusal is not an answer, nor once the caller's context has ended. Given twice, the
// last counts.
func WithFallIf(fn func(error) bool) Option {
	return func(b *behaviour) error {
		if fn == nil {
			return errors.New("fallback: WithFallIf: nil function")
		}
		b.fallIf = fn
		return nil
	}
}

// WithObserver makes fn see the trace of every Do and Trace, on the caller's goroutine and with the caller's context,
// before they return: also if the context had ended before the first tier, and while a panic or Goexit of a tier
// goes up. A panic in fn goes up too. Given more than once, all are called, in order; they share the trace's Attempts,
// which must not be changed.
func WithObserver(fn func(context.Context, Trace)) Option {
	return func(b *behaviour) error {
		if fn == nil {
			return errors.New("fallback: WithObserver: nil function")
		}
		b.observers = append(b.observers, fn)
		return nil
	}
}

// New returns a chain of the tiers, asked in that order. It copies them. At least one is needed, names must be good and
// unique, no Call and no Guard may be nil (a nil pointer in a Guard neither), no Timeout negative: else it returns a
// *[ConfigError] about the first bad thing. A nil option or function is an error too.
func New[Req, Res any](tiers []Tier[Req, Res], opts ...Option) (*Chain[Req, Res], error) {
	if len(tiers) == 0 {
		return nil, refuse("tiers", "empty", "at least one")
	}
	c := &Chain[Req, Res]{tiers: slices.Clone(tiers)}
	for i := range c.tiers {
		t := &c.tiers[i]
		t.Guards = slices.Clone(t.Guards)
		if err := t.validate("tiers[" + strconv.Itoa(i) + "]"); err != nil {
			return nil, err
		}
		if j := c.index(t.Name); j != i {
			return nil, refuse(fmt.Sprintf("tiers[%d].Name", i), strconv.Quote(t.Name), fmt.Sprintf("another than tiers[%d].Name", j))
		}
	}
	for _, opt := range opts {
		if opt == nil {
			return nil, errors.New("fallback: nil Option")
		}
		if err := opt(&c.behaviour); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (t *Tier[Req, Res]) validate(field string) error {
	if !nameable(t.Name) {
		return refuse(field+".Name", strconv.Quote(t.Name), "1 to 200 bytes of UTF-8 without control and format characters")
	}
	if t.Call == nil {
		return refuse(field+".Call", "nil", "a function")
	}
	for i, g := range t.Guards {
		if isNil(g) {
			return refuse(fmt.Sprintf("%s.Guards[%d]", field, i), "nil", "a guard")
		}
	}
	if t.Timeout < 0 {
		return refuse(field+".Timeout", t.Timeout.String(), "0 (none) or more")
	}
	return nil
}

func nameable(name string) bool {
	if len(name) < 1 || len(name) > 200 || !utf8.ValidString(name) {
		return false
	}
	for _, r := range name {
		if unicode.In(r, unicode.Cc, unicode.Cf) {
			return false
		}
	}
	return true
}

// isNil also finds a nil pointer and a nil function in a Guard: such a guard would panic in the first call, long after
// the mistake.
func isNil(g Guard) bool {
	v := reflect.ValueOf(g)
	return !v.IsValid() || (v.Kind() == reflect.Pointer || v.Kind() == reflect.Func) && v.IsNil()
}

func (c *Chain[Req, Res]) index(name string) int {
	return slices.IndexFunc(c.tiers, func(t Tier[Req, Res]) bool { return t.Name == name })
}

// Via returns a chain of the named tiers in that order, with the options of c: another sequence for requests that need
// one. Make it once and keep it. No name, an unknown name or the same name twice gives a *[ConfigError].
func (c *Chain[Req, Res]) Via(names ...string) (*Chain[Req, Res], error) {
	if len(names) == 0 {
		return nil, refuse("names", "empty", "at least one")
	}
	via := &Chain[Req, Res]{behaviour: c.behaviour}
	for i, name := range names {
		field := "names[" + strconv.Itoa(i) + "]"
		if via.index(name) >= 0 {
			return nil, refuse(field, strconv.Quote(name), "each tier once")
		}
		j := c.index(name)
		if j < 0 {
			return nil, refuse(field, strconv.Quote(name), fmt.Sprintf("one of %q", c.Tiers()))
		}
		via.tiers = append(via.tiers, c.tiers[j])
	}
	return via, nil
}

// Tiers returns the names of the tiers, in the order in which they are asked.
func (c *Chain[Req, Res]) Tiers() []string {
	names := make([]string, len(c.tiers))
	for i := range c.tiers {
		names[i] = c.tiers[i].Name
	}
	return names
}

// ConfigError says what was refused when a chain was made: the thing, its value, and what would be accepted.
type ConfigError struct{ Field, Value, Range string }

// Error returns the refusal as one sentence.
func (e *ConfigError) Error() string {
	return fmt.Sprintf("fallback: %s is %s, want %s", e.Field, e.Value, e.Range)
}

func refuse(field, value, want string) error {
	return &ConfigError{Field: field, Value: value, Range: want}
}
