package breaker

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/store"
)

// joinedBreaker is a breaker without Manager or store: a coordinator in a lane, and what its listener hears. A test says what the
// store says.
type joinedBreaker struct {
	*coordinator
	lane  *testLane
	heard *listener
}

var fleetPolicy = Policy{ConsecutiveFailures: 3, OpenFor: 10 * time.Second, Reporters: 2}.WithDefaults()

// inFleet runs a test of a breaker to which a store has said that it is closed at generation 1, rev 1, in virtual time.
func inFleet(t *testing.T, f func(t *testing.T, b *joinedBreaker)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &joinedBreaker{bare(fleetPolicy), laneOf(0), &listener{running: true}}
		b.rooms.delivery.audience.listeners = []*listener{b.heard}
		defer b.lane.close()
		m := &member{lane: b.lane.lane, breaker: b.coordinator}
		b.lane.join(m)
		b.begin(m, 0)
		b.answers(t, 1, 1, nil)
		b.awake()
		f(t, b)
		b.detached.Store(true) // ends the timer
		b.redecide()
		if b.rooms.timer != nil {
			b.rooms.timer.Stop()
		}
	})
}

// answers lets the store answer a request that is sent now.
func (b *joinedBreaker) answers(t *testing.T, generation, rev uint64, made *store.Transition, changes ...func(*store.Snapshot)) {
	t.Helper()
	r := b.newReply()
	r.news = news{transition: made, after: told(generation, rev, changes...)}
	r.news.after.Policy = fleetPolicy
	b.lane.exchanged(r.sent, nil)
	if err := b.take(&r); err != nil {
		t.Fatal(err)
	}
}

// fails lets a request of the breaker's own fail, while the lane's others are answered.
func (b *joinedBreaker) fails() {
	r := b.newReply()
	r.err = errAway
	b.lane.exchanged(r.sent, nil)
	_ = b.take(&r)
}

// sees records failures of the present epoch.
func (b *joinedBreaker) sees(failures int) {
	for range failures {
		b.record(b.admission.Load().epoch, ending{outcome: Failure}, true)
	}
}

func TestListenersHearInTheOrderOfTheSteps(t *testing.T) {
	inFleet(t, func(t *testing.T, b *joinedBreaker) {
		b.fails()
		b.sees(3)
		for range 4 {
			time.Sleep(time.Second)
			b.fails()
		}
		b.answers(t, 2, 1, moves(2, 1), openFor(10*time.Second))
		want := []EventKind{OwnTripped, StoreLost, StoreBack, OwnClosed, Transitioned}
		if got := b.heard.kinds(); !slices.Equal(got, want) {
			t.Errorf("heard were %v, want %v", got, want)
		}
	})
}

func TestAReportIsSentAtOnceWhenTheLocalBreakerOpens(t *testing.T) {
	inFleet(t, func(t *testing.T, b *joinedBreaker) {
		w := b.lane.planned()
		b.lane.answer(w)
		b.sees(2)
		if b.member.due <= uptime() {
			t.Fatal("two failures do not wait for the flush")
		}
		b.sees(1)
		if !b.member.wantSync || b.member.due > uptime() {
			t.Error("the third, which opens it, waits")
		}
	})
}

func TestAnEpochEndsWhenAGenerationMoves(t *testing.T) {
	inFleet(t, func(t *testing.T, b *joinedBreaker) {
		old := b.admission.Load().epoch
		countSuccess(old)
		b.answers(t, 2, 1, moves(2, 1), openFor(time.Second))
		next := b.admission.Load().epoch
		if next == old || next.generation != 2 || !old.over() || next.over() {
			t.Fatalf("the epoch of generation %d goes on", old.generation)
		}
		countSuccess(old) // a call that began before
		countSuccess(next)
		want := []run{{generation: 1, count: 2, outcome: Success}}
		got := b.rooms.outbox.waiting()
		for i := range got {
			got[i].at, got[i].since = instant{}, 0
		}
		if !slices.Equal(got, want) {
			t.Errorf("%+v wait, want %+v: late ones in their own generation, and what the present one has not yet collected", got, want)
		}
	})
}

func TestAnEpochEndsWhenTheLocalBreakerMoves(t *testing.T) {
	inFleet(t, func(t *testing.T, b *joinedBreaker) {
		old := b.admission.Load().epoch
		b.sees(3)
		if next := b.admission.Load().epoch; next == old || next.generation != 1 || next.local != b.rooms.local.number() || !old.over() {
			t.Error("the epoch goes on")
		}
		before := b.rooms.local.view()
		b.record(old, ending{outcome: Failure}, true)
		if b.rooms.local.view() != before {
			t.Error("a late failure counts for the local breaker")
		}
	})
}

func TestAnEpochGoesOnWhileNothingMoves(t *testing.T) {
	inFleet(t, func(t *testing.T, b *joinedBreaker) {
		old := b.admission.Load()
		b.answers(t, 1, 1, nil)
		b.redecide()
		if b.admission.Load() != old {
			t.Error("an answer without news makes another admission")
		}
		b.answers(t, 1, 2, nil, inMode(ForcedClosed, 0))
		if a := b.admission.Load(); a == old || a.epoch != old.epoch {
			t.Error("a mode makes no other admission, or another epoch")
		}
	})
}

func TestTheLocalBreakerTakesOverOnceTheOpenTimeIsOverWithoutAStore(t *testing.T) {
	inFleet(t, func(t *testing.T, b *joinedBreaker) {
		b.answers(t, 2, 1, moves(2, 1), openFor(5*time.Second))
		time.Sleep(4 * time.Second) // the lane is lost after three
		b.redecide()
		if a := b.admission.Load(); a.verdict != Own || a.kind != refuses || a.localLease {
			t.Fatalf("before the end of the open time it is %+v", a.standing)
		}
		time.Sleep(2 * time.Second) // the timer has it decide again
		if a := b.admission.Load(); !a.localLease || a.fleetLease || a.verdict != Own || a.state != Open {
			t.Fatalf("after it, it is %+v; want one that needs the local breaker's lease", a.standing)
		}
		if got := b.heard.kinds(); !slices.Equal(got, []EventKind{Transitioned, OwnTripped}) {
			t.Errorf("heard were %v", got)
		}
		b.answers(t, 3, 1, moves(3, 1), func(s *store.Snapshot) { s.State = HalfOpen })
		if a := b.admission.Load(); a.localLease || !a.fleetLease || a.state != HalfOpen {
			t.Errorf("once the store is back and has moved it is %+v", a.standing)
		}
	})
}

func TestALocalBreakerWhoseProbesHaveEndedAnOpeningDoesNotTakeItOverAgain(t *testing.T) {
	inFleet(t, func(t *testing.T, b *joinedBreaker) {
		b.answers(t, 2, 1, moves(2, 1), openFor(time.Second))
		time.Sleep(4 * time.Second)
		b.redecide()
		for b.admission.Load().localLease {
			l, refusal := b.claimLocal()
			if l == nil {
				t.Fatal(refusal)
			}
			b.settleLocal(l, ending{outcome: Success})
		}
		time.Sleep(time.Minute)
		b.redecide()
		if a := b.admission.Load(); a.kind != plain || a.state != Closed || a.verdict != Own {
			t.Errorf("after its own probes it is %+v", a.standing)
		}
	})
}

func TestAStateThatTheStoreBeganAgainIsAGap(t *testing.T) {
	inFleet(t, func(t *testing.T, b *joinedBreaker) {
		if b.hasGap() {
			t.Fatal("there is a gap before")
		}
		b.answers(t, 1, 1, nil, func(s *store.Snapshot) { s.Since = s.Since.Add(time.Second) })
		if !b.hasGap() {
			t.Error("the store has lost the state and was told of it: nobody asks for that transition")
		}
	})
}

func TestADecisionThatEndsIsMadeAgainByItself(t *testing.T) {
	inFleet(t, func(t *testing.T, b *joinedBreaker) {
		b.answers(t, 1, 2, nil, inMode(ForcedOpen, time.Second))
		if a := b.admission.Load(); a.refusal == nil || a.refusal.err.Refusal != RefusedForced {
			t.Fatalf("it is %+v", a.standing)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if a := b.admission.Load(); a.refusal != nil || !a.fleetLease {
			t.Errorf("after the end of the mode it is %+v", a.standing)
		}
		if !b.member.wantSync {
			t.Error("the store is not asked, although no store has said that the mode has ended")
		}
	})
}

func TestNoOutcomeIsJudgedUnderAnOperatorsMode(t *testing.T) {
	inFleet(t, func(t *testing.T, b *joinedBreaker) {
		b.answers(t, 1, 2, nil, inMode(ForcedClosed, 0))
		b.sees(100)
		if b.rooms.local.view().refuses || b.rooms.outbox.pending() != 100 {
			t.Errorf("the local breaker is %+v, and %d outcomes wait to be reported", b.rooms.local.view(), b.rooms.outbox.pending())
		}
	})
}

func TestMoreSuccessesThanARunHoldsAreSeveralRuns(t *testing.T) {
	inFleet(t, func(t *testing.T, b *joinedBreaker) {
		e := b.admission.Load().epoch
		e.successes.n.Store(2*store.MaxCount + 5)
		b.collectNow()
		if got := counts(b.rooms.outbox.waiting()); !slices.Equal(got, []int{store.MaxCount, store.MaxCount, 5}) {
			t.Errorf("runs of %v wait", got)
		}
	})
}

func TestADetachedBreakerRulesItself(t *testing.T) {
	inFleet(t, func(t *testing.T, b *joinedBreaker) {
		b.core.storeDown = RejectAll
		b.sees(2)
		b.drain()
		b.sees(1) // comes too late to be reported, and opens the local breaker
		if a := b.admission.Load(); a.kind != refuses || a.verdict != Own {
			t.Fatalf("it is %+v", a.standing)
		}
		if _, left := b.detach(); left != 2 {
			t.Errorf("%d outcomes are left, want 2", left)
		}
		a := b.admission.Load()
		if a.verdict != Own || a.refusal == nil || a.refusal.err.Refusal != RefusedOpen || !b.detached.Load() {
			t.Errorf("detached it is %+v; want its own verdict, whatever rules while a store is away", a.standing)
		}
		if err := b.sync(context.Background()); err == nil {
			t.Error("it can be synced")
		}
	})
}
