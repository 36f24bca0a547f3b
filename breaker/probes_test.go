package breaker

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

// asking is where the calls of a breaker without Manager, store or lane get their leases.
func asking() *probes { return &probes{c: bare(Policy{})} }

func TestOneClaimIsInFlightAtATime(t *testing.T) {
	p := asking()
	if !p.start(t0, time.Second) || p.start(t0+time.Second-1, time.Second) {
		t.Fatal("not one claim is in flight")
	}
	p.end()
	if !p.start(t0, time.Second) {
		t.Error("after its end no other one may start")
	}
	if !p.start(t0+time.Second, time.Second) {
		t.Error("a claim that is never answered keeps others out for good")
	}
}

func TestAClaimWithoutAnswerIsSentAgainUnderItsOwnID(t *testing.T) {
	p := asking()
	first := p.claimID()
	if p.claimID() != first {
		t.Error("it is another claim, so that two leases may be granted")
	}
	p.heard()
	if p.claimID() == first {
		t.Error("after an answer it is the same claim, so that no other lease is granted")
	}
}

func TestNobodyAsksDuringAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := asking()
		if p.paused(uptime()) != nil {
			t.Fatal("there is a pause before anybody asked")
		}
		p.pauseFor(time.Second)
		e := p.paused(uptime())
		if e == nil || e.Refusal != RefusedProbing || e.Name != "tier" || e.RetryAfter() != time.Second {
			t.Fatalf("calls get %+v", e)
		}
		time.Sleep(time.Second - 1)
		if p.paused(uptime()) != e {
			t.Error("the pause is over too early, or calls get another error")
		}
		time.Sleep(time.Nanosecond)
		if p.paused(uptime()) != nil {
			t.Error("the pause does not end")
		}
		p.pauseFor(time.Hour)
		p.endPause()
		if p.paused(uptime()) != nil {
			t.Error("the pause does not end when a place may be free")
		}
	})
}

func TestALeaseIsParkedOnce(t *testing.T) {
	p := asking()
	first, second := &lease{}, &lease{}
	if p.swapParked(first) != nil || p.swapParked(second) != first {
		t.Error("the lease that was parked before is not given back")
	}
	if p.swapParked(nil) != second || p.swapParked(nil) != nil {
		t.Error("the parked lease is not taken once")
	}
}

func TestALeaseGoesToTheCallThatWaitsOrIsParked(t *testing.T) {
	leased := &lease{}
	claim := &pendingClaim{answered: make(chan struct{})}
	if !claim.deliver(leased) {
		t.Error("the lease is parked although its call waits")
	}
	select {
	case <-claim.answered:
	default:
		t.Error("the call is not woken")
	}
	if claim.abandon() != leased {
		t.Error("the call that stops to wait does not get the lease that has come meanwhile")
	}
	claim = &pendingClaim{answered: make(chan struct{})}
	if claim.abandon() != nil || claim.deliver(leased) {
		t.Error("a call has gone, and its lease is not parked")
	}
}

// What is granted must be settled before the store counts the lease as lost.
func TestALeaseIsUsedForLessThanItLasts(t *testing.T) {
	for _, d := range []time.Duration{0, time.Millisecond, time.Second, time.Hour} {
		if u := usable(d); u < 0 || d > 0 && u >= d || u < d/2 {
			t.Errorf("of %v %v are used", d, u)
		}
	}
}

// Of two claims that are answered after their calls have gone the second lease is kept for the next call. The first must
// not hold its place until it ends.
func TestASecondParkedLeaseGivesTheFirstBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memorystore.New()
		m, err := NewManager(s)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close(context.Background())
		b, err := m.Register(t.Context(), "tier", WithPolicy(store.Policy{ConsecutiveFailures: 1, Probes: 2, ProbeLease: time.Hour}))
		if err != nil {
			t.Fatal(err)
		}
		_ = b.Run(t.Context(), func(context.Context) error { return errors.New("the tier failed") })
		time.Sleep(b.Status().RetryAfter)
		var leases [2]*lease
		for i := range leases {
			for tries := 0; leases[i] == nil && tries < 3; tries++ { // the first claim moves the breaker, and makes another epoch
				a := b.current()
				leases[i], _, _ = a.probes.claimFleet(t.Context(), a)
			}
			if leases[i] == nil {
				t.Fatal("no lease")
			}
		}
		for _, l := range leases {
			b.current().probes.park(l)
		}
		synctest.Wait()
		held, err := s.Read(t.Context(), "tier")
		if err != nil || held[0].Probing != 1 {
			t.Fatalf("%d places are held, %v; want that of the parked lease alone", held[0].Probing, err)
		}
	})
}
