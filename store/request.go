package store

import "time"

// Run is Count equal outcomes, one after the other.
type Run struct {
	Outcome Outcome
	Slow    bool          // took longer than Policy.SlowCallAfter; orthogonal to Outcome. Ignored and Slow: its caller gave up by then
	Count   int           // 1..MaxCount
	Age     time.Duration // of the newest, since it finished
	Label   string        // why they failed, 0..MaxLabel bytes; never the error's text
}

// Known is what a replica holds of a breaker, for repair: only ever what a store sent. A store whose own numbers are
// lower has lost data and takes it over.
type Known struct {
	Generation, Rev uint64
	State           State
	Reason          Reason
	Cause           string
	RetryIn         time.Duration // what is left of the open time when it is sent
	Openings        int
	Mode            Mode
	ModeNote        Note // read if Mode stands
	Retuned         bool
	Policy          Policy // read if Retuned
	PolicyNote      Note   // read if Retuned
}

// Report is what one replica says about one breaker.
type Report struct {
	Name       string
	Policy     Policy
	Replica    string // display name + "#" + a random incarnation, so that a restarted process is another replica
	Announce   bool   // until the first exchange after registration succeeds: this Policy becomes the fleet's
	Seq        uint64 // grows by one a report of this replica and breaker, from 1; seen before counts nothing
	Generation uint64 // in which Runs were admitted
	MaxAge     time.Duration
	Runs       []Run  // oldest first; none = a sign of life. Outcomes older than MaxAge are late: counted, never judged
	Rejected   uint64 // calls refused since the last report
	OwnOpen    bool   // this replica's own verdict is open: for the roster
	Known      Known
	SentAt     time.Time // the store's clock when it was sent, as reckoned from the last answer; zero: not known. See ErrLate
}

// Result is a store's answer to one request about one breaker.
type Result struct {
	Snapshot Snapshot
	Made     *Transition   // made by this very request; at most one caller is told so. On a resend only what it found ended or repaired
	Again    time.Duration // how long the store wants this replica to wait before its next report: Snapshot.Replicas / its budget of reports a second, at most 1 s; 0 = as it likes
	Err      error         // of this report alone (Sync)
}

// Claim asks for leases to probe a tier.
type Claim struct {
	Name    string
	ID      string // chosen by the claimer, unique; the same claim sent twice returns the same leases
	Policy  Policy
	Replica string
	Want    int // at least 1; cut to what is free
	Known   Known
}

// Lease is the right to send one probe.
type Lease struct {
	Name       string
	ID         string // opaque; never used twice by one breaker
	Generation uint64
	For        time.Duration // what is left of it
}

// Grant is the answer to a Claim. Without Leases it is a refusal, and RetryIn says when to ask again; 0 if the
// breaker is closed.
type Grant struct {
	Leases   []Lease
	RetryIn  time.Duration
	Made     *Transition
	Snapshot Snapshot
}

// Settlement says how a probe went. Ignored gives the place back and decides nothing, unless it is slow.
type Settlement struct {
	Lease   Lease // its For is not read
	Replica string
	Outcome Outcome
	Slow    bool
	Label   string
}

// Command is what an operator asks of the whole fleet.
type Command struct {
	Name   string
	Action Action
	Policy Policy        // Retune only
	For    time.Duration // ForceOpen, ForceClosed, Retune: 0 = until lifted, at most MaxFor; Trip: 0 = the policy's open time
	By     string        // who; required
	Why    string        // may be empty
	Known  Known         // what the commander holds, so that a store which lost data is repaired first; a Manager fills it in
}
