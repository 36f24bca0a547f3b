package breaker

import (
	"context"

	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

// Breaker guards one tier. It is made by [New] or [Manager.Register] and safe for concurrent use. No lock of it is held
// while a function of the user's runs.
type Breaker struct {
	coordinator
}

// New makes a breaker for this process alone, on a memory store of its own. It starts no goroutine but to serve a
// listener or a timer, and there is nothing to close.
func New(name string, opts ...Option) (*Breaker, error) {
	if err := store.ValidateName(name); err != nil {
		return nil, err
	}
	var c config
	for _, opt := range opts {
		if opt != nil {
			opt.applyBreaker(&c)
		}
	}
	var err error
	if c.policy, err = inForce(c.policy, false); err != nil {
		return nil, err
	}
	host := &core{ctx: context.Background(), store: memorystore.New(), replica: incarnate(defaultReplica()), timing: Timing{}.WithDefaults()}
	c.audience = &audience{host.replica, listen(c.listen)}
	b := newBreaker(name, host, &c)
	b.begin(nil, 0)
	_ = b.flush(true) // a memory store does not fail
	return b, nil
}

// newBreaker makes a breaker that has not heard of its store yet. It admits no call before begin.
func newBreaker(name string, host *core, c *config) *Breaker {
	b := &Breaker{coordinator{name: name, core: host, config: c}}
	b.rooms = rooms{
		c: &b.coordinator, asleep: host.remote,
		fleet: fleetState{policy: policies.shared(c.policy)}, delivery: delivery{audience: c.audience},
	}
	return b
}

// Name is the breaker's name.
func (b *Breaker) Name() string { return b.name }

// Registered reports whether outcomes are reported to the store: true from New and Register on, false after
// [Manager.Unregister] or [Manager.Close]. From then on the breaker goes by its own verdict.
func (b *Breaker) Registered() bool { return !b.detached.Load() }

// State is what rules calls here and now: an operator's mode, a dry run, the fleet's state or the local breaker's. It asks
// nobody. An open state past its time stays Open until a probe is leased.
func (b *Breaker) State() State { return b.current().state }
