package breaker

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

// Breaker guards one tier. It is made by [New] or [Manager.Register] and safe for concurrent use. No lock of it is held
// while a function of the user's runs.
//
// It coordinates rooms that know nothing of each other: see docs/architecture.md. Locks are taken in this order, and any of
// them may be left out: flushing, mu, then one of a lane's, the probes' or a listener's. None of mu and those after it is
// held during an exchange with the store.
type Breaker struct {
	name     string
	core     *core
	config   *config
	member   *member // nil: made by New, and in no lane
	refused  refusals
	detached atomic.Bool // nothing is reported any more, and the local breaker rules: unregistered, or its Manager closed

	admission atomic.Pointer[admission] // what a call looks at

	flushing sync.Mutex // held while a report to a local store is made and answered

	mu        sync.Mutex // guards what follows
	epoch     *epoch     // the present one
	fleet     fleetState
	liveness  liveness
	local     *localBreaker // nil: no outcome was observed; it is closed
	probes    *probes       // nil: no lease was ever needed
	outbox    outbox
	delivery  delivery
	timer     *time.Timer // wakes the breaker when its decision ends; nil: none ended by itself yet
	announced bool        // the store has answered a report since Register, so that it knows the policy
	asleep    bool        // there was no call within inUse: the next one asks the store at once
}

// core is what the breakers of one Manager share. A breaker made by New has one for itself.
type core struct {
	ctx       context.Context // of exchanges beside the lanes'; with a remote store it ends with the Manager
	store     store.Store
	remote    bool
	replica   string
	timing    Timing
	storeDown StoreDown
	salt      uint64        // tells replicas apart, so that they do not all ask at once
	claims    atomic.Uint64 // makes the ids of claims unique
	policies  policies
	settling  tracker // settlements on their way
}

// spread is the salt by which replicas of a remote store wait a little longer than the open time; 0: they do not.
func (c *core) spread() uint64 {
	if !c.remote {
		return 0
	}
	return c.salt
}

// claimID makes the id of a claim, unique in the fleet.
func (c *core) claimID() string {
	return strconv.FormatUint(c.salt, 36) + "-" + strconv.FormatUint(c.claims.Add(1), 36)
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
	b.flush(true)
	return b, nil
}

// newBreaker makes a breaker that has not heard of its store yet. It admits no call before begin.
func newBreaker(name string, host *core, c *config) *Breaker {
	b := &Breaker{name: name, core: host, config: c, asleep: host.remote}
	b.fleet.policy = host.policies.shared(c.policy)
	b.delivery.audience = c.audience
	return b
}

// begin lets the breaker admit calls, as a member of a lane or, if nil, of none. Its reports are numbered from seq on.
func (b *Breaker) begin(m *member, seq uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.member, b.outbox.seq = m, seq
	b.update(change{})
}

// Name is the breaker's name.
func (b *Breaker) Name() string { return b.name }

// State is what rules calls here and now: an operator's mode, a dry run, the fleet's state or the local breaker's. It asks
// nobody. An open state past its time stays Open until a probe is leased.
func (b *Breaker) State() State { return b.current().state }

// lane is the lane that the breaker is in; nil: it is in none.
func (b *Breaker) lane() *lane {
	if b.member == nil {
		return nil
	}
	return b.member.lane
}
