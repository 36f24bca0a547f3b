package machine

import (
	"fmt"

	"github.com/commontrip/commontrip/store"
)

// Machine is one breaker. The zero value is an absent one. It is not safe for concurrent use, and must not be copied
// after its first request.
//
// What is rarely needed stands behind pointers: an idle machine takes some 300 bytes.
type Machine struct {
	at, off         int64 // machine time of the last script, and how far it is ahead of the store's clock
	generation, rev uint64
	since           int64 // when this generation began
	until           int64 // where open: when its time is over
	fleet           terms // not set: none yet
	openings        int32
	phase           phase
	state           store.State
	mode            store.Mode
	written, made   uint8 // entries that the last script wrote; which of them, from 1, is its own; 0 = none

	totals  *store.Totals
	window  *window
	labels  *labels
	roster  *roster
	probes  *probes
	orders  *orders
	history *history
	grave   *grave
}

// phase says what stands under a name.
type phase uint8

const (
	absent  phase = iota
	shown         // an ordinary machine
	removed       // a tombstone: two numbers and a time
	hidden        // a tombstone that a replica's knowledge made a machine again; not shown before an outcome is reported
)

// script is one request: when, about which breaker, on whose behalf.
type script struct {
	moment
	name, who string
}

// Report judges what one replica saw. r must have been normalised. The Result's Err is ErrInvalid where r's Known is
// more than 24 h ahead of the machine's time and above what the machine holds: then nothing has changed.
func (m *Machine) Report(now int64, r store.Report) store.Result {
	if m.forgotten(now) {
		var fresh Machine
		result := fresh.Report(now, r)
		m.replace(&fresh)
		return result
	}
	s := m.script(now, r.Name, r.Replica)
	if err := m.checkKnown(s, &r.Known); err != nil {
		return store.Result{Err: err}
	}
	again := r.Seq <= m.roster.seq(s.slice(), r.Replica)
	counts := !again && len(r.Runs) > 0
	if m.phase == removed && !counts && !m.below(&r.Known) {
		m.keep(s)
		return store.Result{Snapshot: m.tombstone(s, r.Policy)}
	}
	policy := termsOf(&r.Policy)
	m.begin(s, policy)
	m.repair(s, &r.Known)
	m.expire(s)
	if r.Announce && !again {
		m.announce(s, policy)
	}
	who := m.enroll(s, &r, policy, again)
	if counts {
		m.unhide(s)
	}
	if !again {
		m.judgeRuns(s, &r, who)
	}
	return m.result(s)
}

// begin makes a machine where none is, as an adoption or a report with outcomes does of a tombstone. Its first policy is
// the request's.
func (m *Machine) begin(s script, policy terms) {
	m.keep(s)
	switch m.phase {
	case absent:
		m.phase, m.since = shown, s.at
	case removed:
		m.phase, m.grave = hidden, &grave{m.generation, m.rev}
	}
	if !m.fleet.set() {
		m.fleet = policy
	}
}

// enroll enters the report into the roster.
func (m *Machine) enroll(s script, r *store.Report, policy terms, again bool) *replica {
	if m.roster == nil {
		m.roster = &roster{}
	}
	who := m.roster.touch(s, !again && len(r.Runs) > 0)
	who.ownOpen, who.conflict = r.OwnOpen, policy != m.fleet
	if who.conflict {
		m.roster.conflict = s.at + conflictFor
	}
	if !again {
		who.seq = r.Seq
	}
	return who
}

func (m *Machine) result(s script) store.Result {
	return store.Result{Snapshot: m.snapshot(s.moment, s.name), Made: m.lastMade()}
}

// checkKnown refuses numbers that no store can have given out.
func (m *Machine) checkKnown(s script, k *store.Known) error {
	limit := uint64(s.at) + uint64(day)
	switch {
	case k.Rev > m.rev && k.Rev > limit:
		return fmt.Errorf("%w: Known.Rev is %d; want at most 24h ahead of the store's clock (%d)", store.ErrInvalid, k.Rev, limit)
	case k.Generation > m.generation && k.Generation > limit:
		return fmt.Errorf("%w: Known.Generation is %d; want at most 24h ahead of the store's clock (%d)", store.ErrInvalid, k.Generation, limit)
	}
	return nil
}

// counters are the totals, made when there is something to count.
func (m *Machine) counters() *store.Totals {
	if m.totals == nil {
		m.totals = &store.Totals{}
	}
	return m.totals
}

// add counts up to what a double keeps exactly.
func add(counter *uint64, n uint64) { *counter = min(*counter+n, store.MaxNumber) }

// next gives a number above all that a store which forgot everything can have used.
func next(number uint64, at int64) uint64 { return max(number+1, uint64(at)) }
