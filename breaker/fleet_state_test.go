package breaker

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/commontrip/commontrip/store"
)

var testPolicy = Policy{ConsecutiveFailures: 5, OpenFor: 10 * time.Second}.WithDefaults()

// unsynced is a fleet state that has heard of no store.
func unsynced() *fleetState {
	p := testPolicy
	return &fleetState{policy: &p}
}

// told is a snapshot of a closed breaker with these numbers, changed.
func told(generation, rev uint64, changes ...func(*store.Snapshot)) *store.Snapshot {
	s := &store.Snapshot{Name: "tier", Generation: generation, Rev: rev, Policy: testPolicy, Since: time.UnixMilli(int64(generation))}
	for _, change := range changes {
		change(s)
	}
	return s
}

func openFor(d time.Duration) func(*store.Snapshot) {
	return func(s *store.Snapshot) { s.State, s.Reason, s.RetryIn = Open, ByFailureRate, d }
}

func inMode(m Mode, endsIn time.Duration) func(*store.Snapshot) {
	return func(s *store.Snapshot) {
		s.Mode, s.ModeNote = m, store.Note{By: "ops", Timed: endsIn != 0, EndsIn: endsIn}
	}
}

func retuned(p Policy, endsIn time.Duration) func(*store.Snapshot) {
	return func(s *store.Snapshot) {
		s.Policy, s.Retuned = p.WithDefaults(), true
		s.PolicyNote = store.Note{By: "ops", Timed: endsIn != 0, EndsIn: endsIn}
	}
}

// takes applies a snapshot.
func (f *fleetState) takes(s *store.Snapshot, request uint64, up time.Duration) fleetMove {
	return f.apply("tier", s, request, at(up), &core{remote: true})
}

func TestTheFirstSnapshotIsTakenWhateverItSays(t *testing.T) {
	f := unsynced()
	if f.synced() {
		t.Fatal("it is synced before a store has answered")
	}
	if moved := f.takes(told(0, 0), f.nextRequest(), t0); !f.synced() || moved.generation || moved.replaced {
		t.Errorf("synced %v; the move is %+v, want none: nothing was known before", f.synced(), moved)
	}
}

func TestEachPartIsReplacedByItsOwnNumberOnly(t *testing.T) {
	const first, second = 5, 6 // requests
	for name, row := range map[string]struct {
		snapshot  *store.Snapshot
		request   uint64
		state     State
		mode      Mode
		move      fleetMove
		untouched bool
	}{
		"a newer state with an older mode":         {told(11, 19, openFor(time.Second)), second, Open, ForcedClosed, fleetMove{generation: true}, false},
		"a newer mode with an older state":         {told(9, 21, openFor(time.Second)), second, Closed, Auto, fleetMove{}, false},
		"both newer":                               {told(11, 21, openFor(time.Second)), second, Open, Auto, fleetMove{generation: true}, false},
		"both older":                               {told(9, 19, openFor(time.Second)), second, Closed, ForcedClosed, fleetMove{}, true},
		"both older, although of no known request": {told(9, 19, openFor(time.Second)), 1000, Closed, ForcedClosed, fleetMove{}, true},
		"both newer, pushed":                       {told(11, 21, openFor(time.Second)), 0, Open, Auto, fleetMove{generation: true}, false},
		"equal numbers, of a later request":        {told(10, 20), second, Closed, Auto, fleetMove{}, false},
		"equal numbers, of the same request":       {told(10, 20), first, Closed, ForcedClosed, fleetMove{}, true},
		"equal numbers, of an earlier request":     {told(10, 20), first - 1, Closed, ForcedClosed, fleetMove{}, true},
		"equal numbers, pushed":                    {told(10, 20), 0, Closed, ForcedClosed, fleetMove{}, true},
		"the same generation from another time": {
			told(10, 20, func(s *store.Snapshot) { s.Since = time.UnixMilli(99) }), second, Closed, Auto, fleetMove{replaced: true}, false,
		},
	} {
		f := unsynced()
		f.takes(told(10, 20, inMode(ForcedClosed, 0)), first, t0)
		before := f.snapshot("tier")
		if move := f.takes(row.snapshot, row.request, t0+time.Second); move != row.move {
			t.Errorf("%s: the move is %+v, want %+v", name, move, row.move)
		}
		after := f.snapshot("tier")
		if after.State != row.state || after.Mode != row.mode {
			t.Errorf("%s: the fleet is %v and %v, want %v and %v", name, after.State, after.Mode, row.state, row.mode)
		}
		if f.generation != max(10, row.snapshot.Generation) || f.rev != max(20, row.snapshot.Rev) {
			t.Errorf("%s: the numbers are %d and %d", name, f.generation, f.rev)
		}
		if same := after.Generation == before.Generation && after.Rev == before.Rev && f.stateAt.up == t0 && f.modeAt.up == t0; row.untouched && !same {
			t.Errorf("%s: it was taken", name)
		}
	}
}

// Whatever comes in whatever order, each part is that of the greatest number that came.
func TestNumbersOnlyGrow(t *testing.T) {
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 2))
		f := unsynced()
		var generation, rev uint64
		states, modes := map[uint64]State{}, map[uint64]Mode{}
		for i := range 100 {
			s := told(1+rng.Uint64N(20), 1+rng.Uint64N(20))
			if _, known := states[s.Generation]; !known { // a generation has one state, and a rev one mode
				states[s.Generation] = State(rng.IntN(3))
			}
			if _, known := modes[s.Rev]; !known {
				modes[s.Rev] = Mode(rng.IntN(3))
			}
			s.State, s.Mode = states[s.Generation], modes[s.Rev]
			request := f.nextRequest()
			if rng.IntN(2) == 0 {
				request = 0
			}
			move := f.takes(s, request, t0+time.Duration(i)*time.Second)
			if moved := i > 0 && s.Generation > generation; move.generation != moved {
				t.Fatalf("seed %d: from generation %d to %d the move is %+v", seed, generation, s.Generation, move)
			}
			generation, rev = max(generation, s.Generation), max(rev, s.Rev)
			got := f.snapshot("tier")
			if f.generation != generation || f.rev != rev || got.Generation != generation || got.Rev != rev {
				t.Fatalf("seed %d: the numbers are %d and %d, want %d and %d", seed, f.generation, f.rev, generation, rev)
			}
			if got.State != states[generation] || got.Mode != modes[rev] {
				t.Fatalf("seed %d: %v and %v are not those of generation %d and rev %d", seed, got.State, got.Mode, generation, rev)
			}
		}
	}
}

func TestALocalStoreThatSaysNothingSpecialIsNotKept(t *testing.T) {
	f := unsynced()
	local := &core{}
	f.apply("tier", told(1, 1, openFor(time.Second)), 1, at(t0), local)
	if f.held == nil || f.snapshot("tier").State != Open {
		t.Fatal("an open state is not kept")
	}
	f.apply("tier", told(2, 1), 2, at(t0), local)
	if f.held != nil || f.snapshot("tier").Generation != 2 {
		t.Error("a closed state is kept, or its number is not")
	}
	f.takes(told(3, 1), 3, t0)
	if f.held == nil {
		t.Error("of a remote store it is not kept")
	}
}

func TestWhatTheFleetStateMeansAtATime(t *testing.T) {
	observing := testPolicy
	observing.Observe = true
	for name, row := range map[string]struct {
		snapshot *store.Snapshot
		after    time.Duration
		want     fleetNow
	}{
		"closed": {told(1, 1), 0, fleetNow{}},
		"open":   {told(1, 1, openFor(time.Second)), 999 * time.Millisecond, fleetNow{state: Open, waits: true, retryAt: t0 + time.Second, reason: ByFailureRate}},
		"open, and its time is over": {
			told(1, 1, openFor(time.Second)), time.Second, fleetNow{state: Open, retryAt: t0 + time.Second, reason: ByFailureRate},
		},
		"half-open":              {told(1, 1, func(s *store.Snapshot) { s.State = HalfOpen }), 0, fleetNow{state: HalfOpen}},
		"forced open, not timed": {told(1, 1, inMode(ForcedOpen, 0)), time.Hour, fleetNow{mode: ForcedOpen}},
		"forced open, timed":     {told(1, 1, inMode(ForcedOpen, time.Second)), time.Second - 1, fleetNow{mode: ForcedOpen, modeEnds: t0 + time.Second}},
		"forced open is over":    {told(1, 1, inMode(ForcedOpen, time.Second)), time.Second, fleetNow{state: HalfOpen}},
		"forced closed is over":  {told(1, 1, openFor(time.Second), inMode(ForcedClosed, time.Second)), time.Second, fleetNow{state: Closed, reason: ByFailureRate}},
		"forced closed is over, and it is open below for longer": {
			told(1, 1, openFor(time.Hour), inMode(ForcedClosed, time.Second)), time.Second,
			fleetNow{state: Open, waits: true, retryAt: t0 + time.Hour, reason: ByFailureRate},
		},
		"a timed policy":          {told(1, 1, retuned(observing, time.Second)), time.Second - 1, fleetNow{policyEnds: t0 + time.Second}},
		"a timed policy is over":  {told(1, 1, retuned(observing, time.Second)), time.Second, fleetNow{}},
		"a policy until restored": {told(1, 1, retuned(observing, 0)), 0, fleetNow{}},
		"closed by probes a while ago": {
			told(1, 1, func(s *store.Snapshot) { s.Reason, s.Age = ByProbeSuccesses, time.Minute }), 0,
			fleetNow{reason: ByProbeSuccesses, closedAt: t0 - time.Minute},
		},
		"closed by probes before this replica began": {
			told(1, 1, func(s *store.Snapshot) { s.Reason, s.Age = ByProbeSuccesses, 2*t0 }), 0, fleetNow{reason: ByProbeSuccesses, closedAt: 1},
		},
	} {
		f := unsynced()
		f.takes(row.snapshot, 1, t0)
		if got := f.at(t0+row.after, 0); got != row.want {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, row.want)
		}
	}
	if got := unsynced().at(t0, 1); got != (fleetNow{}) {
		t.Errorf("before a store has answered it is %+v, want closed", got)
	}
}

func TestReplicasWaitALittleLongerThanTheOpenTimeEachItsOwn(t *testing.T) {
	ends := map[time.Duration]bool{}
	for salt := range uint64(100) {
		f := unsynced()
		f.takes(told(7, 1, openFor(10*time.Second)), 1, t0)
		end := f.at(t0, salt).retryAt - (t0 + 10*time.Second)
		if end < 0 || end > 50*time.Millisecond || salt == 0 && end != 0 {
			t.Errorf("with salt %d it waits %v longer", salt, end)
		}
		if again := f.at(t0+time.Second, salt).retryAt - (t0 + 10*time.Second); again != end {
			t.Errorf("with salt %d it waits %v longer, and a second later %v", salt, end, again)
		}
		ends[end] = true
	}
	if len(ends) < 50 {
		t.Errorf("100 replicas have %d different ends", len(ends))
	}
	f := unsynced()
	f.takes(told(7, 1, openFor(10*time.Millisecond)), 1, t0)
	if end := f.at(t0, 12345).retryAt - (t0 + 10*time.Millisecond); end > time.Millisecond {
		t.Errorf("of 10 ms it waits %v longer; want a tenth at most", end)
	}
}

func TestATimedCommandIsOverdueOnceItHasEnded(t *testing.T) {
	for name, row := range map[string]struct {
		snapshot *store.Snapshot
		overdue  bool
	}{
		"no command":              {told(1, 1), false},
		"a mode until lifted":     {told(1, 1, inMode(ForcedOpen, 0)), false},
		"a mode with time left":   {told(1, 1, inMode(ForcedOpen, time.Second+1)), false},
		"a mode that has ended":   {told(1, 1, inMode(ForcedOpen, time.Second)), true},
		"a policy until restored": {told(1, 1, retuned(testPolicy, 0)), false},
		"a policy with time left": {told(1, 1, retuned(testPolicy, time.Second+1)), false},
		"a policy that has ended": {told(1, 1, retuned(testPolicy, time.Second)), true},
	} {
		f := unsynced()
		f.takes(row.snapshot, 1, t0)
		if f.overdue(t0+time.Second) != row.overdue {
			t.Errorf("%s: overdue is %v", name, !row.overdue)
		}
	}
	if unsynced().overdue(t0) {
		t.Error("before a store has answered something is overdue")
	}
}

func TestWhatIsKnownIsLessTheTimeItWasHeld(t *testing.T) {
	f := unsynced()
	if got := f.known(at(t0)); got != (store.Known{}) {
		t.Errorf("before a store has answered %+v is known", got)
	}
	f.takes(told(4, 5, openFor(time.Minute), inMode(ForcedClosed, time.Minute), retuned(testPolicy, time.Minute), func(s *store.Snapshot) {
		s.Cause, s.Openings = "web-2", 3
	}), 1, t0)
	f.takes(told(3, 6, inMode(ForcedOpen, time.Minute), retuned(testPolicy, time.Hour)), 2, t0+10*time.Second)
	k := f.known(at(t0 + 30*time.Second))
	want := store.Known{
		Generation: 4, Rev: 6, State: Open, Reason: ByFailureRate, Cause: "web-2", Openings: 3, RetryIn: 30 * time.Second,
		Mode: ForcedOpen, ModeNote: store.Note{By: "ops", Timed: true, EndsIn: 40 * time.Second},
		Retuned: true, Policy: testPolicy, PolicyNote: store.Note{By: "ops", Timed: true, EndsIn: time.Hour - 20*time.Second},
	}
	if k != want {
		t.Errorf("what is known is\n%+v, want\n%+v", k, want)
	}
	k = f.known(instant{t0 + 30*time.Second, t0 + 2*time.Hour}) // the machine slept: monotonic time stood still
	if k.RetryIn != 0 || k.ModeNote.EndsIn != 0 || k.PolicyNote.EndsIn != 0 {
		t.Errorf("after a long sleep %+v is left", k)
	}
}

func TestAPolicyIsSharedByThoseWhoHaveIt(t *testing.T) {
	var p policyCopies
	first, other := p.shared(testPolicy), p.shared(Policy{FailureRate: 1})
	if p.shared(testPolicy) != first || other == first || *first != testPolicy {
		t.Error("equal policies are two, or different ones are one")
	}
	for i := range sharedPolicies {
		p.shared(Policy{WindowCalls: i})
	}
	if len(p.kept) > sharedPolicies {
		t.Errorf("%d policies are kept, want %d at most", len(p.kept), sharedPolicies)
	}
}

func TestASnapshotThatCannotBeThisBreakersIsRefused(t *testing.T) {
	for name, change := range map[string]func(*store.Snapshot){
		"of another breaker":          func(s *store.Snapshot) { s.Name = "other" },
		"with a state of no kind":     func(s *store.Snapshot) { s.State = HalfOpen + 1 },
		"with a mode of no kind":      func(s *store.Snapshot) { s.Mode = ForcedClosed + 1 },
		"with too great a number":     func(s *store.Snapshot) { s.Generation = store.MaxNumber + 1 },
		"with too great a rev":        func(s *store.Snapshot) { s.Rev = store.MaxNumber + 1 },
		"of a breaker without a name": func(s *store.Snapshot) { s.Name = "" },
	} {
		if s := told(1, 1, change); unsynced().sanitize("tier", s) {
			t.Errorf("one %s is taken", name)
		}
	}
	s := told(store.MaxNumber, store.MaxNumber, openFor(time.Second), inMode(ForcedOpen, time.Second), retuned(Policy{FailureRate: 0.5}, time.Second))
	before := *s
	if !unsynced().sanitize("tier", s) || s.RetryIn != before.RetryIn || s.Policy != before.Policy || s.ModeNote != before.ModeNote || s.PolicyNote != before.PolicyNote || s.Reason != before.Reason {
		t.Errorf("a sound snapshot is refused or changed: %+v", s)
	}
}

// Whatever a store answers: what is taken over is within bounds, so that what this replica then sends is a request that every
// store takes.
func FuzzWhatASnapshotSaysMakesNoRequestInvalid(f *testing.F) {
	f.Add("tier", uint8(1), uint8(1), uint64(1), uint64(2), int64(time.Second), 3, "failure-rate", "web-1", true, int64(time.Second), "ops", "deploy", 0.5, 5)
	f.Add("tier", uint8(2), uint8(2), uint64(1)<<53, uint64(2), int64(-1), -1, "a\nb", "\xff", true, int64(-1), "", "\x00", -1.0, -5)
	f.Add("tier", uint8(0), uint8(0), uint64(1), uint64(2), int64(time.Hour), 0, "", "one\ntwo", false, int64(0), "", "", 0.5, 0)
	f.Add("tier", uint8(1), uint8(1), uint64(1)<<53-1, uint64(0), int64(1)<<62, math.MaxInt, "", "", true, int64(1)<<62, "", "", 0.0, 0)
	f.Fuzz(func(t *testing.T, name string, state, mode uint8, generation, rev uint64, retryIn int64, openings int, reason, cause string,
		retuned bool, endsIn int64, by, why string, rate float64, streak int,
	) {
		note := store.Note{By: by, Why: why, Timed: retuned, EndsIn: time.Duration(endsIn)}
		s := &store.Snapshot{
			Name: name, State: State(state), Mode: Mode(mode), Generation: generation, Rev: rev, RetryIn: time.Duration(retryIn),
			Age: time.Duration(-retryIn), Openings: openings, Reason: Reason(reason), Cause: cause, ModeNote: note, PolicyNote: note,
			Retuned: retuned, Policy: Policy{FailureRate: rate, ConsecutiveFailures: streak, OpenFor: time.Duration(endsIn)},
		}
		fleet := unsynced()
		if !fleet.sanitize("tier", s) {
			return
		}
		fleet.takes(s, fleet.nextRequest(), t0)
		if err := fleet.policy.Validate(); err != nil || !fleet.policy.HasRule() {
			t.Fatalf("the policy %+v is in force: %v", *fleet.policy, err)
		}
		report := store.Report{
			Name: "tier", Policy: testPolicy, Replica: "web-1", Seq: 1, MaxAge: time.Second, Known: fleet.known(at(t0 + time.Second)),
		}
		if _, err := report.Normalize(); err != nil {
			t.Fatalf("of %+v came a report that no store takes: %v", s, err)
		}
		if held := fleet.held; held.Cause != "" && store.ValidateName(held.Cause) != nil || held.Age < 0 || held.RetryIn < 0 || held.Openings < 0 {
			t.Fatalf("of %+v is kept %+v", s, held)
		}
		now := fleet.at(t0, 1)
		for _, end := range []time.Duration{now.retryAt, now.modeEnds, now.policyEnds} {
			if end < 0 || end > t0+store.MaxFor+time.Second {
				t.Fatalf("of %+v came the time %v", s, end)
			}
		}
		if now.closedAt < 0 || now.closedAt > t0 {
			t.Fatalf("of %+v it was closed at %v", s, now.closedAt)
		}
	})
}

func TestRequestsAreNumberedInTheirOrder(t *testing.T) {
	f := unsynced()
	got := []uint64{f.nextRequest(), f.nextRequest(), f.nextRequest()}
	if !slices.Equal(got, []uint64{1, 2, 3}) {
		t.Errorf("requests are numbered %v; 0 is a push's", got)
	}
}
