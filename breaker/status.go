package breaker

import (
	"time"

	"github.com/commontrip/commontrip/store"
)

// Verdict says whose word rules calls.
type Verdict uint8

// The two verdicts.
const (
	Fleet Verdict = iota // the store's
	Own                  // this replica's: the store is away, or this replica alone sees the tier fail
)

func (v Verdict) String() string {
	if v == Own {
		return "own"
	}
	return "fleet"
}

// MarshalText gives "fleet" or "own".
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// Status is what a replica knows about one breaker, without asking anybody.
type Status struct {
	Name       string
	State      State // what rules calls here and now; see [Breaker.State]
	Mode       Mode
	Verdict    Verdict
	RetryAfter time.Duration // 0 where calls are admitted
	Fleet      Snapshot      // as last seen
	FleetAge   time.Duration // how long ago that was
	Pending    int           // outcomes not yet reported
	Totals     store.Totals  // of this replica since it started
	Lost       uint64        // outcomes that could not be reported in time
	Refused    map[Refusal]uint64
}

// ManagerStatus is what a replica knows about itself and its breakers, without asking anybody.
type ManagerStatus struct {
	Replica                   string
	StoreUp                   bool          // no part of the store has been without an answer for StaleAfter
	SinceExchange             time.Duration // since the last exchange that was answered was sent; where none was, since the Manager was made
	Exchanges, ExchangeErrors uint64        // of any kind
	Breakers                  []Status      // by name
}
