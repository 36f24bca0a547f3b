package config

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/health"
	"github.com/commontrip/commontrip/retry"
	"github.com/commontrip/commontrip/store"
)

// Config is what the environment says. It may be changed after reading; PolicyFor and ManagerOptions follow.
type Config struct {
	Policy    store.Policy      // only what is set; PolicyFor and ManagerOptions lay it over the default policy in use
	Timing    breaker.Timing    // with defaults
	StoreDown breaker.StoreDown // default OwnVerdict
	Replica   string            // display name; "" = host-pid
	Retry     retry.Policy      // with defaults
	Health    health.Config     // with defaults
	Store     Store
	Unknown   []string // variables with our prefixes that mean nothing, sorted: misspelt, or another program's. See Nearest

	set map[int]bool        // the fields of Policy that variables set, which may be zero
	own map[string]override // by the breaker's name as it stands in variables
}

// Store says where the fleet's verdict is kept. Printed, logged or marshalled it hides what may be secret in its URL.
type Store struct {
	URL     string        // redis://, rediss:// or unix://; "" or memory: = none: each process for itself
	Prefix  string        // the fleet's name space; default "commontrip"
	Timeout time.Duration // bound of one exchange; default 1 s
}

// Open opens the store that the URL names, by [store.OpenURL]: the program imports the package of that store (for Redis _
// "github.com/commontrip/commontrip/store/redis"). Without a URL it is a store in memory, for this process alone. It does
// no I/O; the store is the caller's to close.
func (s Store) Open() (store.Store, error) {
	return store.OpenURL(s.URL, store.OpenConfig{Prefix: s.Prefix, Timeout: s.Timeout})
}

// local reports that the store is this process's own.
func (s Store) local() bool {
	scheme, _, _ := strings.Cut(s.URL, ":")
	return s.URL == "" || strings.EqualFold(scheme, "memory")
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
	c.Policy, c.set = r.policy("CIRCUIT_BREAKER_")
	c.Timing = read(r, "CIRCUIT_BREAKER_", breaker.Timing{}, breaker.Timing.Validate).WithDefaults()
	s := read(r, "CIRCUIT_BREAKER_", settings{}, settings.validate).withDefaults()
	c.StoreDown, c.Replica = s.StoreDown, s.Replica
	c.Store = Store{URL: s.StoreURL, Prefix: s.StorePrefix, Timeout: s.StoreTimeout}
	c.Retry = read(r, "RETRY_", retry.Policy{}, retry.Policy.Validate).WithDefaults()
	c.Health = read(r, "HEALTH_CHECK_", health.Config{}, health.Config.Validate).WithDefaults()
	base := defaults{fields: c.set, local: c.Store.local()}
	r.checkRules("CIRCUIT_BREAKER_", base.under(c.Policy))
	c.own = r.overrides(c.Policy, base)
	c.Unknown = r.unknown
	if len(r.bad) > 0 {
		return Config{}, errors.Join(r.bad...)
	}
	return c, nil
}

// PolicyFor is the policy of the breaker of that name: Policy, with the fields that CIRCUIT_BREAKER__NAME__FIELD sets.
//
// Each variable sets its own field and no other. So if a rule is set, the rest of the rules and what goes with them
// (failures in a row and how long they last, rates, MinCalls, Reporters) are those of the default policy in use:
// FleetPolicy if Store.URL names a shared store, else DefaultPolicy. Other fields have no defaults filled in. A service
// that opens a shared store by other means sets Store.URL to what it opens.
func (c Config) PolicyFor(name string) store.Policy {
	o := c.own[envName(name)]
	return defaults{fields: with(c.set, o.fields), local: c.Store.local()}.under(o.over(c.Policy))
}

// ManagerOptions gives Policy, as in PolicyFor, and Timing, StoreDown and Replica to [breaker.NewManager].
func (c Config) ManagerOptions() []breaker.ManagerOption {
	opts := []breaker.ManagerOption{
		breaker.WithPolicy(defaults{fields: c.set, local: c.Store.local()}.under(c.Policy)),
		breaker.WithTiming(c.Timing),
		breaker.WithStoreDown(c.StoreDown),
	}
	if c.Replica != "" {
		opts = append(opts, breaker.WithReplica(c.Replica))
	}
	return opts
}
