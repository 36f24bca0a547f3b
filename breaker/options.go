package breaker

import (
	"fmt"
	"slices"
	"strings"

	"github.com/commontrip/commontrip/store"
)

// ManagerOption configures a [Manager]. See also [Option].
type ManagerOption interface {
	applyManager(*managerConfig)
}

// Option configures a breaker. Given to [NewManager] it is the default of every Register; Register's own options come on
// top.
type Option interface {
	ManagerOption
	applyBreaker(*config)
}

// StoreDown is what rules calls once the store has been away for [Timing].StaleAfter. In each case an operator's standing
// mode and the fleet's open state, as last known, hold until their time.
type StoreDown uint8

// The three ways.
const (
	OwnVerdict StoreDown = iota // the replica's own verdict
	AdmitAll                    // nothing refuses
	RejectAll                   // everything is refused, with RefusedStoreDown
)

var storeDownTexts = []string{"own-verdict", "admit-all", "reject-all"}

func (s StoreDown) String() string {
	if int(s) < len(storeDownTexts) {
		return storeDownTexts[s]
	}
	return fmt.Sprintf("StoreDown(%d)", uint8(s))
}

// MarshalText gives "own-verdict", "admit-all" or "reject-all".
func (s StoreDown) MarshalText() ([]byte, error) {
	if int(s) >= len(storeDownTexts) {
		return nil, fmt.Errorf("%w: store down is %d; want 0..2", store.ErrInvalid, uint8(s))
	}
	return []byte(storeDownTexts[s]), nil
}

// UnmarshalText reads what MarshalText gives.
func (s *StoreDown) UnmarshalText(text []byte) error {
	i := slices.Index(storeDownTexts, string(text))
	if i < 0 {
		return fmt.Errorf("%w: store down is %q; want one of %q", store.ErrInvalid, text, storeDownTexts)
	}
	*s = StoreDown(i)
	return nil
}

// config is a breaker's options, gathered.
type config struct {
	policy   Policy
	classify Classifier // nil: DefaultClassifier
	ignore   []error
	labels   []sentinelLabel    // before label is asked
	label    func(error) string // nil: defaultLabel
	listen   []func(Event)
	audience *audience // made of listen, with the listeners that a Manager adds

	observers []Observer
}

// managerConfig is a Manager's options, gathered.
type managerConfig struct {
	config
	replica   string
	timing    Timing
	storeDown StoreDown
}

type option func(*config)

func (o option) applyBreaker(c *config)        { o(c) }
func (o option) applyManager(c *managerConfig) { o(&c.config) }

type managerOption func(*managerConfig)

func (o managerOption) applyManager(c *managerConfig) { o(c) }

// WithPolicy sets the policy. Zero fields take their defaults. If no rule is set, the rules are those of [DefaultPolicy], or of
// [FleetPolicy] if the store is remote; so are ConsecutiveFor, MinCalls and Reporters, each if it is 0. If you set any rule
// yourself, none of these are taken over: to change one value of FleetPolicy, start from it.
func WithPolicy(p Policy) Option { return option(func(c *config) { c.policy = p }) }

// WithClassifier sets how a call's error becomes an outcome; nil is [DefaultClassifier].
func WithClassifier(c Classifier) Option { return option(func(o *config) { o.classify = c }) }

// WithIgnore makes errors that are one of errs (errors.Is) Ignored, before the classifier sees them. It adds to what was
// given before. A nil among errs means nothing.
func WithIgnore(errs ...error) Option {
	errs = slices.DeleteFunc(slices.Clone(errs), func(err error) bool { return err == nil }) // nil is no error: a success is one
	return option(func(c *config) { c.ignore = append(slices.Clip(c.ignore), errs...) })
}

// WithErrorLabel sets how a failure's error is named in reports, so that a transition can say why. Labels are few and
// short (they are cut to 64 bytes) and never the error's text. nil is the default: "deadline", "timeout", what the errno is
// called ("connection refused"), the HTTP or gRPC code, else the type; "unnamed error" for one of errors.New or fmt.Errorf,
// whose type says nothing.
func WithErrorLabel(fn func(error) string) Option { return option(func(c *config) { c.label = fn }) }

// WithErrorLabels names failures by the sentinels that they are (errors.Is): the one line that errors.New wants.
//
//	breaker.WithErrorLabels(map[error]string{errNoRows: "no rows", errLocked: "locked"})
//
// An error that is none of them is named by [WithErrorLabel], else by default. Of several that it is, the label that comes
// first in the alphabet counts. It adds to what was given before, which comes first. A nil error and an empty label mean
// nothing.
func WithErrorLabels(labels map[error]string) Option {
	var sorted []sentinelLabel
	for err, label := range labels {
		if err != nil && label != "" {
			sorted = append(sorted, sentinelLabel{err, label})
		}
	}
	slices.SortFunc(sorted, func(a, b sentinelLabel) int { return strings.Compare(a.label, b.label) })
	return option(func(c *config) { c.labels = append(slices.Clip(c.labels), sorted...) })
}

// WithListener adds a listener. It gets the events of its breakers in order, one at a time, on a goroutine of its own: it
// may block, panic or call back without harm to calls or to other listeners. Up to 1024 events wait for a slow one; what
// is dropped beyond is said in the Err of the next. Given to NewManager it also hears of the Manager itself.
func WithListener(fn func(Event)) Option {
	if fn == nil {
		panic("breaker: WithListener needs a function; it was given nil")
	}
	return option(func(c *config) { c.listen = append(slices.Clip(c.listen), fn) })
}

// WithReplica sets the display name of this replica; the default is host-pid. The fleet knows it as that name, "#" and a
// few random letters, so that a restarted process is another replica; see [Manager.Replica].
func WithReplica(name string) ManagerOption {
	return managerOption(func(c *managerConfig) { c.replica = name })
}

// WithTiming sets how the Manager deals with its store.
func WithTiming(t Timing) ManagerOption {
	return managerOption(func(c *managerConfig) { c.timing = t })
}

// WithStoreDown sets what rules calls while a remote store is away.
func WithStoreDown(s StoreDown) ManagerOption {
	return managerOption(func(c *managerConfig) { c.storeDown = s })
}

// inForce is the policy that c means on a store that is remote or not, with every default.
func inForce(p Policy, remote bool) (Policy, error) {
	if !p.HasRule() {
		base := store.DefaultPolicy()
		if remote {
			base = store.FleetPolicy()
		}
		p = withRulesOf(p, base)
	}
	if err := p.Validate(); err != nil {
		return Policy{}, err
	}
	return p.WithDefaults(), nil
}

func withRulesOf(p, base Policy) Policy {
	p.ConsecutiveFailures, p.FailureRate, p.SlowCallRate = base.ConsecutiveFailures, base.FailureRate, base.SlowCallRate
	if p.ConsecutiveFor == 0 {
		p.ConsecutiveFor = base.ConsecutiveFor
	}
	if p.MinCalls == 0 {
		p.MinCalls = base.MinCalls
		if p.WindowCalls > 0 {
			p.MinCalls = min(p.MinCalls, p.WindowCalls)
		}
	}
	if p.Reporters == 0 {
		p.Reporters = base.Reporters
	}
	return p
}
