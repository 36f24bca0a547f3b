package fleet

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

var (
	seeds    = flag.Int("fleet.seeds", 2, "storms to simulate")
	replicas = flag.Int("fleet.replicas", 120, "replicas of a storm")
	minutes  = flag.Int("fleet.minutes", 2, "virtual minutes of a storm")
)

// A storm: a network that delays, loses, doubles and reorders, a tier that comes and goes, replicas that come and go,
// partitions. Whatever happens, no view goes back, no transition is missed, no outcome counts twice, no budget is
// exceeded; and once it is over, everybody agrees.
type storm struct {
	replicas int
	length   time.Duration
	every    time.Duration // between the calls of a replica, on the average
	pause    time.Duration // between two blows, at most
	openFor  time.Duration
}

func TestAFleetInAStormKeepsItsPromisesAndAgreesAfterIt(t *testing.T) {
	s := storm{
		replicas: *replicas, length: time.Duration(*minutes) * time.Minute,
		every: time.Second, pause: 8 * time.Second, openFor: 5 * time.Second,
	}
	storms := uint64(*seeds)
	if testing.Short() {
		storms, s.replicas, s.length = 1, s.replicas/3, s.length/2
		t.Logf("-short: one storm of %d, %d replicas of %d, half as long", *seeds, s.replicas, *replicas)
	}
	for seed := uint64(1); seed <= storms; seed++ {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { s.rage(t, seed) })
		})
	}
}

// toll is what a storm left.
type toll struct {
	tally
	transitions, calls uint64
	apart              int // replicas that did not agree after it
}

func (s storm) rage(t *testing.T, seed uint64) toll {
	policy := store.FleetPolicy()
	policy.OpenFor, policy.ProbeLease = s.openFor, 4*time.Second
	net := memorystore.Network{
		Delay: time.Millisecond, Jitter: 49 * time.Millisecond,
		LoseRequest: 0.02, LoseReply: 0.05, DoubleRequest: 0.02, LosePush: 0.3, DoublePush: 0.05,
	}
	h := newHarness(t, seed, net, policy)
	h.tier.Slow(20 * time.Millisecond)
	for range s.replicas {
		h.join(s.every)
	}
	s.blow(h, rand.New(rand.NewPCG(seed, 2)))
	h.tier.Fail(0)
	h.pass(2*time.Minute + 12*s.openFor) // over every open period, backoff and lease
	if truth := h.truth(); truth.State != breaker.Closed {
		t.Errorf("minutes after the tier came back the breaker is %v", truth.State)
	}
	if h.truth().Generation == 0 {
		t.Error("no storm: nothing ever tripped")
	}
	apart := h.agree()
	for _, r := range h.replicas {
		r.leave()
	}
	return toll{tally: h.verify(), transitions: h.trips.Load(), calls: uint64(h.tier.Count().Calls), apart: apart}
}

// blow does one thing after the other to the fleet.
func (s storm) blow(h *harness, rng *rand.Rand) {
	const report = 10 * time.Minute
	began := time.Now()
	end, next := began.Add(s.length), began.Add(report)
	for time.Now().Before(end) {
		here := h.here()
		switch r := here[rng.IntN(len(here))]; rng.IntN(6) {
		case 0, 1:
			h.tier.Fail(1)
		case 2, 3:
			h.tier.Fail(0.01)
		case 4:
			r.cut(time.Duration(rng.Int64N(int64(10 * time.Second))))
		case 5:
			r.leave()
			h.join(s.every)
		}
		h.pass(time.Duration(rng.Int64N(int64(s.pause))))
		if now := time.Now(); now.After(next) {
			h.t.Logf("after %v: %d trips, %d calls", now.Sub(began).Round(time.Minute), h.trips.Load(), h.tier.Count().Calls)
			next = next.Add(report)
		}
	}
}

// Pushes may be lost without anybody noticing: the next refresh repairs that.
func TestATripReachesEveryReplicaThoughEveryPushIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memorystore.Network{Delay: time.Millisecond, Jitter: 4 * time.Millisecond, LosePush: 1}
		h := newHarness(t, 1, net, store.FleetPolicy())
		for range 50 {
			h.join(time.Second)
		}
		h.pass(5 * time.Second)
		h.tier.Fail(1)
		for h.truth().State == breaker.Closed {
			h.pass(time.Millisecond)
		}
		h.pass(time.Second + 100*time.Millisecond) // RefreshInterval and one exchange
		for _, r := range h.replicas {
			if status := r.breaker.Status(); status.Fleet.Generation != h.truth().Generation {
				t.Errorf("%s holds generation %d, the fleet is in %d", r.manager.Replica(), status.Fleet.Generation, h.truth().Generation)
			}
		}
		for _, r := range h.replicas {
			r.leave()
		}
		h.verify()
	})
}

// One call in ten seconds each: no replica could see the failure alone, together they do.
func TestReplicasWithLittleTrafficTripTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		burnt, threshold := trickle(t, 1, 200)
		t.Logf("%d failing calls until 200 replicas refused; separate breakers of the same streak need %d", burnt, 200*5)
		if burnt > threshold {
			t.Errorf("%d failing calls were burnt, want at most %d", burnt, threshold)
		}
	})
}

// trickle gives how many failing calls a fleet burns until its last replica refuses, and how many it may: those that the
// rule of rates wants, and those that come in the tenth of a second in which all are told.
func trickle(t *testing.T, seed uint64, replicas int) (burnt, most int) {
	const every = 10 * time.Second
	policy := store.FleetPolicy()
	h := newHarness(t, seed, memorystore.Network{Delay: time.Millisecond, Jitter: 4 * time.Millisecond}, policy)
	for range replicas {
		h.join(every)
	}
	h.pass(2 * every)
	h.tier.Fail(1)
	for h.truth().State == breaker.Closed {
		h.pass(10 * time.Millisecond)
	}
	h.pass(100 * time.Millisecond)
	burnt = h.tier.Count().Failed
	for _, r := range h.replicas {
		if r.breaker.State() != breaker.Open {
			t.Errorf("%s still calls", r.manager.Replica())
		}
	}
	for _, r := range h.replicas {
		r.leave()
	}
	h.verify()
	told := int(time.Duration(replicas) * 100 * time.Millisecond / every)
	return burnt, int(policy.FailureRate*float64(policy.WindowCalls)) + 2*told
}

// The open time of a thousand replicas ends in the same millisecond: the tier sees the budget, not a thundering herd.
func TestAThousandReplicasSendAHandfulOfProbesBetweenThem(t *testing.T) {
	if testing.Short() {
		t.Skip("a thousand replicas take the processor for long")
	}
	synctest.Test(t, func(t *testing.T) { recover1000(t, 1, 0) })
}

// recovery is what a tier and the store see when it comes back.
type recovery struct {
	probing int // calls until the fleet closed
	claims  int // in that time
	took    time.Duration
	first   int // calls in the second after
	over    int // probes at once beyond the budget
}

// recover1000 lets a thousand replicas find their tier dead and well again.
func recover1000(t *testing.T, seed uint64, rampUp time.Duration) (back recovery) {
	policy := store.FleetPolicy()
	policy.OpenFor, policy.ProbeSuccesses, policy.RampUp = 5*time.Second, 6, rampUp
	h := newHarness(t, seed, memorystore.Network{Delay: time.Millisecond, Jitter: 9 * time.Millisecond}, policy)
	h.tier.Slow(200 * time.Millisecond)
	for range 1000 {
		h.join(time.Second)
	}
	h.tier.Fail(1)
	for h.truth().State == breaker.Closed {
		h.pass(10 * time.Millisecond)
	}
	h.tier.Fail(0)
	h.pass(4900 * time.Millisecond)
	calls, claims, ends := h.tier.Count().Calls, h.claims(), time.Now()
	for h.truth().State != breaker.Closed {
		h.pass(time.Millisecond)
	}
	back.probing, back.claims, back.took = h.tier.Count().Calls-calls, int(h.claims()-claims), time.Since(ends)
	calls = h.tier.Count().Calls
	h.pass(time.Second)
	back.first = h.tier.Count().Calls - calls
	if most := policy.ProbeSuccesses + policy.Probes; back.probing > most {
		t.Errorf("%d calls reached the tier while it was probed, want at most %d", back.probing, most)
	}
	back.over = max(h.tier.MostProbes()-policy.Probes, 0)
	for _, r := range h.replicas {
		r.leave()
	}
	h.verify()
	return back
}
