package chaos

import (
	"testing"
	"time"

	"github.com/commontrip/commontrip/internal/lab/tier"
	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/chaos/replica"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
	"github.com/commontrip/commontrip/tests/redistest"
)

// Twenty processes call a dead tier, now one and now another, so rarely that none sees more than a failure or two. Together
// they see that it is dead.
func TestScenario02TwentyProcessesOfWhichNoneCouldTripAlone(t *testing.T) {
	scenario := scoreboard.Start(t, 2, "trickle fleet: processes on Redis")
	server := redistest.Start(t)
	fleetStore := operator(t, server.URL())
	var called tier.Tier
	called.Fail(1)
	const replicas = 20
	policy := store.DefaultPolicy()
	fleet := startAll(t, replicas, replica.Config{URL: server.URL(), Breaker: tierName, Policy: policy, Tier: replica.ServeTier(t, &called)})
	trips, burnt, alone, rng := scoreboard.Pick(scenario, 2, 20), 0, 0, scenario.Rand()
	for range trips {
		before := len(called.Ledger())
		calls := map[*replica.Replica]int{}
		for refusing := 0; refusing < replicas; {
			refusing = 0
			for _, i := range rng.Perm(replicas) {
				r := fleet[i]
				if r.Do(replica.Request{Do: replica.Call, N: 1}).Calls.Refused > 0 {
					refusing++
				} else {
					calls[r]++
				}
				pass(20 * time.Millisecond)
			}
		}
		burnt = max(burnt, len(called.Ledger())-before)
		for _, n := range calls {
			alone = max(alone, n)
		}
		command(t, fleetStore, store.Command{Action: store.Reset})
		converge(t, fleetStore, fleet...)
	}
	scenario.Report("replicas", replicas)
	scenario.Report("trips", trips)
	scenario.AtMost("failing calls burnt until the last replica refused, at most", burnt, policy.ConsecutiveFailures+replicas)
	scenario.AtMost("of them by one replica, at most", alone, policy.ConsecutiveFailures-1)
	scenario.Report("what separate breakers burn", replicas*policy.ConsecutiveFailures)
}
