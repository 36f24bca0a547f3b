package chaos

import (
	"testing"
	"time"

	"github.com/commontrip/commontrip/internal/lab/tier"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/chaos/replica"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
	"github.com/commontrip/commontrip/tests/redistest"
)

// A fleet under load is replaced process by process, each under the name of the one before: half of them are told to end,
// half are killed. Who is told reports everything; who takes over is heard from its first report on, though its Seq starts
// again; and nothing is counted that was not called.
func TestScenario08RollingDeployUnderTheSameNames(t *testing.T) {
	scenario := scoreboard.Start(t, 8, "rolling deploy under the same names")
	server := redistest.Start(t)
	fleetStore := operator(t, server.URL())
	var called tier.Tier
	replicas := scoreboard.Pick(scenario, 6, 50)
	config := replica.Config{URL: server.URL(), Breaker: tierName, Tier: replica.ServeTier(t, &called)}
	load := replica.Request{Do: replica.Load, Workers: 1, Every: scoreboard.Pick(scenario, 10*time.Millisecond, 100*time.Millisecond)}
	fleet := startAll(t, replicas, config)
	for _, r := range fleet {
		r.Do(load)
	}
	var deploy struct {
		terminated, killed                             int
		lost, refused, swallowed, invented, unreported int
		slowest                                        time.Duration
	}
	for i, old := range fleet {
		await.Until(t, "the old one is heard", func() bool { return counted(t, fleetStore, old.Name()) > 0 })
		if i%2 == 0 {
			closed := old.Term()
			deploy.terminated++
			deploy.lost += missing(closed.Calls.Admitted, counted(t, fleetStore, old.Name())) + closed.State.Pending
			if closed.Error != "" {
				deploy.refused++
				t.Logf("Close said: %s", closed.Error)
			}
			deploy.slowest = max(deploy.slowest, closed.Took)
		} else {
			old.Kill()
			deploy.killed++
			known, made := counted(t, fleetStore, old.Name()), uint64(len(called.Ledger().Of(old.Name())))
			deploy.unreported += missing(made, known)
			deploy.invented += missing(known, made)
		}
		const first = 3
		config.Name = old.Config().Name
		next := replica.Start(t, config)
		next.Do(replica.Request{Do: replica.Call, N: first})
		next.Do(replica.Request{Do: replica.Sync})
		deploy.swallowed += missing(first, counted(t, fleetStore, next.Name()))
		next.Do(load)
		fleet[i] = next
	}
	converge(t, fleetStore, fleet...)
	for _, r := range fleet {
		r.Do(replica.Request{Do: replica.Unload})
		r.Do(replica.Request{Do: replica.Sync})
		made, known := uint64(len(called.Ledger().Of(r.Name()))), counted(t, fleetStore, r.Name())
		deploy.swallowed += missing(made, known)
		deploy.invented += missing(known, made)
	}

	scenario.Report("processes replaced", replicas)
	scenario.Report("calls", len(called.Ledger()))
	scenario.AtLeast("ended by SIGTERM", deploy.terminated, 1)
	scenario.AtLeast("ended by SIGKILL", deploy.killed, 1)
	scenario.Zero("outcomes lost on SIGTERM", deploy.lost)
	scenario.Zero("Closes with an error", deploy.refused)
	scenario.Zero("outcomes of a new process that were swallowed", deploy.swallowed)
	scenario.Zero("outcomes counted that were not called", deploy.invented)
	scenario.Report("outcomes unreported by killed processes", deploy.unreported)
	scenario.Report("longest Close", deploy.slowest)
	scenario.Zero("late outcomes", int(truth(t, fleetStore).Totals.Late))
}
