package breaker

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/commontrip/commontrip/store"
)

// localAt is what a local breaker knows of its surroundings at a time at which an opening counts.
func localAt(up time.Duration, p *Policy) *localScene {
	return &localScene{name: "tier", replica: "web-1", at: up, policy: p, fleet: 7, counts: true}
}

func localPolicy() *Policy {
	p := Policy{ConsecutiveFailures: 3, OpenFor: 10 * time.Second, OpenForMax: time.Minute, ProbeSuccesses: 2, Reporters: 2}.WithDefaults()
	return &p
}

func failed(n int) store.Run    { return store.Run{Outcome: Failure, Count: n} }
func succeeded(n int) store.Run { return store.Run{Outcome: Success, Count: n} }

// tripped is a local breaker that failures have opened at t0.
func tripped(t *testing.T) (*localBreaker, *Policy) {
	t.Helper()
	l, p := &localBreaker{}, localPolicy()
	move := l.observe(localAt(t0, p), 0, failed(3))
	if !move.moved || !move.opened || move.event == nil || move.event.Kind != OwnTripped {
		t.Fatalf("after three failures in a row the move is %+v", move)
	}
	return l, p
}

func TestTheLocalBreakerOpensOnOneReplicasFailures(t *testing.T) {
	l, p := &localBreaker{}, localPolicy()
	if move := l.observe(localAt(t0, p), 0, failed(2), succeeded(1), failed(2)); move != (localMove{}) || l.view().refuses {
		t.Fatalf("after two failures in a row the move is %+v", move)
	}
	if l.observe(localAt(t0, p), 1, failed(3)).moved {
		t.Fatal("outcomes of another generation count")
	}
	move := l.observe(localAt(t0, p), 0, failed(1))
	view := l.view()
	if !move.moved || move.event.Kind != OwnTripped || move.event.Transition.Reason != ByConsecutiveFailures || move.event.Transition.Cause != "web-1" {
		t.Fatalf("after the third failure the move is %+v", move)
	}
	if !view.refuses || view.state != Open || view.reason != ByConsecutiveFailures || l.number() == 0 {
		t.Errorf("it is %+v", view)
	}
	if wait := view.retryAt - t0; wait < p.OpenFor || wait > p.OpenFor*3/2 {
		t.Errorf("it stays open for %v; want OpenFor and up to half of it more", wait)
	}
}

func TestAnOpeningThatDoesNotCountIsUndone(t *testing.T) {
	l, p := &localBreaker{}, localPolicy()
	s := localAt(t0, p)
	s.counts = false
	move := l.observe(s, 0, failed(3))
	if !move.moved || !move.opened || move.event != nil {
		t.Fatalf("the move is %+v; want one that the reporter hears of, and listeners do not", move)
	}
	if again := l.observe(s, l.number(), failed(3)); !again.moved || again.opened {
		t.Fatalf("a moment later the next move is %+v; want one that the reporter does not hear of", again)
	}
	if l.view().refuses || l.view().state != Closed {
		t.Fatalf("it is %+v, want closed", l.view())
	}
	s.counts = true
	if move = l.observe(s, l.number(), failed(3)); !move.opened || move.event == nil || !l.view().refuses {
		t.Errorf("after the next failures the move is %+v", move)
	}
}

func TestALocalBreakerThatSawNothingIsClosed(t *testing.T) {
	var none *localBreaker
	if none.view() != (localView{}) || none.number() != 0 || none.reset(localAt(t0, localPolicy())) != (localMove{}) || !none.mayTakeOver(7) {
		t.Error("a local breaker that saw nothing is not closed")
	}
	if leased, refusal, move := none.claim(localAt(t0, localPolicy()), "1"); leased != nil || refusal != nil || move != (localMove{}) {
		t.Error("a local breaker that saw nothing leases probes")
	}
}

// take gives a lease at a time, and fails without one.
func take(t *testing.T, l *localBreaker, s *localScene, id string) *lease {
	t.Helper()
	leased, refusal, _ := l.claim(s, id)
	if leased == nil {
		t.Fatalf("no lease at %v but %v", s.at-t0, refusal)
	}
	return leased
}

func TestItsOwnProbesCloseTheLocalBreaker(t *testing.T) {
	l, p := tripped(t)
	over := localAt(l.view().retryAt, p)
	first := take(t, l, over, "1")
	if l.view().state != HalfOpen || first.ends != over.at+usable(first.For) {
		t.Fatalf("the claim made it %v, and the lease ends at %v", l.view().state, first.ends-over.at)
	}
	if move := l.settle(over, first, ending{outcome: Success}); move.moved {
		t.Fatalf("after one probe of two the move is %+v", move)
	}
	move := l.settle(over, take(t, l, over, "2"), ending{outcome: Success})
	if !move.moved || move.opened || move.event == nil || move.event.Kind != OwnClosed {
		t.Fatalf("after the second probe the move is %+v", move)
	}
	if view := l.view(); view.refuses || view.state != Closed || view.closedAt != over.at {
		t.Errorf("it is %+v", view)
	}
	if l.mayTakeOver(7) || !l.mayTakeOver(8) {
		t.Error("it may take over the opening that its probes have ended, or it may not take over another one")
	}
}

func TestAFailedProbeOpensTheLocalBreakerAgain(t *testing.T) {
	l, p := tripped(t)
	over := localAt(l.view().retryAt, p)
	move := l.settle(over, take(t, l, over, "1"), ending{outcome: Failure})
	if !move.moved || !move.opened || move.event != nil || !l.view().refuses {
		t.Fatalf("after a failed probe the move is %+v; want no event, since listeners know that it is open", move)
	}
	if wait := l.view().retryAt - over.at; wait < 2*p.OpenFor {
		t.Errorf("it stays open for %v; want longer than the first time", wait)
	}
	if l.view().closedAt != 0 || l.mayTakeOver(7) {
		t.Errorf("it is %+v", l.view())
	}
}

func TestAReopeningCountsWhateverItsSurroundingsSay(t *testing.T) {
	l, p := tripped(t)
	over := localAt(l.view().retryAt, p)
	over.counts = false // the store is back: an own verdict ends by its own probes, or by the fleet's move
	if move := l.settle(over, take(t, l, over, "1"), ending{outcome: Failure}); !move.opened || !l.view().refuses {
		t.Errorf("after a failed probe the move is %+v", move)
	}
}

func TestACallIsToldWhenToAskAgainIfAllProbesAreOut(t *testing.T) {
	l, p := tripped(t)
	s := localAt(l.view().retryAt, p)
	var leases []*lease
	for l.pause == nil {
		leased, refusal, _ := l.claim(s, string(rune('a'+len(leases))))
		if leased == nil {
			if refusal == nil || refusal.Refusal != RefusedProbing || refusal.until <= s.at || len(leases) == 0 {
				t.Fatalf("after %d leases the refusal is %+v", len(leases), refusal)
			}
			break
		}
		leases = append(leases, leased)
	}
	_, first, _ := l.claim(s, "x")
	_, second, _ := l.claim(s, "y")
	if first == nil || first != second {
		t.Error("those who come meanwhile do not share one refusal: the machine was asked for each")
	}
	l.settle(s, leases[0], ending{outcome: Ignored})
	take(t, l, s, "z") // its place is free at once
}

func TestTheLocalBreakerBeginsAgainWhenTheFleetMoves(t *testing.T) {
	l, p := tripped(t)
	before := l.number()
	move := l.reset(localAt(t0+time.Second, p))
	if !move.moved || move.event == nil || move.event.Kind != OwnClosed || l.view().refuses || l.number() <= before {
		t.Fatalf("the move is %+v and the view %+v", move, l.view())
	}
	if l.view().closedAt != 0 || !l.mayTakeOver(7) {
		t.Error("it counts as closed by probes: a ramp would follow")
	}
	if leased, refusal, _ := l.claim(localAt(t0+time.Second, p), "1"); leased != nil || refusal != nil {
		t.Error("it leases probes although it is closed")
	}
}

func TestAMoveOfTheFleetForgetsWhatProbesHaveEnded(t *testing.T) {
	l, p := tripped(t)
	s := localAt(l.view().retryAt, p)
	for _, id := range []string{"1", "2"} {
		l.settle(s, take(t, l, s, id), ending{outcome: Success})
	}
	if l.view().closedAt == 0 || l.mayTakeOver(7) {
		t.Fatal("its probes did not close it")
	}
	l.reset(s)
	if l.view().closedAt != 0 || !l.mayTakeOver(7) {
		t.Errorf("after the fleet's move it is %+v, and may take over: %v", l.view(), l.mayTakeOver(7))
	}
}

func TestTheLocalBreakerTakesOverTheFleetsOpeningAndProbesAtOnce(t *testing.T) {
	l, p := &localBreaker{}, localPolicy()
	s := localAt(t0, p)
	move := l.takeOver(s, BySlowCallRate)
	if !move.moved || !move.opened || move.event == nil || move.event.Kind != OwnTripped {
		t.Fatalf("the move is %+v", move)
	}
	if view := l.view(); !view.refuses || view.state != Open || view.reason != BySlowCallRate || view.retryAt != t0 {
		t.Errorf("it is %+v; want open for the fleet's reason, with its time over", view)
	}
	if l.mayTakeOver(7) {
		t.Error("it may take over twice")
	}
	for _, id := range []string{"1", "2"} {
		move = l.settle(s, take(t, l, s, id), ending{outcome: Success})
	}
	if move.event == nil || move.event.Kind != OwnClosed || l.mayTakeOver(7) {
		t.Errorf("after two probes the move is %+v, and it may take over: %v", move, l.mayTakeOver(7))
	}
}

func TestAPolicyThatChangesRulesTheLocalBreakerFromThenOn(t *testing.T) {
	l, p := &localBreaker{}, localPolicy()
	l.observe(localAt(t0, p), 0, failed(2))
	strict := Policy{ConsecutiveFailures: 1, OpenFor: time.Second}.WithDefaults()
	if move := l.observe(localAt(t0, &strict), 0, succeeded(1)); move.moved {
		t.Fatalf("after another policy the move is %+v", move)
	}
	if move := l.observe(localAt(t0, &strict), 0, failed(1)); !move.opened || l.view().retryAt > t0+2*time.Second {
		t.Errorf("after a failure the move is %+v, until %v", move, l.view().retryAt-t0)
	}
}

// Since this holds, rooms.update goes through its steps once.
func TestAPlainSuccessNeverMovesTheLocalBreaker(t *testing.T) {
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 4))
		l := &localBreaker{}
		given := []*Policy{localPolicy()}
		for range 3 {
			p := Policy{
				ConsecutiveFailures: rng.IntN(4), FailureRate: 0.5, MinCalls: 1 + rng.IntN(5), WindowCalls: 10, SlowCallRate: 0.5,
				SlowCallAfter: time.Second, OpenFor: time.Second, ProbeSuccesses: 1 + rng.IntN(2), ProbeLease: time.Second,
			}.WithDefaults()
			given = append(given, &p)
		}
		s := localAt(t0, given[0])
		var leases []*lease
		for range 200 {
			s.at += time.Duration(rng.Int64N(int64(3 * time.Second)))
			s.counts, s.policy = rng.IntN(3) > 0, given[rng.IntN(len(given))]
			switch rng.IntN(6) {
			case 0, 1:
				l.observe(s, l.number(), store.Run{Outcome: Outcome(1 + rng.IntN(2)), Slow: rng.IntN(2) == 0, Count: 1 + rng.IntN(4)})
			case 2:
				if leased, _, _ := l.claim(s, string(rune(s.at))); leased != nil {
					leases = append(leases, leased)
				}
			case 3:
				if len(leases) > 0 {
					l.settle(s, leases[0], ending{outcome: Outcome(1 + rng.IntN(2))})
					leases = leases[1:]
				}
			case 4:
				if rng.IntN(4) == 0 {
					l.reset(s)
				} else if l.mayTakeOver(7) {
					l.takeOver(s, ByFailureRate)
				}
			}
			before := l.view()
			if move := l.observe(s, l.number(), succeeded(1+rng.IntN(3))); move != (localMove{}) || l.view() != before {
				t.Fatalf("seed %d: a success moved it from %+v to %+v: %+v", seed, before, l.view(), move)
			}
		}
	}
}
