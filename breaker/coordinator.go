package breaker

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/commontrip/commontrip/store"
)

// coordinator is one breaker from within. Calls ask it for admission and bring it outcomes, the reporter fetches reports and
// brings answers. It takes the lock, changes a room, and lets the rooms carry out what that means. It is safe for concurrent
// use.
//
// Locks are taken in this order, and any of them may be left out: the probes' claiming, flushing, mu, then one of a lane's, the probes', the
// tracker's or a listener's. None of mu and those after it is held during an exchange with the store, or while a function of
// the user's runs.
type coordinator struct {
	admission atomic.Pointer[admission] // what a call looks at; published by rooms.update

	name     string
	core     *core
	config   *config
	member   *member     // nil: made by New, and in no lane; never changes after begin
	refused  refusals    // the calls that were refused
	detached atomic.Bool // nothing is reported any more, and the local breaker rules: unregistered, or its Manager closed

	flushing sync.Mutex // held while a report to a local store is made and answered
	mu       sync.Mutex // guards rooms
	rooms    rooms
}

// core is what the breakers of one Manager share. A breaker made by New has one for itself.
type core struct {
	ctx       context.Context // of claims; with a remote store it ends with the Manager
	store     store.Store
	remote    bool
	replica   string
	timing    Timing
	storeDown StoreDown
	salt      uint64        // tells replicas apart, so that they do not all ask at once
	claims    atomic.Uint64 // makes the ids of claims unique
	settling  tracker       // settlements on their way
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

// lane is the lane that the breaker is in; nil: it is in none.
func (c *coordinator) lane() *lane {
	if c.member == nil {
		return nil
	}
	return c.member.lane
}
