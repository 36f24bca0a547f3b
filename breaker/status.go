package breaker

import (
	"context"
	"slices"
	"time"

	"github.com/commontrip/commontrip/store"
)

// Verdict says whose verdict rules calls.
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
	RetryAfter time.Duration         // 0 if calls are admitted
	Policy     Policy                // that it was registered with here, with its defaults; the one in force is Fleet's
	Fleet      Snapshot              // as last seen
	FleetAge   time.Duration         // how long ago that was
	Pending    int                   // outcomes not yet reported
	Totals     store.Totals          // of this replica since it started
	Lost       uint64                // outcomes that could not be reported in time
	Refused    map[Refusal]uint64    // calls, since it was registered here; what never refused has no entry
	Events     map[EventClass]uint64 // since it was registered here

	DisownedFor time.Duration // how long the store has refused what this replica knows; 0: it does not. After 15 s that is dropped
}

// ManagerStatus is what a replica knows about itself and its breakers, without asking anybody.
type ManagerStatus struct {
	Replica                   string
	StoreUp                   bool          // each part of the store that is in use has answered within StaleAfter
	SinceExchange             time.Duration // since the last exchange that was answered was sent; if there was none, since the Manager was made
	Exchanges, ExchangeErrors uint64        // of any kind
	Latencies                 Latencies     // of exchanges with a remote store
	StoreLosses               uint64        // how often the store was lost
	Resyncs                   uint64        // how often pushes may have been missed, so that every breaker was compared; once at the start
	Breakers                  []Status      // by name
}

// Status tells what this replica knows about the breaker. It asks nobody.
func (b *Breaker) Status() Status {
	a := b.current()
	st := Status{Name: b.name, State: a.state, Mode: a.mode, Verdict: a.verdict, Policy: b.config.policy, Refused: b.refused.byKind()}
	switch {
	case a.refusal != nil && a.refusal.rampOver == 0:
		st.RetryAfter = a.refusal.err.RetryAfter()
	case a.probes != nil:
		if e := a.probes.paused(uptime()); e != nil {
			st.RetryAfter = e.RetryAfter()
		}
	}
	current, read := b.peek()
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case read:
		st.Fleet = current
	case b.rooms.fleet.synced():
		st.Fleet = b.rooms.fleet.snapshot(b.name)
		st.Fleet.Errors = slices.Clone(st.Fleet.Errors)
		at := now()
		st.FleetAge = min(at.since(b.rooms.fleet.stateAt), at.since(b.rooms.fleet.modeAt))
	default:
		st.Fleet = b.rooms.fleet.snapshot(b.name)
	}
	if since := b.rooms.fleet.disownedAt; since != 0 {
		st.DisownedFor = max(uptime()-since, 1)
	}
	waiting := int(b.rooms.epoch.successes.sum())
	st.Pending = b.rooms.outbox.pending()
	st.Events = b.rooms.delivery.counts()
	st.Totals, st.Lost = b.rooms.outbox.counted()
	st.Totals.Calls += uint64(waiting)
	st.Totals.Rejected = b.refused.total()
	if !b.detached.Load() {
		st.Pending += waiting
	}
	return st
}

// peek looks into a local store, which costs no I/O; the view of one is not kept in full.
func (b *Breaker) peek() (Snapshot, bool) {
	if b.core.remote {
		return Snapshot{}, false
	}
	snapshots, err := b.core.store.Read(context.Background(), b.name)
	if err != nil || len(snapshots) != 1 {
		return Snapshot{}, false
	}
	return snapshots[0], true
}

// Status tells what this replica knows about itself and its breakers. It asks nobody.
func (m *Manager) Status() ManagerStatus {
	r := m.reporter
	st := ManagerStatus{
		Replica: m.core.replica, StoreUp: r.storeUp(), SinceExchange: r.sinceExchange(now()), StoreLosses: r.storeLosses(),
		Exchanges: r.stats.exchanges.Load(), ExchangeErrors: r.stats.errors.Load(), Latencies: r.stats.latencies.read(),
		Resyncs: r.stats.resyncs.Load(),
	}
	all := m.all()
	st.Breakers = slices.Grow(st.Breakers, len(all))
	for _, b := range all {
		st.Breakers = append(st.Breakers, b.Status())
	}
	return st
}
