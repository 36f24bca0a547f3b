package breaker

import (
	"errors"
	"sync"
	"time"

	"github.com/commontrip/commontrip/store"
)

// fleetState is the fleet's verdict as this replica knows it: what a store said last, and when. It decides nothing. It is
// not safe for concurrent use: its coordinator's mu guards it.
//
// A snapshot has two parts, each with a number of its own: the state belongs to the generation, mode and policy belong to
// the rev. A part is replaced only by one with a greater number, or by one with an equal number from a later request.
type fleetState struct {
	generation, rev uint64
	policy          *Policy         // the policy in force; until a store has answered, the breaker's own
	held            *store.Snapshot // what was said last; nil: nothing beyond the fields above (closed, no mode, no retuned policy)
	stateAt, modeAt instant         // when each part was received; zero: no store has answered
	requests        uint64          // how many requests were numbered so far
	stateBy, modeBy uint64          // the request that brought each part; 0: a push
	clock           int64           // the store's, in the answer to the newest request, in Unix ms; 0: none told it
	clockAt         instant         // when that request was sent
	disownedAt      time.Duration   // uptime since when the store refuses what is known here; 0: it does not
}

// synced reports that a store has answered at least once.
func (f *fleetState) synced() bool { return !f.stateAt.isZero() }

// disownAfter is how long a store must refuse what is known here, until it is dropped. It is longer than a failover takes.
const disownAfter = 15 * time.Second

// answered notes what an answer says to what is known here. It reports whether the store has refused that for long enough:
// then it is known no more, and what the store says next is taken over whatever its numbers are.
func (f *fleetState) answered(err error, sent instant) (dropped bool) {
	switch {
	case !errors.Is(err, store.ErrAhead):
		if answered(err) {
			f.disownedAt = 0
		}
	case f.disownedAt == 0:
		f.disownedAt = sent.up
	case sent.up-f.disownedAt >= disownAfter:
		*f = fleetState{policy: f.policy, requests: f.requests, stateBy: f.requests, modeBy: f.requests}
		return true
	}
	return false
}

// hear notes what an answer says of the store's clock. The request was sent at that time.
func (f *fleetState) hear(s *store.Snapshot, sent instant) {
	if clock := s.Clock(); !clock.IsZero() && (f.clock == 0 || sent.up >= f.clockAt.up) {
		f.clock, f.clockAt = clock.UnixMilli(), sent
	}
}

// clockNow is what the store's clock says now, at the latest; zero: not known. Readings are in whole milliseconds.
func (f *fleetState) clockNow(at instant) time.Time {
	if f.clock == 0 {
		return time.Time{}
	}
	return time.UnixMilli(f.clock).Add(at.since(f.clockAt) + time.Millisecond)
}

// forgetClock forgets what is known of the store's clock, until an answer tells it again.
func (f *fleetState) forgetClock() { f.clock = 0 }

// fleetMove says what a snapshot changed in the fleet state.
type fleetMove struct {
	generation bool // the generation is another one
	replaced   bool // the generation is the same but began at another time: the store lost it and was told of it since
}

// nextRequest numbers a request. Answers with equal numbers are taken over in the order of their requests.
func (f *fleetState) nextRequest() uint64 {
	f.requests++
	return f.requests
}

// apply takes over a snapshot that came in answer to a request, or was pushed (request 0), and was received at that time.
func (f *fleetState) apply(name string, s *store.Snapshot, request uint64, at instant, c *core) (moved fleetMove) {
	// mutant: newer
	newState := !f.synced() || s.Generation > f.generation || s.Generation == f.generation && request > f.stateBy
	newMode := !f.synced() || s.Rev > f.rev || s.Rev == f.rev && request > f.modeBy
	if !newState && !newMode {
		return moved
	}
	moved.generation = f.synced() && s.Generation != f.generation && newState
	moved.replaced = newState && !moved.generation && f.held != nil && s.Generation > 0 && !s.Since.Equal(f.held.Since)
	old := f.snapshot(name)
	merged := *s
	if newState {
		f.stateAt, f.stateBy = at, request
	} else {
		copyState(&merged, &old)
	}
	if newMode {
		f.modeAt, f.modeBy = at, request
	} else {
		copyMode(&merged, &old)
	}
	f.generation, f.rev = merged.Generation, merged.Rev
	if merged.Policy != *f.policy {
		f.policy = policies.shared(merged.Policy)
	}
	f.hold(&merged, c.remote)
	return moved
}

// hold keeps a snapshot. One of a local store that says nothing beyond the numbers is not kept: that store can be read.
func (f *fleetState) hold(s *store.Snapshot, remote bool) {
	plain := s.State == Closed && s.Mode == store.Auto && !s.Retuned && s.Reason != store.ByProbeSuccesses
	switch {
	case plain && !remote:
		f.held = nil
	case f.held == nil:
		kept := *s
		f.held = &kept
	default:
		*f.held = *s
	}
}

// snapshot is the fleet state in the form in which a store would tell it.
func (f *fleetState) snapshot(name string) store.Snapshot {
	if f.held != nil {
		return *f.held
	}
	return store.Snapshot{Name: name, Generation: f.generation, Rev: f.rev, Policy: *f.policy}
}

func copyState(to, from *store.Snapshot) {
	to.State, to.Generation, to.Since, to.Age, to.RetryIn = from.State, from.Generation, from.Since, from.Age, from.RetryIn
	to.Reason, to.Cause, to.Openings, to.Window, to.Errors = from.Reason, from.Cause, from.Openings, from.Window, from.Errors
	to.Probing, to.ProbeSuccesses = from.Probing, from.ProbeSuccesses
}

func copyMode(to, from *store.Snapshot) {
	to.Mode, to.Rev, to.ModeNote = from.Mode, from.Rev, from.ModeNote
	to.Policy, to.Retuned, to.PolicyNote, to.PolicyConflict = from.Policy, from.Retuned, from.PolicyNote, from.PolicyConflict
}

// fleetNow is what the fleet state means at one time. Times are uptimes.
type fleetNow struct {
	state                State
	mode                 Mode
	waits                bool // open, and the open time is not over
	retryAt              time.Duration
	modeEnds, policyEnds time.Duration // when a timed command ends; 0: no end is to come
	closedAt             time.Duration // when probes closed it; 0: it is not closed, or not by probes
	reason               Reason
}

// at tells what the fleet state means at that uptime. A timed mode that has ended counts as ended, whether the store has
// said so or not. Replicas wait a little longer than the open time, each its own spread.
func (f *fleetState) at(at time.Duration, spread uint64) (n fleetNow) {
	held := f.held
	if held == nil {
		return n
	}
	n.state, n.mode, n.reason = held.State, held.Mode, held.Reason
	if n.mode != store.Auto && held.ModeNote.Timed {
		n.modeEnds = f.modeAt.up + held.ModeNote.EndsIn
		if n.modeEnds <= at {
			openLonger := n.state == Open && f.stateAt.up+held.RetryIn > n.modeEnds
			if !openLonger {
				n.state = afterForce(n.mode)
			}
			n.mode, n.modeEnds = store.Auto, 0
			if !openLonger {
				return n
			}
		}
	}
	if ends := f.modeAt.up + held.PolicyNote.EndsIn; held.Retuned && held.PolicyNote.Timed && ends > at {
		n.policyEnds = ends
	}
	if n.state == Open {
		n.retryAt = f.stateAt.up + held.RetryIn + spreadOver(spread, held)
		n.waits = at < n.retryAt
	}
	if n.state == Closed && held.Reason == store.ByProbeSuccesses {
		n.closedAt = max(f.stateAt.up-held.Age, 1)
	}
	return n
}

// afterForce is the state that a forced mode leaves behind when it ends, unless the breaker is open below it for longer, or was
// reset there, which a store knows.
func afterForce(m Mode) State {
	if m == store.ForcedOpen {
		return HalfOpen
	}
	return Closed
}

// spreadOver is how much longer than the open time this replica waits, so that a fleet does not ask all at once. It stays
// the same for as long as the generation does. Without a salt it is 0.
func spreadOver(salt uint64, s *store.Snapshot) time.Duration {
	if salt == 0 {
		return 0
	}
	most := min(50*time.Millisecond, s.RetryIn/10)
	return time.Duration((s.Generation*0x9E3779B97F4A7C15 ^ salt) % uint64(most+1))
}

// overdue reports that a timed command has ended, which no store has said yet.
func (f *fleetState) overdue(at time.Duration) bool {
	held := f.held
	if held == nil {
		return false
	}
	return held.Mode != store.Auto && held.ModeNote.Timed && f.modeAt.up+held.ModeNote.EndsIn <= at ||
		held.Retuned && held.PolicyNote.Timed && f.modeAt.up+held.PolicyNote.EndsIn <= at
}

// known is what a request carries, so that a store which lost its memory can be repaired. Times that were left when the
// store spoke are less by how long they were held here.
func (f *fleetState) known(at instant) store.Known {
	held := f.held
	if held == nil {
		return store.Known{Generation: f.generation, Rev: f.rev}
	}
	k := store.Known{
		Generation: held.Generation, Rev: held.Rev, State: held.State, Reason: held.Reason, Cause: held.Cause,
		Openings: held.Openings, Mode: held.Mode, Retuned: held.Retuned,
	}
	if held.State == Open {
		// mutant: known = k.RetryIn = held.RetryIn
		k.RetryIn = max(held.RetryIn-at.since(f.stateAt), 0)
	}
	if k.Mode != store.Auto {
		k.ModeNote = less(held.ModeNote, at.since(f.modeAt))
	}
	if k.Retuned {
		k.Policy, k.PolicyNote = held.Policy, less(held.PolicyNote, at.since(f.modeAt))
	}
	return k
}

func less(n store.Note, passed time.Duration) store.Note {
	n.EndsIn = max(n.EndsIn-passed, 0)
	return n
}

// sanitize reports whether a snapshot can be that of the breaker of this name, and cuts what is out of bounds. No store is
// trusted so far that its answer could stop a replica, or make the next report invalid.
func (f *fleetState) sanitize(name string, s *store.Snapshot) bool {
	// mutant: sanitize
	if s.Name != name || s.State > HalfOpen || s.Mode > store.ForcedClosed ||
		s.Generation > store.MaxNumber || s.Rev > store.MaxNumber {
		return false
	}
	s.RetryIn = min(max(s.RetryIn, 0), store.MaxFor)
	s.Age = max(s.Age, 0)
	s.Openings = min(max(s.Openings, 0), store.MaxOpening)
	if s.Reason != "" && store.ValidateName(string(s.Reason)) != nil {
		s.Reason = ""
	}
	if s.Cause != "" && store.ValidateName(s.Cause) != nil {
		s.Cause = ""
	}
	if s.Mode != store.Auto {
		sanitizeNote(&s.ModeNote)
	}
	if s.Policy == (Policy{}) || s.Policy != *f.policy && s.Policy.Validate() != nil {
		s.Policy, s.Retuned = *f.policy, false
	}
	if s.Retuned {
		sanitizeNote(&s.PolicyNote)
	}
	s.Policy = s.Policy.WithDefaults()
	return true
}

func sanitizeNote(n *store.Note) {
	if store.ValidateName(n.By) != nil {
		n.By = "?"
	}
	if n.Why != "" && store.ValidateName(n.Why) != nil {
		n.Why = ""
	}
	n.EndsIn = min(max(n.EndsIn, 0), store.MaxFor)
}

// policies lets the breakers of this process that have equal policies share one copy.
var policies policyCopies

// policyCopies keeps one copy of each policy. It is safe for concurrent use.
type policyCopies struct {
	mu   sync.Mutex
	kept map[Policy]*Policy
}

// sharedPolicies is how many policies are kept, before it begins again. More come only from stores that change their minds all
// the time.
const sharedPolicies = 1024

func (p *policyCopies) shared(policy Policy) *Policy {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept, ok := p.kept[policy]
	if !ok {
		if p.kept == nil || len(p.kept) >= sharedPolicies {
			p.kept = map[Policy]*Policy{}
		}
		kept = new(Policy)
		*kept = policy
		p.kept[policy] = kept
	}
	return kept
}
