package breaker

import (
	"fmt"
	"testing"
	"time"

	"github.com/commontrip/commontrip/store"
)

// The time of every scene, and ends that lie behind and before it.
const (
	t0   = 1000 * time.Second
	past = t0 - 5*time.Second
	soon = t0 + 5*time.Second
	late = t0 + 9*time.Second
)

// given changes a scene in which the store answers and nothing refuses.
type given func(*scene)

func sceneOf(changes ...given) *scene {
	s := &scene{at: t0, live: true, policy: &Policy{OpenFor: 10 * time.Second}, storeWait: time.Second}
	for _, change := range changes {
		change(s)
	}
	return s
}

func fleetOpen(until time.Duration) given {
	return func(s *scene) {
		s.fleet.state, s.fleet.reason, s.fleet.retryAt, s.fleet.waits = Open, ByFailureRate, until, until > t0
	}
}

func fleetHalfOpen(s *scene) { s.fleet.state = HalfOpen }

func fleetClosedByProbes(at time.Duration) given { return func(s *scene) { s.fleet.closedAt = at } }

func forced(m Mode, until time.Duration) given {
	return func(s *scene) { s.fleet.mode, s.fleet.modeEnds = m, until }
}

func localOpen(until time.Duration) given {
	return func(s *scene) {
		s.local = localView{refuses: true, state: Open, retryAt: until, reason: ByConsecutiveFailures}
	}
}

func localHalfOpen(s *scene) { s.local = localView{refuses: true, state: HalfOpen, retryAt: past} }

func localClosedByProbes(at time.Duration) given { return func(s *scene) { s.local.closedAt = at } }

func away(rule StoreDown) given { return func(s *scene) { s.live, s.storeDown = false, rule } }

func liveUntil(at time.Duration) given { return func(s *scene) { s.liveUntil = at } }

func policyUntil(at time.Duration) given { return func(s *scene) { s.fleet.policyEnds = at } }

func rampUp(d time.Duration) given { return func(s *scene) { s.policy.RampUp = d } }

func dryRun(s *scene)       { s.policy.Observe = true }
func slowCalls(s *scene)    { s.policy.SlowCallAfter = time.Second }
func timeWindow(s *scene)   { s.policy.WindowTime = time.Minute }
func inCaller(s *scene)     { s.inCaller = true }
func classifier(s *scene)   { s.classifies = true }
func afterASleep(s *scene)  { s.asleep = true }
func storeOpen(s *scene)    { fleetOpen(soon)(s) }
func openIsOver(s *scene)   { fleetOpen(past)(s) }
func ownOpen(s *scene)      { localOpen(soon)(s) }
func ownOpenOver(s *scene)  { localOpen(past)(s) }
func forcedOpen(s *scene)   { forced(ForcedOpen, 0)(s) }
func forcedClosed(s *scene) { forced(ForcedClosed, 0)(s) }

// What the store's open state, and the local breaker's, mean to calls.
var (
	refusedByFleet = decision{
		kind: refuses, state: Open, live: true, refuse: RefusedOpen, reason: ByFailureRate, retryAt: soon, until: soon,
	}
	refusedByOwn = decision{
		kind: refuses, state: Open, verdict: Own, live: true, refuse: RefusedOpen, reason: ByConsecutiveFailures,
		retryAt: soon, until: soon,
	}
	refusedByForce = decision{
		kind: refuses, state: Open, mode: ForcedOpen, live: true, refuse: RefusedForced, reason: ByOperator, wait: 10 * time.Second,
	}
)

func with(d decision, change func(*decision)) decision {
	change(&d)
	return d
}

func TestDecide(t *testing.T) {
	for _, row := range []struct {
		sentence string
		given    []given
		want     decision
	}{
		{"a closed breaker admits every call", nil, decision{live: true}},
		{"a call asks if it must be timed", []given{slowCalls}, decision{kind: asks, live: true, clocked: true}},
		{
			"a call asks if it is judged at once and its success needs an age",
			[]given{timeWindow, inCaller},
			decision{kind: asks, live: true, clocked: true, aged: true},
		},
		{"a success that the reporter collects needs no age", []given{timeWindow}, decision{live: true}},
		{"a window of calls needs no age", []given{inCaller}, decision{live: true}},
		{"a call asks if the user classifies", []given{classifier}, decision{kind: asks, live: true}},
		{"the first call after a long time asks", []given{afterASleep}, decision{kind: sleeps, live: true}},
		{
			"it asks even if the breaker was open before",
			[]given{afterASleep, storeOpen},
			with(refusedByFleet, func(d *decision) { d.kind = sleeps }),
		},

		{"open refuses until its time is over", []given{storeOpen}, refusedByFleet},
		{"open refuses calls that would be timed", []given{storeOpen, slowCalls}, with(refusedByFleet, func(d *decision) { d.clocked = true })},
		{"open refuses calls that would be classified", []given{storeOpen, classifier}, refusedByFleet},
		{"once the open time is over a call needs the fleet's lease", []given{openIsOver}, decision{kind: asks, state: Open, live: true, fleetLease: true}},
		{"in half-open a call needs the fleet's lease", []given{fleetHalfOpen}, decision{kind: asks, state: HalfOpen, live: true, fleetLease: true}},

		{"forced open refuses until it is lifted", []given{forcedOpen}, refusedByForce},
		{
			"forced open refuses until its end",
			[]given{forced(ForcedOpen, soon)},
			with(refusedByForce, func(d *decision) { d.retryAt, d.until = soon, soon }),
		},
		{"forced open stands above a dry run", []given{forcedOpen, dryRun}, refusedByForce},
		{"forced open stands above half-open", []given{forcedOpen, fleetHalfOpen}, refusedByForce},
		{
			"forced open stands above an outage that admits all",
			[]given{forcedOpen, away(AdmitAll)},
			with(refusedByForce, func(d *decision) { d.live = false }),
		},
		{"forced closed admits although the fleet is open", []given{forcedClosed, storeOpen}, decision{mode: ForcedClosed, live: true}},
		{"forced closed admits although the local breaker is open", []given{forcedClosed, ownOpen}, decision{mode: ForcedClosed, live: true}},
		{"forced closed admits in an outage that rejects all", []given{forcedClosed, away(RejectAll)}, decision{mode: ForcedClosed}},
		{"forced closed needs no ramp", []given{forcedClosed, rampUp(time.Minute), fleetClosedByProbes(past)}, decision{mode: ForcedClosed, live: true}},
		{"forced closed admits until its end", []given{forced(ForcedClosed, soon)}, decision{mode: ForcedClosed, live: true, until: soon}},

		{"a dry run admits although the fleet is open", []given{dryRun, storeOpen}, decision{live: true, until: soon}},
		{
			"a dry run probes, and admits calls that get no lease",
			[]given{dryRun, fleetHalfOpen},
			decision{kind: asks, live: true, fleetLease: true, dryRun: true},
		},
		{
			"a dry run probes once the open time is over",
			[]given{dryRun, openIsOver},
			decision{kind: asks, live: true, fleetLease: true, dryRun: true},
		},
		{"a dry run admits although the local breaker is open", []given{dryRun, ownOpen}, decision{live: true}},
		{"a dry run admits in an outage that rejects all", []given{dryRun, away(RejectAll)}, decision{verdict: Own}},
		{"a dry run does not probe in an outage", []given{dryRun, away(OwnVerdict), fleetHalfOpen}, decision{verdict: Own}},
		{"a dry run needs no ramp", []given{dryRun, rampUp(time.Minute), fleetClosedByProbes(past)}, decision{live: true}},

		{"in an outage the own verdict admits", []given{away(OwnVerdict)}, decision{verdict: Own}},
		{
			"in an outage the fleet's open state holds until its time",
			[]given{away(OwnVerdict), storeOpen},
			with(refusedByFleet, func(d *decision) { d.verdict, d.live = Own, false }),
		},
		{
			"it holds even if an outage admits all",
			[]given{away(AdmitAll), storeOpen},
			with(refusedByFleet, func(d *decision) { d.verdict, d.live = Own, false }),
		},
		{
			"it holds even if an outage rejects all",
			[]given{away(RejectAll), storeOpen},
			with(refusedByFleet, func(d *decision) { d.verdict, d.live = Own, false }),
		},
		{"in an outage nobody gets the fleet's lease", []given{away(OwnVerdict), fleetHalfOpen}, decision{verdict: Own}},
		{"an outage admits all if the user says so", []given{away(AdmitAll), fleetHalfOpen, ownOpen}, decision{verdict: Own}},
		{"an outage that admits all needs no ramp", []given{away(AdmitAll), rampUp(time.Minute), localClosedByProbes(past)}, decision{verdict: Own}},
		{
			"an outage rejects all if the user says so",
			[]given{away(RejectAll)},
			decision{kind: refuses, state: Open, verdict: Own, refuse: RefusedStoreDown, wait: time.Second},
		},
		{
			"an outage that rejects all does so whatever the local breaker says",
			[]given{away(RejectAll), ownOpenOver},
			decision{kind: refuses, state: Open, verdict: Own, refuse: RefusedStoreDown, wait: time.Second},
		},

		{"the local breaker refuses although the store answers", []given{ownOpen}, refusedByOwn},
		{"the local breaker refuses in an outage", []given{away(OwnVerdict), ownOpen}, with(refusedByOwn, func(d *decision) { d.live = false })},
		{"the fleet's open state is told before the local breaker's", []given{storeOpen, ownOpen}, refusedByFleet},
		{"the local breaker refuses those that the fleet would let probe", []given{fleetHalfOpen, ownOpen}, refusedByOwn},
		{
			"once its time is over a call needs the local lease",
			[]given{ownOpenOver},
			decision{kind: asks, state: Open, verdict: Own, live: true, localLease: true},
		},
		{
			"its time is over at its end, not after it",
			[]given{localOpen(t0)},
			decision{kind: asks, state: Open, verdict: Own, live: true, localLease: true},
		},
		{
			"in a local half-open a call needs the local lease",
			[]given{localHalfOpen},
			decision{kind: asks, state: HalfOpen, verdict: Own, live: true, localLease: true},
		},
		{
			"a call needs both leases if both are half-open",
			[]given{localHalfOpen, fleetHalfOpen},
			decision{kind: asks, state: HalfOpen, verdict: Own, live: true, localLease: true, fleetLease: true},
		},
		{
			"in an outage it needs the local lease alone",
			[]given{away(OwnVerdict), localHalfOpen, fleetHalfOpen},
			decision{kind: asks, state: HalfOpen, verdict: Own, localLease: true},
		},
		{
			"no ramp draws among probes",
			[]given{localHalfOpen, rampUp(time.Minute), fleetClosedByProbes(past)},
			decision{kind: asks, state: HalfOpen, verdict: Own, live: true, localLease: true},
		},

		{
			"after the fleet's probes closed it a share of the calls is admitted",
			[]given{rampUp(time.Minute), fleetClosedByProbes(past)},
			decision{kind: asks, live: true, rampFrom: past, rampOver: time.Minute, until: past + time.Minute},
		},
		{
			"after the local probes closed it too, in an outage as well",
			[]given{away(OwnVerdict), rampUp(time.Minute), localClosedByProbes(past)},
			decision{kind: asks, verdict: Own, rampFrom: past, rampOver: time.Minute, until: past + time.Minute},
		},
		{
			"the ramp begins at the later of the two",
			[]given{rampUp(time.Minute), fleetClosedByProbes(past), localClosedByProbes(past + time.Second)},
			decision{kind: asks, live: true, rampFrom: past + time.Second, rampOver: time.Minute, until: past + time.Second + time.Minute},
		},
		{"the ramp is over at its end", []given{rampUp(5 * time.Second), fleetClosedByProbes(past)}, decision{live: true}},
		{"there is no ramp unless the policy has one", []given{fleetClosedByProbes(past)}, decision{live: true}},
		{"there is no ramp unless probes closed it", []given{rampUp(time.Minute)}, decision{live: true}},

		{"a decision holds until the store counts as away", []given{liveUntil(soon)}, decision{live: true, until: soon}},
		{"a decision holds until an operator's policy ends", []given{policyUntil(soon)}, decision{live: true, until: soon}},
		{"the earliest of several ends counts", []given{liveUntil(late), policyUntil(soon)}, decision{live: true, until: soon}},
		{"whatever order they come in", []given{liveUntil(soon), policyUntil(late)}, decision{live: true, until: soon}},
		{
			"the end of a mode counts beside an open time",
			[]given{storeOpen, policyUntil(soon - time.Second)},
			with(refusedByFleet, func(d *decision) { d.until = soon - time.Second }),
		},
		{"a millisecond before its end a call looks at the clock", []given{liveUntil(t0 + lead)}, decision{kind: asks, live: true, until: t0 + lead}},
		{"earlier it does not", []given{liveUntil(t0 + lead + 1)}, decision{live: true, until: t0 + lead + 1}},
		{
			"a refused call looks at the clock then too",
			[]given{fleetOpen(t0 + lead)},
			with(refusedByFleet, func(d *decision) { d.kind, d.retryAt, d.until = asks, t0+lead, t0+lead }),
		},
		{
			"earlier it is refused at once",
			[]given{fleetOpen(t0 + lead + 1)},
			with(refusedByFleet, func(d *decision) { d.retryAt, d.until = t0+lead+1, t0+lead+1 }),
		},
	} {
		if got := decide(sceneOf(row.given...)); got != row.want {
			t.Errorf("%s:\n got %+v\nwant %+v", row.sentence, got, row.want)
		}
	}
}

// named is one value of a part of a scene.
type named struct {
	name  string
	given given
}

// Whatever comes together: what stands higher wins, and what a decision says of itself agrees.
func TestDecideInEveryCombination(t *testing.T) {
	parts := [][]named{
		{{"", func(*scene) {}}, {"open", storeOpen}, {"open time over", openIsOver}, {"half-open", fleetHalfOpen}},
		{{"", func(*scene) {}}, {"forced open", forcedOpen}, {"forced closed", forcedClosed}},
		{{"", func(*scene) {}}, {"dry run", dryRun}},
		{{"", func(*scene) {}}, {"own verdict", away(OwnVerdict)}, {"admit all", away(AdmitAll)}, {"reject all", away(RejectAll)}},
		{{"", func(*scene) {}}, {"local open", ownOpen}, {"local open over", ownOpenOver}, {"local half-open", localHalfOpen}},
	}
	combine(parts, "", nil, func(name string, changes []given) {
		s := sceneOf(changes...)
		d := decide(s)
		var want Refusal
		switch observe := s.policy.Observe; {
		case s.fleet.mode == ForcedOpen:
			want = RefusedForced
		case s.fleet.mode == ForcedClosed, observe:
		case s.fleet.waits:
			want = RefusedOpen
		case !s.live && s.storeDown == RejectAll:
			want = RefusedStoreDown
		case !s.live && s.storeDown == AdmitAll:
		case s.local.refuses && s.local.state == Open && s.local.retryAt > t0:
			want = RefusedOpen
		}
		if d.refuse != want {
			t.Errorf("%s: refused as %q, want %q", name, d.refuse, want)
		}
		needs := d.fleetLease || d.localLease
		for what, wrong := range map[string]bool{
			"it refuses, and is not of that kind":         (d.refuse != "") != (d.kind == refuses),
			"it refuses in a state that admits":           d.refuse != "" && d.state != Open,
			"it admits all in a state that refuses":       d.kind == plain && d.state != Closed,
			"a probe is needed, and nobody asks for it":   needs && d.kind != asks,
			"a forced mode needs leases":                  needs && d.mode != store.Auto,
			"the fleet's lease is needed while away":      d.fleetLease && !s.live,
			"a dry run needs the local lease":             d.localLease && s.policy.Observe,
			"an operator's verdict is not the fleet's":    d.mode != store.Auto && d.verdict != Fleet,
			"the fleet's verdict rules while away":        d.mode == store.Auto && !s.live && d.verdict != Own,
			"it ends before it begins":                    d.until != 0 && d.until <= t0,
			"a dry run's probe is refused, or no dry run": needs && d.dryRun != s.policy.Observe,
		} {
			if wrong {
				t.Errorf("%s: %s: %+v", name, what, d)
			}
		}
	})
}

// combine calls f with every choice of one value for each part.
func combine(parts [][]named, name string, chosen []given, f func(string, []given)) {
	if len(parts) == 0 {
		f(name, chosen)
		return
	}
	for _, value := range parts[0] {
		combine(parts[1:], fmt.Sprintf("%s[%s]", name, value.name), append(chosen[:len(chosen):len(chosen)], value.given), f)
	}
}

func TestTheRampGrowsFromAFewCallsToAll(t *testing.T) {
	r := refusing{rampFrom: t0, rampOver: time.Minute}
	const draws = 10_000
	before := 0
	for _, at := range []time.Duration{t0, t0 + 15*time.Second, t0 + 30*time.Second, t0 + 45*time.Second, t0 + time.Minute} {
		admitted := 0
		for range draws {
			if r.lets(at) {
				admitted++
			}
		}
		if admitted <= before {
			t.Errorf("%v after the start %d of %d calls are admitted; before it were %d", at-t0, admitted, draws, before)
		}
		before = admitted
		if at == t0 && admitted > draws/10 {
			t.Errorf("%d of %d calls are admitted at the start; want about one in 64", admitted, draws)
		}
	}
	if before != draws {
		t.Errorf("%d of %d calls are admitted at the end; want all", before, draws)
	}
}

// bare is a coordinator without Manager, store or lane, of a breaker whose policy is p.
func bare(p Policy) *coordinator {
	host := &core{remote: true, replica: "web-1", timing: Timing{}.WithDefaults(), salt: 1}
	return &newBreaker("tier", host, &config{policy: p, audience: &audience{replica: "web-1"}}).coordinator
}

func TestAnAdmissionIsPublishedOnlyIfItIsAnotherOne(t *testing.T) {
	c := bare(Policy{})
	r := &c.rooms
	r.epoch = r.epoch.next(c, 0, 0, true)
	published := func(d decision) *admission {
		r.publish(&d)
		return c.admission.Load()
	}
	first := published(refusedByFleet)
	if first.refusal == nil || first.refusal.err.Refusal != RefusedOpen || first.refusal.err.until != soon || first.refusal.calls != c.refused.of(RefusedOpen) {
		t.Fatalf("a refusal is published as %+v", first)
	}
	if published(refusedByFleet) != first {
		t.Error("the same decision is published again")
	}
	r.epoch = r.epoch.next(c, 1, 0, true)
	second := published(refusedByFleet)
	if second == first || second.epoch != r.epoch {
		t.Error("another epoch is not published")
	}
	if second.refusal != first.refusal {
		t.Error("calls get another error value although the refusal is the same")
	}
	leased := published(decision{kind: asks, state: HalfOpen, live: true, fleetLease: true})
	if leased.probes == nil || leased.refusal != nil {
		t.Errorf("a decision that needs leases is published as %+v", leased)
	}
	admitted := published(decision{live: true})
	if admitted.probes != nil || admitted.refusal != nil {
		t.Errorf("a plain decision is published as %+v", admitted)
	}
	if again := published(decision{kind: asks, state: HalfOpen, live: true, fleetLease: true}); again.probes != leased.probes {
		t.Error("a second round of probes has forgotten the first one's claims")
	}
	ramped := published(decision{kind: asks, live: true, rampFrom: t0, rampOver: 64 * time.Second})
	if r := ramped.refusal; r == nil || r.err.Refusal != RefusedRampUp || r.err.wait != time.Second || r.rampOver != 64*time.Second {
		t.Errorf("a ramp is published as %+v", r)
	}
}
