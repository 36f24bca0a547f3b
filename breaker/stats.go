package breaker

import (
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// EventClass is what a breaker's events are counted by. There are few, whatever a store says.
type EventClass struct {
	Kind     EventKind
	Here     bool // this replica's own doing, so that the sum over a fleet is the truth; else every replica hears of it
	From, To State
	Reason   Reason // "" if this version does not know it
	Action   Action // 0 if this version does not know it
}

// MarshalText gives what is known of the class, in the order of its fields, so that a [Status] can be marshalled and logged:
// "transitioned here closed open failure-rate".
func (c EventClass) MarshalText() ([]byte, error) {
	words := []string{c.Kind.String()}
	if c.Here {
		words = append(words, "here")
	}
	words = append(words, c.From.String(), c.To.String())
	if c.Reason != "" {
		words = append(words, string(c.Reason))
	}
	if c.Action != 0 {
		words = append(words, c.Action.String())
	}
	return []byte(strings.Join(words, " ")), nil
}

var reasons = []Reason{
	ByConsecutiveFailures, ByFailureRate, BySlowCallRate, ByProbeFailure, ByProbeSuccesses, ByTime, ByOperator, ByRepair,
}

// classOf is how e is counted by the replica of that name.
func classOf(e *Event, replica string) EventClass {
	t := &e.Transition
	c := EventClass{
		Kind: e.Kind, From: min(t.From, HalfOpen), To: min(t.To, HalfOpen),
	}
	if t.Action <= Restore {
		c.Action = t.Action
	}
	if slices.Contains(reasons, t.Reason) {
		c.Reason = t.Reason
	}
	switch e.Kind {
	case OwnTripped, OwnClosed, Disowned:
		c.Here = true
	case Transitioned, Repaired:
		c.Here = t.Cause == replica
	}
	return c
}

// refusals counts the calls that were refused, by kind. It is safe for concurrent use.
type refusals struct {
	counts atomic.Pointer[[len(refusalKinds)]counter] // nil: no call was refused, and none is about to be
}

// of is where refusals of a kind are counted.
func (r *refusals) of(kind Refusal) *counter {
	counts := r.counts.Load()
	if counts == nil {
		r.counts.CompareAndSwap(nil, new([len(refusalKinds)]counter))
		counts = r.counts.Load()
	}
	return &counts[kind.index()]
}

// total is how many calls were refused so far.
func (r *refusals) total() (n uint64) {
	if counts := r.counts.Load(); counts != nil {
		for i := range counts {
			n += counts[i].sum()
		}
	}
	return n
}

// byKind has no entry for what never refused.
func (r *refusals) byKind() map[Refusal]uint64 {
	out := map[Refusal]uint64{}
	if counts := r.counts.Load(); counts != nil {
		for i := range counts {
			if n := counts[i].sum(); n > 0 {
				out[refusalKinds[i]] = n
			}
		}
	}
	return out
}

// Latencies says how long exchanges with a store took, failed ones included.
type Latencies struct {
	Bounds []time.Duration // ascending
	Counts []uint64        // of exchanges that took up to each bound and longer than the one before; the last: longer than all
	Sum    time.Duration
}

var latencyBounds = [...]time.Duration{
	500 * time.Microsecond, time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond,
	25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second,
}

// latencies counts how long exchanges took. It is safe for concurrent use.
type latencies struct {
	counts [len(latencyBounds) + 1]atomic.Uint64
	sum    atomic.Int64
}

func (l *latencies) note(took time.Duration) {
	i, _ := slices.BinarySearch(latencyBounds[:], took)
	l.counts[i].Add(1)
	l.sum.Add(int64(took))
}

func (l *latencies) read() Latencies {
	out := Latencies{Bounds: slices.Clone(latencyBounds[:]), Counts: make([]uint64, len(l.counts)), Sum: time.Duration(l.sum.Load())}
	for i := range l.counts {
		out.Counts[i] = l.counts[i].Load()
	}
	return out
}

// exchangeStats counts the exchanges of a Manager with its store. It is safe for concurrent use.
type exchangeStats struct {
	exchanges, errors atomic.Uint64
	resyncs           atomic.Uint64
	localAt           atomic.Int64 // uptime of a local store's last answer
	latencies         latencies    // of a remote store's
	observe           func(took time.Duration)
}

// resynced counts a Resync.
func (s *exchangeStats) resynced() { s.resyncs.Add(1) }

// note counts an exchange that was sent at that time.
func (s *exchangeStats) note(sent instant, err error, remote bool) {
	s.exchanges.Add(1)
	if !answered(err) {
		s.errors.Add(1)
	}
	switch {
	case remote:
		took := uptime() - sent.up
		s.latencies.note(took)
		s.observe(took)
	case answered(err):
		s.localAt.Store(int64(uptime()))
	}
}
