package breaker

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/commontrip/commontrip/store"
)

// coordinator is one breaker from within. Calls ask it for admission and bring it outcomes, the reporter fetches reports and
// brings answers. It takes the lock, changes a room, and lets the rooms carry out what that means. It is safe for concurrent
// use.
//
// Locks are taken in this order, and any of them may be left out: flushing, mu, then one of a lane's, the probes', the
// tracker's or a listener's. None of mu and those after it is held during an exchange with the store, or while a function of
// the user's runs.
type coordinator struct {
	name     string
	core     *core
	config   *config
	member   *member     // nil: made by New, and in no lane; never changes after begin
	refused  refusals    // the calls that were refused
	detached atomic.Bool // nothing is reported any more, and the local breaker rules: unregistered, or its Manager closed

	admission atomic.Pointer[admission] // what a call looks at; published by rooms.update

	flushing sync.Mutex // held while a report to a local store is made and answered
	mu       sync.Mutex // guards rooms
	rooms    rooms
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

// begin lets the breaker admit calls, as a member of a lane or, if nil, of none. Its reports are numbered from seq on.
func (c *coordinator) begin(m *member, seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.member, c.rooms.outbox.seq = m, seq
	c.rooms.update(change{})
}

// lane is the lane that the breaker is in; nil: it is in none.
func (c *coordinator) lane() *lane {
	if c.member == nil {
		return nil
	}
	return c.member.lane
}

// current is the admission that holds now: a new one if the present one has ended, in case the timer is late.
func (c *coordinator) current() *admission {
	a := c.admission.Load()
	if a.until == 0 || uptime() < a.until {
		return a
	}
	c.redecide()
	return c.admission.Load()
}

// redecide carries out what a change of the lane, or the passing of time, means.
func (c *coordinator) redecide() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rooms.update(change{})
}

// sleep makes the next call ask the store: there was none for a long time.
func (c *coordinator) sleep() {
	if !c.core.remote {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rooms.asleep = true
	c.rooms.update(change{})
}

// awake is for the first call after a long time: the store is asked at once.
func (c *coordinator) awake() {
	c.mu.Lock()
	c.rooms.asleep = false
	c.rooms.update(change{})
	c.mu.Unlock()
	if !c.detached.Load() {
		c.member.useNow()
	}
}

// tick is the timer's: the decision has ended, or will at any moment. If a timed command is over, the store is asked.
func (c *coordinator) tick() {
	c.mu.Lock()
	c.rooms.update(change{})
	overdue := c.rooms.fleet.overdue(uptime())
	c.mu.Unlock()
	switch {
	case !overdue || c.detached.Load():
	case c.core.remote:
		c.member.syncNow()
	default:
		_ = c.flush(true)
	}
}

// sync reports what waits and takes over the fleet state: at least one exchange from now on, and as many as it takes until
// one is answered, ctx ends, or the Manager stops.
func (c *coordinator) sync(ctx context.Context) error {
	if c.detached.Load() {
		return ErrClosed
	}
	if !c.core.remote {
		return c.flush(true)
	}
	c.mu.Lock()
	c.rooms.collect(c.rooms.epoch, now())
	before := c.rooms.outbox.entered()
	c.mu.Unlock()
	var why error
	for {
		select {
		case <-c.member.requestSync():
		case <-c.core.ctx.Done():
			return ErrClosed
		case <-ctx.Done():
			return fmt.Errorf("breaker %q: %w", c.name, errors.Join(ctx.Err(), why))
		}
		if c.detached.Load() {
			return ErrClosed
		}
		switch failing := c.isFailing(); {
		case failing && ctx.Err() == nil:
			why = c.lane().reason()
		case !failing && c.isReported(before):
			return nil
		}
	}
}

func (c *coordinator) isFailing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rooms.liveness.failing
}

// isSynced reports that a store has answered this breaker.
func (c *coordinator) isSynced() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rooms.fleet.synced
}

// drain closes the outbox, so that what it holds is all there is to report, whatever calls go on.
func (c *coordinator) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rooms.collect(c.rooms.epoch, now())
	c.rooms.outbox.close()
}

// detach leaves the breaker to its local verdict. It gives the last number of a report, and how many outcomes were not
// reported, those included that have become too old since drain.
func (c *coordinator) detach() (seq uint64, left int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rooms.collect(c.rooms.epoch, now())
	left = c.rooms.outbox.abandon()
	c.detached.Store(true)
	c.rooms.asleep = false
	c.rooms.update(change{newEpoch: true})
	return c.rooms.outbox.seq, left
}
