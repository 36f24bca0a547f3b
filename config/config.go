package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/health"
	"github.com/commontrip/commontrip/retry"
	"github.com/commontrip/commontrip/store"
)

// Config is what the environment says. It may be changed after reading; PolicyFor and ManagerOptions follow.
type Config struct {
	Policy    store.Policy      // only what is set: zero fields take the defaults of DefaultPolicy, or FleetPolicy on a remote store
	Timing    breaker.Timing    // with defaults
	StoreDown breaker.StoreDown // default OwnVerdict
	Replica   string            // display name; "" = host-pid
	Retry     retry.Policy      // with defaults
	Health    health.Config     // with defaults
	Store     Store
	Unknown   []string // variables with our prefixes that mean nothing, sorted: misspelt, or another program's. See Nearest

	own map[string]override // by the breaker's name as it stands in variables
}

// Store says where the fleet's verdict is kept. Printed, logged or marshalled it hides what may be secret in its URL.
type Store struct {
	URL     string        // redis://, rediss:// or unix://; "" = none: each process for itself
	Prefix  string        // the fleet's name space; default "commontrip"
	Timeout time.Duration // bound of one exchange; default 1 s
}

// Error is one bad variable.
type Error struct {
	Variable string
	Value    string // as it was set; of a URL without user, password and query
	Want     string // what would be accepted
}

func (e *Error) Error() string { return fmt.Sprintf("%s is %q; want %s", e.Variable, e.Value, e.Want) }

// FromEnv reads the process's environment; see [From].
func FromEnv() (Config, error) { return From(os.Environ()) }

// From reads "NAME=value" pairs, the last of a name counts. The error joins an *[Error] for each bad variable (errors.Join),
// and the Config is empty then. Variables of other names and prefixes are not looked at.
func From(environ []string) (Config, error) {
	r := newReader(environ)
	var c Config
	c.Policy = read(r, "CIRCUIT_BREAKER_", store.Policy{}, store.Policy.Validate)
	r.checkRules("CIRCUIT_BREAKER_", c.Policy)
	c.Timing = read(r, "CIRCUIT_BREAKER_", breaker.Timing{}, breaker.Timing.Validate).WithDefaults()
	s := read(r, "CIRCUIT_BREAKER_", settings{}, settings.validate).withDefaults()
	c.StoreDown, c.Replica = s.StoreDown, s.Replica
	c.Store = Store{URL: s.StoreURL, Prefix: s.StorePrefix, Timeout: s.StoreTimeout}
	c.Retry = read(r, "RETRY_", retry.Policy{}, retry.Policy.Validate).WithDefaults()
	c.Health = read(r, "HEALTH_CHECK_", health.Config{}, health.Config.Validate).WithDefaults()
	c.own = r.overrides(c.Policy)
	c.Unknown = r.unknown
	if len(r.bad) > 0 {
		return Config{}, errors.Join(r.bad...)
	}
	return c, nil
}

// PolicyFor is the policy of the breaker of that name: Policy, with the fields that CIRCUIT_BREAKER__NAME__FIELD sets.
// Like Policy it has no defaults filled in.
func (c Config) PolicyFor(name string) store.Policy {
	return c.own[envName(name)].over(c.Policy)
}

// ManagerOptions gives Policy, Timing, StoreDown and Replica to [breaker.NewManager].
func (c Config) ManagerOptions() []breaker.ManagerOption {
	opts := []breaker.ManagerOption{
		breaker.WithPolicy(c.Policy),
		breaker.WithTiming(c.Timing),
		breaker.WithStoreDown(c.StoreDown),
	}
	if c.Replica != "" {
		opts = append(opts, breaker.WithReplica(c.Replica))
	}
	return opts
}

// override is what is set for one breaker: the fields of those numbers, which may be zero.
type override struct {
	policy store.Policy
	fields []int
}

func (o override) over(p store.Policy) store.Policy {
	to, from := reflect.ValueOf(&p).Elem(), reflect.ValueOf(o.policy)
	for _, i := range o.fields {
		to.Field(i).Set(from.Field(i))
	}
	return p
}
