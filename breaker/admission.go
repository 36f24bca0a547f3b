package breaker

import (
	"math/rand/v2"
	"time"

	"github.com/commontrip/commontrip/store"
)

// admission is what a call loads to know how it is met. A new one is published whenever a decision changes; it never changes
// itself, but for what its probes hold. It is small, since each idle breaker has one.
type admission struct {
	epoch    *epoch
	refusal  *refusing // what refused calls get, all of them or a share; nil: the decision does not refuse
	standing           // its kind stands here, beside what every call needs
	policy   *Policy
	probes   *probes // where probes get their leases; nil: no lease is needed
}

// standing is the part of a decision that calls look at.
type standing struct {
	kind                   kind
	state                  State
	mode                   Mode
	verdict                Verdict
	aged                   bool // successes need ages, and are kept apart by a bucket of the window
	fleetLease, localLease bool // whose lease a call needs to be a probe; both may be
	dryRun                 bool // a call that gets no lease is admitted all the same
	until                  time.Duration
}

// refusing is what the calls get that a decision refuses, and where they are counted. After a close the ramp admits a share
// of them, which grows to all.
type refusing struct {
	err                OpenError
	calls              *counter
	rampFrom, rampOver time.Duration // when the ramp began, and how long it lasts; 0, 0: every call is refused
}

// decision is who is admitted, and until when that holds. It is a value: equal decisions are the same one. Times are
// uptimes.
type decision struct {
	kind    kind
	state   State
	mode    Mode
	verdict Verdict
	live    bool // the store answers, so that the fleet's verdict rules
	clocked bool // a call needs the clock: to know whether it was slow, or when it succeeded
	aged    bool // successes need ages, and are kept apart by a bucket of the window

	refuse  Refusal // why calls are refused; empty: they are not
	reason  Reason  // of the refusal
	retryAt time.Duration
	wait    time.Duration // if retryAt is 0: what a refused call is told to wait

	fleetLease, localLease bool          // whose lease a call needs to be a probe; both may be
	dryRun                 bool          // a call that gets no lease is admitted all the same
	rampFrom, rampOver     time.Duration // a growing share of calls is admitted; rampOver 0: there is no ramp

	until time.Duration // when to decide again at the latest; 0: this holds until something changes
}

type kind uint8

const (
	plain   kind = iota // every call is admitted, and a nil error needs nothing but counting
	refuses             // every call is refused
	asks                // everything else: see Breaker.admitSlowly
	sleeps              // the next call must wake the breaker first
)

// lead is how long before its end a decision begins to look at the clock, so that no call goes by one that is over: a timer
// alone may come late.
const lead = time.Millisecond

// scene is all that a decision depends on.
type scene struct {
	at         time.Duration
	fleet      fleetNow
	local      localView
	live       bool          // the fleet's verdict rules
	liveUntil  time.Duration // when that ends; 0: no end is known
	policy     *Policy
	storeDown  StoreDown     // what rules while the fleet's verdict does not
	storeWait  time.Duration // what a call is told to wait that RejectAll refuses
	asleep     bool
	inCaller   bool // outcomes are judged in the call that had them
	classifies bool // the user has a classifier
}

// decide says who is admitted. What stands higher wins: an operator's mode, the fleet's open state until its time is over,
// what stands in for the fleet's verdict while the store is away, the local breaker, the probes, the ramp. A dry run refuses
// nobody, except where an operator's mode does.
func decide(s *scene) (d decision) {
	d.live, d.mode, d.state = s.live, s.fleet.mode, s.fleet.state
	d.aged = s.policy.WindowTime > 0 && s.inCaller
	d.clocked = d.aged || s.policy.SlowCallAfter > 0
	d.endAt(s.liveUntil)
	d.endAt(s.fleet.modeEnds)
	d.endAt(s.fleet.policyEnds)
	if !s.live {
		d.verdict = Own
	}
	d.rule(s)
	// mutant: lead
	if d.until != 0 && d.until-s.at <= lead || d.kind == plain && (d.clocked || s.classifies) {
		d.kind = asks
	}
	if s.asleep {
		d.kind = sleeps
	}
	return d
}

func (d *decision) rule(s *scene) {
	observe := s.policy.Observe
	switch {
	// mutant: forced = case s.fleet.mode == store.ForcedOpen && s.live:
	case s.fleet.mode == store.ForcedOpen:
		d.state, d.verdict = Open, Fleet
		d.refuseWith(RefusedForced, ByOperator, s.fleet.modeEnds, s.policy.OpenFor)
		return
	case s.fleet.mode == store.ForcedClosed:
		d.state, d.verdict = Closed, Fleet
		return
	case observe:
		d.state = Closed
	}
	// mutant: waits = if s.fleet.waits && s.live {
	if s.fleet.waits {
		d.endAt(s.fleet.retryAt)
		// mutant: dry-run
		if !observe {
			d.refuseWith(RefusedOpen, s.fleet.reason, s.fleet.retryAt, 0)
		}
		return
	}
	if !s.live && !observe {
		d.state = Closed
		switch s.storeDown {
		case RejectAll:
			d.state = Open
			d.refuseWith(RefusedStoreDown, "", 0, s.storeWait)
			return
		case AdmitAll:
			return
		}
	}
	d.needLeases(s, observe)
	if d.kind == plain {
		d.rampUp(s, observe)
	}
}

// needLeases is the part of the local breaker, and of whose leases make a call a probe.
func (d *decision) needLeases(s *scene, observe bool) {
	if s.local.refuses && !observe {
		d.verdict, d.state = Own, s.local.state
		if s.local.state == Open && s.at < s.local.retryAt {
			d.refuseWith(RefusedOpen, s.local.reason, s.local.retryAt, 0)
			d.endAt(s.local.retryAt)
			return
		}
		d.localLease = true
	}
	d.fleetLease = s.live && s.fleet.state != Closed
	if d.localLease || d.fleetLease {
		d.kind, d.dryRun = asks, observe
	}
}

func (d *decision) rampUp(s *scene, observe bool) {
	from, over := max(s.fleet.closedAt, s.local.closedAt), s.policy.RampUp
	if over == 0 || from == 0 || s.at >= from+over || observe {
		return
	}
	d.kind, d.rampFrom, d.rampOver = asks, from, over
	d.endAt(from + over)
}

func (d *decision) refuseWith(refusal Refusal, reason Reason, retryAt, wait time.Duration) {
	d.kind, d.refuse, d.reason, d.retryAt, d.wait = refuses, refusal, reason, retryAt, wait
}

// endAt makes the decision end at that uptime at the latest; 0 is no time.
func (d *decision) endAt(at time.Duration) {
	if at != 0 && (d.until == 0 || at < d.until) {
		d.until = at
	}
}

// asksLike reports that calls must get the same leases under both, in one epoch.
func (a *admission) asksLike(b *admission) bool {
	return a.epoch == b.epoch && a.fleetLease == b.fleetLease && a.localLease == b.localLease && a.dryRun == b.dryRun
}

// needsLease reports that a call must get a lease to be admitted.
func (s *standing) needsLease() bool { return s.fleetLease || s.localLease }

// lets draws whether the ramp admits a call: a share from 1/64 to 1.
func (r *refusing) lets(at time.Duration) bool {
	if r.rampOver == 0 {
		return false
	}
	const least = 1.0 / 64
	share := least + (1-least)*float64(at-r.rampFrom)/float64(r.rampOver)
	// mutant: ramp
	return share >= 1 || rand.Float64() < share
}

// standing is what calls look at.
func (d *decision) standing() standing {
	return standing{
		kind: d.kind, state: d.state, mode: d.mode, verdict: d.verdict, aged: d.aged,
		fleetLease: d.fleetLease, localLease: d.localLease, dryRun: d.dryRun, until: d.until,
	}
}

// publish makes a decision known to calls, unless they go by just that one already.
func (r *rooms) publish(d *decision) {
	old := r.c.admission.Load()
	if old == nil {
		old = &admission{}
	}
	a := admission{standing: d.standing(), epoch: r.epoch, policy: r.fleet.policy}
	if made := r.refusing(d); made.calls != nil {
		if a.refusal = old.refusal; a.refusal == nil || *a.refusal != made {
			a.refusal = &made
		}
	}
	if a.needsLease() {
		if r.probes == nil {
			r.probes = &probes{c: r.c}
		}
		a.probes = r.probes
	}
	if *old != a {
		made := a
		r.c.admission.Store(&made)
	}
}

// refusing is what calls get that d refuses; with no counter: it refuses none.
func (r *rooms) refusing(d *decision) (made refusing) {
	switch {
	case d.refuse != "":
		made.err = OpenError{Name: r.c.name, Refusal: d.refuse, Reason: d.reason, until: d.retryAt, wait: d.wait}
	case d.rampOver > 0:
		made.err = OpenError{Name: r.c.name, Refusal: RefusedRampUp, wait: max(d.rampOver/64, time.Millisecond)}
		made.rampFrom, made.rampOver = d.rampFrom, d.rampOver
	default:
		return made
	}
	made.calls = r.c.refused.of(made.err.Refusal)
	return made
}
