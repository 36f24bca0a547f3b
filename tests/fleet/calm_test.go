package fleet

import (
	"flag"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

var calmMinutes = flag.Int("fleet.calm", 2, "virtual minutes of a tier with one error in a hundred calls; 60 is the figure of the docs")

var nearby = memorystore.Network{Delay: 200 * time.Microsecond, Jitter: 800 * time.Microsecond}

// One error in a hundred calls is a day like any other. A streak of five over a merged stream comes by chance; the fleet's
// policy must not fall for it.
func TestAHealthyTierNeverTripsAFleet(t *testing.T) {
	length := time.Duration(*calmMinutes) * time.Minute
	if testing.Short() {
		length /= 10
		t.Logf("-short: %v of %d minutes", length, *calmMinutes)
	}
	for _, fleet := range []struct {
		replicas int
		every    time.Duration
	}{{20, 20 * time.Millisecond}, {200, 200 * time.Millisecond}} {
		t.Run(fmt.Sprintf("%d replicas", fleet.replicas), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHarness(t, 1, nearby, store.FleetPolicy())
				h.tier.Fail(0.01)
				for range fleet.replicas {
					h.join(fleet.every)
				}
				h.pass(length)
				for _, r := range h.replicas {
					r.leave()
				}
				h.verify()
				history, err := h.store.History(t.Context(), tierName, 0)
				if err != nil || len(history) != 0 {
					t.Errorf("after %d calls the history is %v, %v; want none", h.tier.Count().Calls, history, err)
				}
				t.Logf("%d calls, %d of them failed, no trip", h.tier.Count().Calls, h.tier.Count().Failed)
			})
		})
	}
}

// Twenty replicas of fifty calls a second each find out within a tenth of a second that the tier is dead.
func TestADeadTierIsFoundWithinATenthOfASecond(t *testing.T) {
	for seed := uint64(1); seed <= 6; seed++ {
		synctest.Test(t, func(t *testing.T) {
			h := newHarness(t, seed, nearby, store.FleetPolicy())
			for range 20 {
				h.join(20 * time.Millisecond)
			}
			h.pass(3 * time.Second)
			h.tier.Fail(1)
			died := time.Now()
			for open := 0; open < len(h.replicas); {
				h.pass(time.Millisecond)
				open = 0
				for _, r := range h.replicas {
					if r.breaker.State() == breaker.Open {
						open++
					}
				}
			}
			found := time.Since(died)
			t.Logf("seed %d: every replica refuses after %v, %d failing calls", seed, found, h.tier.Count().Failed)
			if found > 100*time.Millisecond {
				t.Errorf("seed %d: found after %v, want at most 100ms", seed, found)
			}
			for _, r := range h.replicas {
				r.leave()
			}
			h.verify()
		})
	}
}

// Outcomes that came while a report was on its way were reported at once, so that a busy replica sent two reports where the
// store had asked for one.
func TestAReplicaReportsOnceAFlushIntervalWhateverItsTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memorystore.Network{Delay: 2 * time.Millisecond, Jitter: 2 * time.Millisecond}
		h := newHarness(t, 1, net, store.Policy{ConsecutiveFailures: 1_000_000})
		h.tier.Fail(0.5)
		for range 5 {
			h.join(2 * time.Millisecond)
		}
		h.pass(time.Second)
		const seconds = 5
		before := make([]uint64, len(h.replicas))
		for i, r := range h.replicas {
			before[i] = r.link.reports.Load()
		}
		h.pass(seconds * time.Second)
		const most = seconds*int(time.Second/(20*time.Millisecond)) + 2
		for i, r := range h.replicas {
			if n := r.link.reports.Load() - before[i]; n > uint64(most) {
				t.Errorf("%s sent %d reports in %d s, want at most %d", r.manager.Replica(), n, seconds, most)
			}
			r.leave()
		}
		h.verify()
	})
}
