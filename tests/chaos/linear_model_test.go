package chaos

import (
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/commontrip/commontrip/store"
)

const ms = time.Millisecond

// linearPolicy is small in everything, so that a history of a few hundred requests comes through all states.
var linearPolicy = store.Policy{
	ConsecutiveFailures: 5, OpenFor: 100 * ms, OpenForMax: 400 * ms, Probes: 3, ProbeSuccesses: 3, ProbeLease: 300 * ms,
}.WithDefaults()

// request is what a client asks for, with the store's clock as it stands then, in ms. One of the three is set.
type request struct {
	now     int64
	claim   store.Claim
	settle  store.Settlement
	command store.Command
}

func (r request) name() string { return r.claim.Name + r.settle.Lease.Name + r.command.Name }

func (r request) String() string {
	switch {
	case r.claim.ID != "":
		return fmt.Sprintf("@%d %s claims %d as %s", r.now, r.claim.Replica, r.claim.Want, r.claim.ID)
	case r.settle.Replica != "":
		return fmt.Sprintf("@%d %s settles %s: %v", r.now, r.settle.Replica, r.settle.Lease.ID, r.settle.Outcome)
	default:
		return fmt.Sprintf("@%d %v for %v", r.now, r.command.Action, r.command.For)
	}
}

// reply is what a client hears.
type reply struct {
	unknown  bool // it heard nothing
	leases   []store.Lease
	snapshot store.Snapshot
}

func (r reply) String() string {
	if r.unknown {
		return "?"
	}
	s := r.snapshot
	return fmt.Sprintf("%v %v %d/%d since %v, %d probing, %d good; %v", s.State, s.Mode, s.Generation, s.Rev, s.Age, s.Probing,
		s.ProbeSuccesses, r.leases)
}

// liveLease is one that lives.
type liveLease struct {
	id, claim, replica string
	generation         uint64
	ends               int64
}

// state is what the rules of leases and commands know of a breaker. It is compared as a value.
type state struct {
	at, off         int64 // machine time
	generation, rev uint64
	state           store.State
	mode            store.Mode
	modeEnds        int64 // 0: until lifted
	since, until    int64
	reset           bool // below a forced mode, since it was given
	openings        int
	granted         uint64
	leases          [3]liveLease // as many as linearPolicy has places; the living ones first
	living          int
	successes       int
	calls           uint64 // settled probes
}

// model is the specification that a history is held to.
func model(first state) porcupine.Model {
	seed := maphash.MakeSeed()
	return porcupine.Model{
		Partition: byName,
		Init:      func() any { return first },
		Step: func(before, input, output any) (bool, any) {
			s := before.(state)
			want := s.take(input.(request))
			got := output.(reply)
			return got.unknown || want.explains(got), s
		},
		Equal:             func(a, b any) bool { return a.(state) == b.(state) },
		Hash:              func(s any) uint64 { return maphash.Comparable(seed, s.(state)) },
		DescribeOperation: func(input, output any) string { return fmt.Sprint(input, " -> ", output) },
	}
}

// byName parts a history: each breaker is one thing of its own.
func byName(ops []porcupine.Operation) [][]porcupine.Operation {
	parts := map[string][]porcupine.Operation{}
	for _, op := range ops {
		name := op.Input.(request).name()
		parts[name] = append(parts[name], op)
	}
	return slices.Collect(maps.Values(parts))
}

// take carries out a request and says what its client must hear.
func (s *state) take(r request) reply {
	m := max(s.at, r.now+s.off)
	s.at, s.off = m, m-r.now
	s.expire()
	var out reply
	switch {
	case r.claim.ID != "":
		out.leases = s.claim(r.claim)
	case r.settle.Replica != "":
		s.settle(r.settle)
	default:
		s.command(r.command)
	}
	out.snapshot = s.snapshot()
	return out
}

func (s *state) snapshot() store.Snapshot {
	out := store.Snapshot{
		State: s.state, Mode: s.mode, Generation: s.generation, Rev: s.rev, Age: time.Duration(s.at-s.since) * ms,
		Openings: s.backoff(), Probing: s.living, ProbeSuccesses: s.successes, Totals: store.Totals{Calls: s.calls},
	}
	if s.state == store.Open {
		out.RetryIn = time.Duration(max(s.until-s.at, 0)) * ms
	}
	return out
}

// explains compares what the specification speaks of.
func (r reply) explains(got reply) bool {
	a, b := r.snapshot, got.snapshot
	if a.State != b.State || a.Mode != b.Mode || a.Generation != b.Generation || a.Rev != b.Rev || a.Age != b.Age ||
		a.RetryIn != b.RetryIn || a.Openings != b.Openings || a.Probing != b.Probing || a.ProbeSuccesses != b.ProbeSuccesses ||
		a.Totals.Calls != b.Totals.Calls || len(r.leases) != len(got.leases) {
		return false
	}
	for i, l := range r.leases {
		if o := got.leases[i]; l.ID != o.ID || l.Generation != o.Generation || l.For != o.For {
			return false
		}
	}
	return true
}

func (s *state) expire() {
	s.release(func(l liveLease) bool { return s.at >= l.ends })
	if s.mode != store.Auto && s.modeEnds != 0 && s.at >= s.modeEnds {
		s.lift()
	}
}

// release takes out the leases that over names.
func (s *state) release(over func(liveLease) bool) {
	old, n := s.leases, s.living
	s.leases, s.living = [3]liveLease{}, 0
	for _, l := range old[:n] {
		if !over(l) {
			s.leases[s.living] = l
			s.living++
		}
	}
}

func (s *state) claim(c store.Claim) (granted []store.Lease) {
	if s.state == store.Open && s.mode == store.Auto && s.at >= s.until {
		s.turn(store.HalfOpen)
	}
	if s.state != store.HalfOpen || s.mode != store.Auto {
		return nil
	}
	for _, l := range s.leases[:s.living] {
		if l.claim == c.ID {
			granted = append(granted, s.shown(l))
		}
	}
	if granted != nil {
		return granted
	}
	for range min(c.Want, linearPolicy.Probes-s.living) {
		s.granted++
		l := liveLease{
			id:    strconv.FormatUint(s.generation, 10) + "." + strconv.FormatUint(s.granted, 10),
			claim: c.ID, replica: c.Replica, generation: s.generation, ends: s.at + linearPolicy.ProbeLease.Milliseconds(),
		}
		s.leases[s.living] = l
		s.living++
		granted = append(granted, s.shown(l))
	}
	return granted
}

func (s *state) shown(l liveLease) store.Lease {
	return store.Lease{ID: l.id, Generation: l.generation, For: time.Duration(l.ends-s.at) * ms}
}

func (s *state) settle(set store.Settlement) {
	var held *liveLease
	s.release(func(l liveLease) bool {
		mine := l.id == set.Lease.ID && l.replica == set.Replica
		if mine {
			held = &l
		}
		return mine
	})
	if held == nil || held.generation != s.generation || set.Lease.Generation != s.generation {
		return // it is in Late at most
	}
	if set.Outcome != store.Ignored {
		s.calls++
	}
	switch {
	case s.mode != store.Auto || set.Outcome == store.Ignored:
	case set.Outcome == store.Failure:
		s.open()
	default:
		if s.successes++; s.successes >= linearPolicy.ProbeSuccesses {
			s.turn(store.Closed)
		}
	}
}

func (s *state) command(c store.Command) {
	switch c.Action {
	case store.ForceOpen, store.ForceClosed:
		s.reset = false
		s.mode, s.modeEnds = store.ForcedOpen, 0
		if c.Action == store.ForceClosed {
			s.mode = store.ForcedClosed
		}
		if c.For > 0 {
			s.modeEnds = s.at + c.For.Milliseconds()
		}
		s.rev = s.next(s.rev)
	case store.Lift:
		if s.mode != store.Auto {
			s.lift()
		}
	case store.Trip:
		if s.state != store.Open {
			s.open()
			return
		}
		period := s.period(max(s.openings-1, 0))
		s.turn(store.Open)
		s.until = s.at + period
	case store.Reset:
		s.turn(store.Closed)
		s.openings, s.reset = 0, s.mode != store.Auto
	}
}

func (s *state) lift() {
	to, until := store.Closed, int64(0)
	switch {
	case s.state == store.Open && s.at < s.until:
		to, until = store.Open, s.until
	case s.mode == store.ForcedOpen && !s.reset:
		to = store.HalfOpen
	}
	s.mode, s.modeEnds, s.rev = store.Auto, 0, s.next(s.rev)
	s.turn(to)
	s.until = until
}

func (s *state) open() {
	openings := s.backoff()
	s.turn(store.Open)
	s.until, s.openings = s.at+s.period(openings), openings+1
}

func (s *state) turn(to store.State) {
	s.openings = s.backoff()
	s.generation, s.state, s.since, s.until, s.successes, s.reset = s.next(s.generation), to, s.at, 0, 0, false
}

func (s *state) backoff() int {
	if s.state == store.Closed && s.at-s.since >= linearPolicy.OpenFor.Milliseconds() {
		return 0
	}
	return s.openings
}

func (s *state) period(openings int) int64 {
	return min(linearPolicy.OpenFor<<min(openings, 27), linearPolicy.OpenForMax).Milliseconds()
}

func (s *state) next(n uint64) uint64 { return max(n+1, uint64(s.at)) }
