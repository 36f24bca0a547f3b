package breaker

import (
	"slices"
	"time"

	"github.com/commontrip/commontrip/store"
)

// run is a number of equal outcomes, one after the other, that wait to be reported.
type run struct {
	generation uint64
	at         instant       // when the newest call ended
	since      time.Duration // uptime when the first call ended
	count      int
	outcome    Outcome
	slow       bool
	label      string
}

// inFlight is the report that is on its way. It is sent again, with fresh ages, until it is answered or too old, so that no
// outcome is counted twice. New outcomes wait behind it.
type inFlight struct {
	seq        uint64
	generation uint64
	runs       []run
	rejected   uint64
	at         instant // when it was packed
	sendings   int     // how often it was sent
}

func (f *inFlight) outcomes() (n uint64) {
	for _, r := range f.runs {
		n += uint64(r.count)
	}
	return n
}

// outbox holds the outcomes that wait to be reported and the report in flight, and counts what this replica saw. It is not
// safe for concurrent use: its coordinator's mu guards it.
type outbox struct {
	seq    uint64   // of the newest report
	closed bool     // what comes now is counted, and reported no more
	heard  bool     // the store has answered a report, so that it knows the policy
	kept   *backlog // nil: nothing was ever counted, waits, or is in flight
}

// backlog is the part of an outbox that an idle breaker does without.
type backlog struct {
	runs         []run // oldest first
	inFlight     *inFlight
	totals       store.Totals
	lost         uint64 // outcomes that no store will count, as far as this replica knows
	lostAtClose  uint64 // how many those were when the outbox was closed
	entered      uint64 // outcomes that were added to be reported
	left         uint64 // outcomes of those that were reported, or lost
	rejectedSent uint64 // refusals that a report carries, or carried
	sentLate     bool   // the newest report carries, or carried, late outcomes
}

// The bounds of an outbox.
const (
	maxRuns = 4096                   // runs that wait; beyond that the oldest eighth is lost
	mergeIn = 100 * time.Millisecond // equal outcomes within this time are one run: the shortest bucket of a window
)

func (o *outbox) backlog() *backlog {
	if o.kept == nil {
		o.kept = &backlog{}
	}
	return o.kept
}

// count adds to the totals. A settled probe is only counted here: its settlement was its report.
func (o *outbox) count(outcome Outcome, slow bool, n int) {
	t := &o.backlog().totals
	if outcome == Ignored && !slow {
		t.Ignored += uint64(n)
		return
	}
	t.Calls += uint64(n)
	if outcome == Failure {
		t.Failures += uint64(n)
	}
	if slow {
		t.Slow += uint64(n)
	}
}

// append counts a run and lets it wait, as part of the last one if they are alike.
func (o *outbox) append(r run) {
	o.count(r.outcome, r.slow, r.count)
	if o.closed {
		return
	}
	k := o.backlog()
	k.entered += uint64(r.count)
	if n := len(k.runs); n > 0 {
		last := &k.runs[n-1]
		if last.outcome == r.outcome && last.slow == r.slow && last.label == r.label && last.generation == r.generation &&
			r.at.up-last.since < mergeIn && last.count+r.count <= store.MaxCount {
			last.count += r.count
			last.at = r.at
			return
		}
		// mutant: bound
		if n >= maxRuns {
			k.loseOldest(maxRuns / 8)
		}
	}
	k.runs = append(k.runs, r)
}

// loseOldest gives up the oldest n runs that wait.
func (k *backlog) loseOldest(n int) {
	for _, r := range k.runs[:n] {
		k.lost += uint64(r.count)
		k.left += uint64(r.count)
	}
	k.runs = k.runs[:copy(k.runs, k.runs[n:])]
}

// loseInFlight gives up the report in flight: whether the store counted it is not known.
func (k *backlog) loseInFlight() {
	n := k.inFlight.outcomes()
	k.lost += n
	k.left += n
	k.inFlight = nil
}

// refused notes that the report of this number came too late. One that was sent before may have been counted then, and is
// given up.
func (o *outbox) refused(seq uint64) {
	if k := o.kept; k != nil && k.inFlight != nil && k.inFlight.seq == seq && k.inFlight.sendings > 1 {
		k.loseInFlight()
	}
}

// expire gives up what is older than stale, and a report that may not be sent again: the store might have forgotten its
// number.
func (o *outbox) expire(at instant, stale time.Duration) {
	k := o.kept
	if k == nil {
		return
	}
	// mutant: stale
	if f := k.inFlight; f != nil && at.since(f.at) > min(stale, store.MaxResend) {
		k.loseInFlight()
	}
	n := 0
	for n < len(k.runs) && at.since(k.runs[n].at) > stale {
		n++
	}
	if n > 0 {
		k.loseOldest(n)
	}
}

// next is the report to send now: the one in flight, or a new one of what waits. A report holds outcomes of the present
// generation, or late ones of any generations that are over: those are counted and never judged. If both wait they take
// turns, so that neither holds the other up. An empty report is of the present generation. nil: nothing waits, and empty
// reports were not asked for. rejected is how many calls were refused so far. If it holds, a new report is empty.
func (o *outbox) next(at instant, generation, rejected uint64, evenEmpty, holds bool) *inFlight {
	if o.kept == nil && rejected == 0 && !evenEmpty {
		return nil
	}
	k := o.backlog()
	if k.inFlight == nil && len(k.runs) == 0 && rejected == k.rejectedSent && !evenEmpty {
		return nil
	}
	if k.inFlight == nil {
		o.seq++
		k.inFlight = &inFlight{seq: o.seq, generation: generation, rejected: rejected - k.rejectedSent, at: at}
		k.rejectedSent = rejected
		if !holds {
			k.pack(k.inFlight, generation)
		}
	}
	k.inFlight.sendings++
	// mutant: resent = o.seq++; k.inFlight.seq = o.seq
	return k.inFlight
}

// pack moves the oldest runs that fit into f: those of the present generation, or the late ones.
func (k *backlog) pack(f *inFlight, present uint64) {
	isLate := func(r run) bool { return r.generation != present }
	first := slices.IndexFunc(k.runs, func(r run) bool { return isLate(r) != k.sentLate })
	if first < 0 { // only what has had its turn waits
		first = 0
	}
	if len(k.runs) == 0 {
		return
	}
	late := isLate(k.runs[first])
	f.generation = k.runs[first].generation
	kept, adverse, full := k.runs[:0], 0, false
	for _, r := range k.runs {
		if full = full || len(f.runs) == store.MaxRuns; full || isLate(r) != late {
			kept = append(kept, r)
			continue
		}
		if r.outcome == Failure || r.slow {
			if room := store.MaxAdverse - adverse; r.count > room {
				rest := r
				r.count, rest.count, full = room, r.count-room, true
				kept = append(kept, rest)
			}
			adverse += r.count
		}
		if r.count > 0 {
			f.runs = append(f.runs, r)
		}
	}
	k.runs, k.sentLate = kept, late
	if len(k.runs) == 0 && cap(k.runs) > store.MaxRuns {
		k.runs = nil
	}
}

// acknowledge notes that the report of this number was answered. An answer to an earlier one changes nothing.
func (o *outbox) acknowledge(seq uint64) {
	o.heard = true
	k := o.kept
	if k == nil {
		return
	}
	if f := k.inFlight; f != nil && f.seq == seq {
		k.left += f.outcomes()
		k.inFlight = nil
	}
	if k.entered == 0 && k.rejectedSent == 0 && k.inFlight == nil && k.totals == (store.Totals{}) {
		o.kept = nil
	}
}

// close ends the taking of outcomes to report. What waits now is all there is to report, whatever calls go on.
func (o *outbox) close() {
	o.closed = true
	if o.kept != nil {
		// mutant: at-close
		o.kept.lostAtClose = o.kept.lost
	}
}

// abandon gives up what waits or is in flight. It tells how many outcomes were lost since close.
func (o *outbox) abandon() (lost int) {
	o.closed = true
	k := o.kept
	if k == nil {
		return 0
	}
	pending := uint64(o.pending())
	k.lost += pending
	k.left += pending
	k.runs, k.inFlight = nil, nil
	return int(k.lost - k.lostAtClose)
}

// pending is how many outcomes wait or are in flight.
func (o *outbox) pending() (n int) {
	if o.kept == nil {
		return 0
	}
	for _, r := range o.kept.runs {
		n += r.count
	}
	if f := o.kept.inFlight; f != nil {
		n += int(f.outcomes())
	}
	return n
}

// waitingRuns is how many runs wait for a report.
func (o *outbox) waitingRuns() int {
	if o.kept == nil {
		return 0
	}
	return len(o.kept.runs)
}

// entered is how many outcomes were ever added to be reported.
func (o *outbox) entered() uint64 {
	if o.kept == nil {
		return 0
	}
	return o.kept.entered
}

// done reports that the first n outcomes that were added are reported, or lost.
func (o *outbox) done(n uint64) bool { return o.kept == nil || o.kept.left >= n }

// counted is what this replica saw, and how many outcomes of it were lost.
func (o *outbox) counted() (totals store.Totals, lost uint64) {
	if o.kept == nil {
		return totals, 0
	}
	return o.kept.totals, o.kept.lost
}
