package breaker

import (
	"sync"
	"time"

	"github.com/commontrip/commontrip/store"
)

// view is the fleet's verdict as this replica holds it: what a store sent, and nothing else.
type view struct {
	generation, rev uint64
	policy          *Policy         // in force; the breaker's own until a store has spoken
	last            *store.Snapshot // nil where nothing of it matters: closed, no mode, no retuned policy
	stateAt, modeAt instant         // when the generation's part was received, and the rev's
	requests        uint64          // the requests made so far
	stateBy, modeBy uint64          // the request that brought either part; 0 = a push
}

// fleetView is the view at one time.
type fleetView struct {
	state                State
	mode                 Mode
	waits                bool // open, and its time is not over
	retryAt              time.Duration
	modeEnds, policyEnds time.Duration // still to come; 0 = never
	closedAt             time.Duration // after probes; 0 = not so
	reason               Reason
}

// fleetView tells what the view means at that uptime. b.mu is held.
func (b *Breaker) fleetView(at time.Duration) (f fleetView) {
	last := b.last
	if last == nil {
		return f
	}
	f.state, f.mode, f.reason = last.State, last.Mode, last.Reason
	if f.mode != store.Auto && last.ModeNote.Timed {
		f.modeEnds = b.modeAt.up + last.ModeNote.EndsIn
		if f.modeEnds <= at {
			f.state = afterForce(f.mode)
			f.mode, f.modeEnds = store.Auto, 0
			return f
		}
	}
	if ends := b.modeAt.up + last.PolicyNote.EndsIn; last.Retuned && last.PolicyNote.Timed && ends > at {
		f.policyEnds = ends
	}
	if f.state == Open {
		f.retryAt = b.stateAt.up + last.RetryIn + b.core.spread(last)
		f.waits = at < f.retryAt
	}
	if f.state == Closed && last.Reason == store.ByProbeSuccesses {
		f.closedAt = max(b.stateAt.up-last.Age, 1)
	}
	return f
}

// afterForce is the state that a forced mode leaves at its end.
func afterForce(m Mode) State {
	if m == store.ForcedOpen {
		return HalfOpen
	}
	return Closed
}

// ended reports that something timed is over, which a store has not told yet. b.mu is held.
func (b *Breaker) ended(at time.Duration) bool {
	last := b.last
	if last == nil {
		return false
	}
	return last.Mode != store.Auto && last.ModeNote.Timed && b.modeAt.up+last.ModeNote.EndsIn <= at ||
		last.Retuned && last.PolicyNote.Timed && b.modeAt.up+last.PolicyNote.EndsIn <= at
}

// spread is the little that replicas of a remote store wait beyond the open time, so that not all ask at once. It is
// drawn from the generation and the replica, so that it stays the same while the generation does.
func (c *core) spread(s *store.Snapshot) time.Duration {
	if !c.remote {
		return 0
	}
	most := min(50*time.Millisecond, s.RetryIn/10)
	return time.Duration((s.Generation*0x9E3779B97F4A7C15 ^ c.salt) % uint64(most+1))
}

// request numbers a request, so that answers with equal numbers are taken in the order of their requests. b.mu is held.
func (b *Breaker) request() uint64 {
	b.requests++
	return b.requests
}

// apply takes over what a store sent in answer to a request (by), or pushed (by 0), received at that time: each of the
// two parts by its own number. b.mu is held.
func (b *Breaker) apply(s *store.Snapshot, by uint64, at instant) {
	newState := !b.heard || s.Generation > b.generation || s.Generation == b.generation && by > b.stateBy
	newMode := !b.heard || s.Rev > b.rev || s.Rev == b.rev && by > b.modeBy
	if !newState && !newMode {
		return
	}
	moved := b.heard && s.Generation != b.generation && newState
	if last := b.last; newState && !moved && last != nil && s.Generation > 0 && !s.Since.Equal(last.Since) && b.began {
		b.gap = true // the store holds the generation since another time: it may have lost it, and been told
	}
	old := b.snapshot()
	merged := *s
	if !newState {
		copyState(&merged, &old)
	} else {
		b.stateAt, b.stateBy = at, by
	}
	if !newMode {
		copyMode(&merged, &old)
	} else {
		b.modeAt, b.modeBy = at, by
	}
	b.heard, b.generation, b.rev = true, merged.Generation, merged.Rev
	if merged.Policy != *b.policy {
		b.policy = b.core.policies.shared(merged.Policy)
	}
	b.keep(&merged)
	if moved {
		b.resetOwn()
		if b.gate != nil {
			b.gate.rest.Store(nil)
		}
	}
	if moved || b.era == nil || b.era.generation != b.generation {
		b.begin()
	}
	b.restance()
}

// keep holds a snapshot, where it is of use. b.mu is held.
func (b *Breaker) keep(s *store.Snapshot) {
	dull := s.State == Closed && s.Mode == store.Auto && !s.Retuned && s.Reason != store.ByProbeSuccesses
	switch {
	case dull && !b.core.remote:
		b.last = nil
	case b.last == nil:
		kept := *s
		b.last = &kept
	default:
		*b.last = *s
	}
}

// snapshot is the view as a store would tell it. b.mu is held.
func (b *Breaker) snapshot() store.Snapshot {
	if b.last != nil {
		return *b.last
	}
	return store.Snapshot{Name: b.name, Generation: b.generation, Rev: b.rev, Policy: *b.policy}
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

// known is what goes into a request for repair: the view, less the time that it was held. b.mu is held.
func (b *Breaker) known(at instant) store.Known {
	last := b.last
	if last == nil {
		return store.Known{Generation: b.generation, Rev: b.rev}
	}
	k := store.Known{
		Generation: last.Generation, Rev: last.Rev, State: last.State, Reason: last.Reason, Cause: last.Cause,
		Openings: last.Openings, Mode: last.Mode, Retuned: last.Retuned,
	}
	if last.State == Open {
		k.RetryIn = max(last.RetryIn-at.since(b.stateAt), 0)
	}
	if k.Mode != store.Auto {
		k.ModeNote = less(last.ModeNote, at.since(b.modeAt))
	}
	if k.Retuned {
		k.Policy, k.PolicyNote = last.Policy, less(last.PolicyNote, at.since(b.modeAt))
	}
	return k
}

func less(n store.Note, held time.Duration) store.Note {
	n.EndsIn = max(n.EndsIn-held, 0)
	return n
}

// sound reports whether a snapshot can be this breaker's, and cuts what is out of bounds: no store is trusted so far that
// its answer could stop a replica, or make the next report invalid.
func (b *Breaker) sound(s *store.Snapshot) bool {
	if s.Name != b.name || s.State > HalfOpen || s.Mode > store.ForcedClosed ||
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
		soundNote(&s.ModeNote)
	}
	if s.Policy == (Policy{}) || s.Policy != *b.policy && s.Policy.Validate() != nil {
		s.Policy, s.Retuned = *b.policy, false
	}
	if s.Retuned {
		soundNote(&s.PolicyNote)
	}
	s.Policy = s.Policy.WithDefaults()
	return true
}

func soundNote(n *store.Note) {
	if store.ValidateName(n.By) != nil {
		n.By = "?"
	}
	if n.Why != "" && store.ValidateName(n.Why) != nil {
		n.Why = ""
	}
	n.EndsIn = min(max(n.EndsIn, 0), store.MaxFor)
}

// policies lets breakers of one policy share one copy of it.
type policies struct {
	mu   sync.Mutex
	kept map[Policy]*Policy
}

// sharedPolicies is how many are kept; more come only from a store that changes its mind all the time.
const sharedPolicies = 1024

func (p *policies) shared(policy Policy) *Policy {
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
