package replica

import (
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
)

// Config says what a replica is to be.
type Config struct {
	URL       string            `json:"url"`
	Client    Client            `json:"client,omitempty"`
	PoolSize  int               `json:"pool_size,omitempty"` // of DefaultClient; 0: go-redis's own
	Name      string            `json:"name"`                // the replica's display name
	Breaker   string            `json:"breaker"`
	Policy    store.Policy      `json:"policy"`
	Timing    breaker.Timing    `json:"timing"`
	StoreDown breaker.StoreDown `json:"store_down"`
	Tier      string            `json:"tier,omitempty"`    // URL of a tier.Server; empty: calls do nothing
	Closing   time.Duration     `json:"closing,omitempty"` // how long Close may take at SIGTERM; 0: 5 s
}

// Client says how a replica reaches Redis.
type Client string

const (
	OwnClient     Client = ""        // the store opens its own, from the URL
	DefaultClient Client = "default" // the store is given one with go-redis's own settings: 5 s timeouts, contexts ignored, retries
)

// Verb is what a replica is told to do.
type Verb string

// The verbs.
const (
	Call     Verb = "call"     // N calls, one after the other; Fail: they fail
	Acquire  Verb = "acquire"  // a permit, kept
	Done     Verb = "done"     // ends the oldest permit that is kept; Fail: as a failure
	Load     Verb = "load"     // starts Workers that call, each every Every (0: without pause); a share FailShare fails
	Stats    Verb = "stats"    // of the load
	Unload   Verb = "unload"   // ends the load; gives its statistics
	Status   Verb = "status"   // what the replica knows, asking nobody
	Snapshot Verb = "snapshot" // the store's
	Roster   Verb = "roster"
	History  Verb = "history"
	Remove   Verb = "remove"
	Command  Verb = "command" // Command is given
	Sync     Verb = "sync"
	Close    Verb = "close"
	Skew     Verb = "skew" // Jumps of the wall clock, one each Every, round and round; only if the replica is built for it
)

// Request is what a replica is told to do. Answers may come in another order.
type Request struct {
	Do        Verb            `json:"do"`
	N         int             `json:"n,omitempty"`
	Fail      bool            `json:"fail,omitempty"`
	FailShare float64         `json:"fail_share,omitempty"`
	Workers   int             `json:"workers,omitempty"`
	Every     time.Duration   `json:"every,omitempty"`
	Within    time.Duration   `json:"within,omitempty"` // 0: 30 s
	Command   *store.Command  `json:"command,omitempty"`
	Jumps     []time.Duration `json:"jumps,omitempty"`
}

// Line is what a replica says: the answer to a request, or one of Ready, Event and Closed unasked.
type Line struct {
	Ready  *Ready  `json:"ready,omitempty"`
	Event  *Event  `json:"event,omitempty"`
	Closed *Closed `json:"closed,omitempty"` // the last line, after SIGTERM

	Calls   *Calls             `json:"calls,omitempty"` // of Call, Load, Stats, Unload
	Permit  *Permit            `json:"permit,omitempty"`
	Status  *State             `json:"status,omitempty"`
	Fleet   *store.Snapshot    `json:"fleet,omitempty"`
	Roster  []store.Replica    `json:"roster,omitempty"`
	History []store.Transition `json:"history,omitempty"`
}

// Ready is the first line: the breaker is registered.
type Ready struct {
	Replica string        `json:"replica"` // its full name
	Took    time.Duration `json:"took"`    // of Register
	State   store.State   `json:"state"`
	Status  State         `json:"status"`
}

// Event is what the replica's listener heard, and when by its clock.
type Event struct {
	At         time.Time        `json:"at"`
	Kind       string           `json:"kind"`
	Name       string           `json:"name,omitempty"`
	Transition store.Transition `json:"transition"`
}

// Closed is what a Close left.
type Closed struct {
	Took  time.Duration `json:"took"`
	Error string        `json:"error,omitempty"`
	Calls Calls         `json:"calls"` // all of this process
	State State         `json:"state"`
}

// Calls counts calls and what they had to bear. A delay is what a call took beside what it called.
type Calls struct {
	Made      uint64        `json:"made"`
	Admitted  uint64        `json:"admitted"`
	Probes    uint64        `json:"probes"` // of those admitted
	Failed    uint64        `json:"failed"` // of those admitted
	Refused   uint64        `json:"refused"`
	Broken    uint64        `json:"broken"`  // neither admitted nor refused: an error of ours
	Delayed   uint64        `json:"delayed"` // by more than a millisecond
	MostDelay time.Duration `json:"most_delay"`
	LastError string        `json:"last_error,omitempty"` // of those broken
}

// Permit is what Acquire and Done say of a permit.
type Permit struct {
	Admitted bool   `json:"admitted"`
	Probe    bool   `json:"probe"`
	Refusal  string `json:"refusal,omitempty"`
	Over     bool   `json:"over"` // its context has ended
}

// State is what a replica knows.
type State struct {
	State          store.State    `json:"state"`
	Own            bool           `json:"own"` // the verdict is the replica's own
	StoreUp        bool           `json:"store_up"`
	Fleet          store.Snapshot `json:"fleet"`
	Pending        int            `json:"pending"`
	Lost           uint64         `json:"lost"`
	Totals         store.Totals   `json:"totals"`
	Exchanges      uint64         `json:"exchanges"`
	ExchangeErrors uint64         `json:"exchange_errors"`
	Heap           uint64         `json:"heap"` // bytes in use
	Goroutines     int            `json:"goroutines"`
}
