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
	net := Network{
		MinDelay: time.Millisecond, MaxDelay: 50 * time.Millisecond,
		LoseRequest: 0.02, LoseReply: 0.05, Double: 0.02, LosePush: 0.3, DoublePush: 0.05,
	}
	w := newWorld(t, seed, net, policy)
	w.tier.latency.Store(int64(20 * time.Millisecond))
	for range s.replicas {
		w.join(s.every)
	}
	s.blow(w, rand.New(rand.NewPCG(seed, 2)))
	w.tier.fail(0)
	w.pass(2*time.Minute + 12*s.openFor) // over every open period, backoff and lease
	if truth := w.truth(); truth.State != breaker.Closed {
		t.Errorf("minutes after the tier came back the breaker is %v", truth.State)
	}
	if w.truth().Generation == 0 {
		t.Error("no storm: nothing ever tripped")
	}
	apart := w.agree()
	for _, r := range w.replicas {
		r.leave()
	}
	return toll{tally: w.verify(), transitions: w.trips.Load(), calls: w.tier.calls.Load(), apart: apart}
}

// blow does one thing after the other to the fleet.
func (s storm) blow(w *world, rng *rand.Rand) {
	const report = 10 * time.Minute
	began := time.Now()
	end, next := began.Add(s.length), began.Add(report)
	for time.Now().Before(end) {
		here := w.here()
		switch r := here[rng.IntN(len(here))]; rng.IntN(6) {
		case 0, 1:
			w.tier.fail(1)
		case 2, 3:
			w.tier.fail(0.01)
		case 4:
			r.cut(time.Duration(rng.Int64N(int64(10 * time.Second))))
		case 5:
			r.leave()
			w.join(s.every)
		}
		w.pass(time.Duration(rng.Int64N(int64(s.pause))))
		if now := time.Now(); now.After(next) {
			w.t.Logf("after %v: %d trips, %d calls", now.Sub(began).Round(time.Minute), w.trips.Load(), w.tier.calls.Load())
			next = next.Add(report)
		}
	}
}

// Pushes may be lost without anybody noticing: the next refresh repairs that.
func TestATripReachesEveryReplicaThoughEveryPushIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := Network{MinDelay: time.Millisecond, MaxDelay: 5 * time.Millisecond, LosePush: 1}
		w := newWorld(t, 1, net, store.FleetPolicy())
		for range 50 {
			w.join(time.Second)
		}
		w.pass(5 * time.Second)
		w.tier.fail(1)
		for w.truth().State == breaker.Closed {
			w.pass(time.Millisecond)
		}
		w.pass(time.Second + 100*time.Millisecond) // RefreshInterval and one exchange
		for _, r := range w.replicas {
			if status := r.breaker.Status(); status.Fleet.Generation != w.truth().Generation {
				t.Errorf("%s holds generation %d, the fleet is in %d", r.manager.Replica(), status.Fleet.Generation, w.truth().Generation)
			}
		}
		for _, r := range w.replicas {
			r.leave()
		}
		w.verify()
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
	w := newWorld(t, seed, Network{MinDelay: time.Millisecond, MaxDelay: 5 * time.Millisecond}, policy)
	for range replicas {
		w.join(every)
	}
	w.pass(2 * every)
	w.tier.fail(1)
	for w.truth().State == breaker.Closed {
		w.pass(10 * time.Millisecond)
	}
	w.pass(100 * time.Millisecond)
	burnt = int(w.tier.failures.Load())
	for _, r := range w.replicas {
		if r.breaker.State() != breaker.Open {
			t.Errorf("%s still calls", r.manager.Replica())
		}
	}
	for _, r := range w.replicas {
		r.leave()
	}
	w.verify()
	told := int(time.Duration(replicas) * 100 * time.Millisecond / every)
	return burnt, int(policy.FailureRate*float64(policy.WindowCalls)) + 2*told
}

// The open time of a thousand replicas ends in the same millisecond: the tier sees the budget, no herd.
func TestAThousandReplicasSendAHandfulOfProbesBetweenThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { recover1000(t, 1, 0) })
}

// herd is what a tier and the store see when it comes back.
type herd struct {
	probing int // calls until the fleet closed
	claims  int // in that time
	took    time.Duration
	first   int // calls in the second after
	over    int // probes at once beyond the budget
}

// recover1000 lets a thousand replicas find their tier dead and well again.
func recover1000(t *testing.T, seed uint64, rampUp time.Duration) (h herd) {
	policy := store.FleetPolicy()
	policy.OpenFor, policy.ProbeSuccesses, policy.RampUp = 5*time.Second, 6, rampUp
	w := newWorld(t, seed, Network{MinDelay: time.Millisecond, MaxDelay: 10 * time.Millisecond}, policy)
	w.tier.latency.Store(int64(200 * time.Millisecond))
	for range 1000 {
		w.join(time.Second)
	}
	w.tier.fail(1)
	for w.truth().State == breaker.Closed {
		w.pass(10 * time.Millisecond)
	}
	w.tier.fail(0)
	w.pass(4900 * time.Millisecond)
	calls, claims, ends := w.tier.calls.Load(), w.claims(), time.Now()
	for w.truth().State != breaker.Closed {
		w.pass(time.Millisecond)
	}
	h.probing, h.claims, h.took = int(w.tier.calls.Load()-calls), int(w.claims()-claims), time.Since(ends)
	calls = w.tier.calls.Load()
	w.pass(time.Second)
	h.first = int(w.tier.calls.Load() - calls)
	if most := policy.ProbeSuccesses + policy.Probes; h.probing > most {
		t.Errorf("%d calls reached the tier while it was probed, want at most %d", h.probing, most)
	}
	h.over = max(int(w.tier.mostProbe.Load())-policy.Probes, 0)
	for _, r := range w.replicas {
		r.leave()
	}
	w.verify()
	return h
}
