package topology

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
	"github.com/commontrip/commontrip/tests/fleet"
)

// LostWrites fails over to a replica that misses what its master had acknowledged: a trip, a standing command, leases and
// reports. Half of the fleet knew of them, the other half did not. Between two trials the killed node comes back empty, as
// a replica; at the end one is dead.
func LostWrites(t *testing.T, scenario *scoreboard.Scenario, d Deployment, trials int) {
	var l losses
	for range trials {
		l.trial(t, d)
	}
	scenario.Report("failovers", trials)
	scenario.Zero("trips forgotten", l.tripsForgotten)
	scenario.Zero("commands forgotten", l.commandsForgotten)
	scenario.Zero("outcomes counted twice", l.countedTwice)
	scenario.Report("acknowledged outcomes lost", l.lost)
	scenario.Zero("outcomes lost that the old master had not alone", l.unexplained)
	scenario.AtMost(fmt.Sprintf("probes at once over the budget of %d", lossProbes), l.overBudget, lossProbes)
	scenario.Report("trials with probes over the budget", l.overBudgetTrials)
	scenario.Report("probes by replicas that stood alone", l.ownProbes)
	scenario.Within("promotion until the verdict is back", slices.Max(l.repaired), 2*fleet.Refresh)
	scenario.Within("until all hold one view", slices.Max(l.converged), 2*fleet.Refresh)
	fleet.Tally(t, scenario, l.fleets...)
}

// losses is what the trials of LostWrites add up to.
type losses struct {
	fleets                            []*fleet.Fleet
	tripsForgotten, commandsForgotten int
	countedTwice, lost, unexplained   int
	overBudget, overBudgetTrials      int
	ownProbes                         int
	repaired, converged               []time.Duration
}

const (
	lossProbes = 3
	lossCall   = time.Second      // a probe is with its tier for so long
	lossLease  = 10 * time.Second // and well within its lease, however busy the machine is
)

func (l *losses) trial(t *testing.T, d Deployment) {
	master := d.Ready(t)
	known, unknown := d.Route(t), d.Route(t)
	f := fleet.New(t, 4, func(i int) (store.Store, error) { return []Route{known, unknown}[i/2].Open() }, nil)
	defer f.Close()
	l.fleets = append(l.fleets, f)
	witnesses, strangers := f.Replicas[:2], f.Replicas[2:]
	long := store.Policy{ConsecutiveFailures: 3, OpenFor: time.Hour}
	counted, tripped := f.Register("counted", long), f.Register("tripped", long)
	f.Register("forced", long)
	probed := f.Register("probed", store.Policy{
		ConsecutiveFailures: 3, OpenFor: 100 * time.Millisecond, Probes: lossProbes, ProbeSuccesses: 1000, ProbeLease: lossLease,
	})
	probed.Slow(lossCall)
	witnesses[0].Command(t, store.Command{Name: "probed", Action: store.Trip})
	call(f.Replicas, counted.Name, 20)
	truth := view(t, d, master)
	f.Converge(truth)
	fleet.All(t, "all have reported", f.Replicas, counted.Name, func(s breaker.Status) bool { return s.Pending == 0 })

	// From here on the master acknowledges what its replicas will not have.
	d.Detach(t)
	unknown.To(nil)
	before := counted.Count().Calls
	call(witnesses, counted.Name, 20)
	alone := counted.Count().Calls - before
	tripped.Fail(1)
	call(witnesses, tripped.Name, 5)
	witnesses[0].Command(t, store.Command{Name: "forced", Action: store.ForceOpen})
	rest := fleet.Work(witnesses, 5*time.Millisecond, "probed", "probed", "tripped") // two callers a replica: all leases are out
	for name, wanted := range map[string]func(breaker.Status) bool{
		"tripped": func(s breaker.Status) bool { return s.Fleet.State == store.Open },
		"forced":  func(s breaker.Status) bool { return s.Fleet.Mode == store.ForcedOpen },
		"probed":  func(breaker.Status) bool { return probed.MostProbes() == lossProbes },
		"counted": func(s breaker.Status) bool { return s.Pending == 0 },
	} {
		fleet.All(t, "the witnesses know, and have reported", witnesses, name, wanted)
	}
	lost, err := f.Read(truth)
	if err != nil {
		t.Fatal(err)
	}

	master = d.FailOver(t)
	promoted := time.Now()
	known.To(master)
	unknown.To(master)
	restStrangers := fleet.Work(strangers, 5*time.Millisecond, "probed", "probed", "counted", "tripped", "forced")
	truth = view(t, d, master)
	await.Eventually(t, "the new master holds the verdict and the command", func() string {
		now, err := f.Read(truth)
		if err == nil && now["tripped"].Generation >= lost["tripped"].Generation && now["forced"].Mode == store.ForcedOpen {
			return ""
		}
		return fmt.Sprintf("%v %v, %v", now["tripped"], now["forced"], err)
	})
	l.repaired = append(l.repaired, time.Since(promoted))
	pause(2*lossCall - time.Since(promoted)) // probes that began before the failover, and two rounds that began after it
	rest()
	restStrangers()
	probed.Slow(0)
	took, held := f.Converge(truth)
	l.converged = append(l.converged, took)

	if s := held["tripped"]; s.State != store.Open || s.Generation < lost["tripped"].Generation {
		l.tripsForgotten++
	}
	if s := held["probed"]; s.State == store.Closed || s.Generation < lost["probed"].Generation {
		l.tripsForgotten++
	}
	if s := held["forced"]; s.Mode != store.ForcedOpen || s.Rev < lost["forced"].Rev {
		l.commandsForgotten++
	}
	l.ownProbes += probed.Count().OwnProbes
	if over := probed.MostProbes() - lossProbes; over > 0 {
		l.overBudget = max(l.overBudget, over)
		l.overBudgetTrials++
	}
	l.account(t, f, counted, truth, alone)
}

// account compares the calls to a tier with what is counted of them. alone is how many of them only the old master knew.
func (l *losses) account(t *testing.T, f *fleet.Fleet, counted *fleet.Tier, truth store.Store, alone int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	unreported := 0
	for _, r := range f.Replicas {
		if err := r.Manager.Sync(ctx); err != nil {
			t.Fatal(err)
		}
		unreported += int(r.Breaker(counted.Name).Status().Lost)
	}
	held, err := f.Read(truth)
	if err != nil {
		t.Fatal(err)
	}
	sum := outcomes(held[counted.Name])
	l.countedTwice += max(0, sum-counted.Count().Calls)
	missing := max(0, counted.Count().Calls-sum-unreported)
	l.lost += missing
	l.unexplained += max(0, missing-alone)
}

// outcomes is how many a store has counted, in any way.
func outcomes(s store.Snapshot) int { return int(s.Totals.Calls + s.Totals.Ignored + s.Totals.Late) }

// call makes n calls through each of some replicas.
func call(replicas []*fleet.Replica, name string, n int) {
	for range n {
		for _, r := range replicas {
			r.Call(name)
		}
	}
}
