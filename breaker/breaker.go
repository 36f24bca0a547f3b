package breaker

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

// Breaker guards one tier. It is made by [New] or [Manager.Register] and safe for concurrent use. No lock of it is held
// while a function of the user's runs.
type Breaker struct {
	// Locks, in the order in which they are taken: turn (one report of a local store at a time), mu (everything that is
	// not atomic), then the lane's, then a listener's. Neither mu nor a lane's is held during an exchange with the store.

	stance  atomic.Pointer[stance] // what a call looks at
	name    string
	core    *core
	config  *config
	lane    *lane // nil: made by New
	refused atomic.Pointer[[len(refusals)]counter]
	alone   atomic.Bool // nothing is reported any more, and the own verdict rules: unregistered, or its Manager closed

	turn sync.Mutex
	mu   sync.Mutex // guards what follows, up to schedule
	era  *era
	view
	book  *book
	own   *own
	gate  *gate // the present one, or the last
	timer *time.Timer
	told

	seq          uint64
	okAt         instant // while failing: as of when its view is
	heard        bool    // the store has said anything yet
	announced    bool    // the store has answered since Register
	leaving      bool    // what comes now is reported no more: the book is being closed
	asleep       bool    // no call for inUse: the next one asks the store at once
	failing      bool    // the last exchange of its own got an error
	began        bool    // there is something that listeners are told the continuation of
	gap          bool    // transitions were missed; they are in the history
	conflictSaid bool
	lostSaid     bool // that the store fails for this breaker alone

	schedule // guarded by the lane's lock
}

// core is what the breakers of one Manager share; a breaker made by New has one for itself.
type core struct {
	ctx       context.Context // of exchanges beside the lanes'; with a remote store it ends with the Manager
	store     store.Store
	remote    bool
	replica   string
	timing    Timing
	storeDown StoreDown
	salt      uint64        // tells replicas apart where they spread
	claims    atomic.Uint64 // makes the ids of claims unique
	policies  policies
	settling  tracker // settlements on their way
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
	c.listeners = listen(c.listen)
	b := newBreaker(name, host, nil, &c)
	b.flush(true)
	return b, nil
}

// newBreaker makes a breaker that has not heard of its store yet.
func newBreaker(name string, host *core, l *lane, c *config) *Breaker {
	b := &Breaker{name: name, core: host, lane: l, config: c, asleep: host.remote}
	b.policy = host.policies.shared(c.policy)
	b.mu.Lock()
	b.begin()
	b.restance()
	b.mu.Unlock()
	return b
}

// Name is the breaker's name.
func (b *Breaker) Name() string { return b.name }

// State is what rules calls here and now: an operator's mode, a dry run, the fleet's state or the own verdict. It asks
// nobody. An open state past its time stays Open until a probe is leased.
func (b *Breaker) State() State { return b.renew(b.stance.Load()).state }

// inCaller reports that outcomes are judged in the call that had them, not by a reporter.
func (b *Breaker) inCaller() bool { return !b.core.remote || b.alone.Load() }

// storeDown is what rules while the fleet's verdict does not. Who is alone has no store that could be away.
func (b *Breaker) storeDown() StoreDown {
	if b.alone.Load() {
		return OwnVerdict
	}
	return b.core.storeDown
}

// fresh reports that the fleet's verdict rules: the store has answered, and lately. b.mu is held.
func (b *Breaker) fresh(at time.Duration, s *stance) bool {
	switch {
	case b.alone.Load() || !b.heard:
		return false
	case !b.core.remote:
		return !b.failing
	case !b.lane.up.Load():
		return false
	case b.failing:
		end := b.okAt.up + b.core.timing.StaleAfter
		if at >= end || now().since(b.okAt) >= b.core.timing.StaleAfter {
			return false
		}
		s.wake(end)
	}
	return true
}
