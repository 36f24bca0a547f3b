package topology

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
	"github.com/commontrip/commontrip/tests/fleet"
)

// TwoMasters promotes a replica while its master lives, with half of the fleet on each. relay.Both halves trip, one recovers,
// and each takes a command; then one of the two is demoted, if there is a choice the old one and the new one in turn.
func TwoMasters(t *testing.T, scenario *scoreboard.Scenario, d Deployment, trials int) {
	var s split
	for trial := range trials {
		s.trial(t, d, trial%2 == 1)
	}
	scenario.Report("splits", trials)
	scenario.Zero("breakers that ended below what a replica knew", s.below)
	scenario.Zero("commands forgotten", s.commandsForgotten)
	scenario.AtMost(fmt.Sprintf("probes at once over the budget of %d", splitProbes), s.overBudget, splitProbes)
	scenario.Within("demotion until all hold one view", slices.Max(s.converged), 2*fleet.Refresh)
	fleet.Tally(t, scenario, s.fleets...)
}

const splitProbes = 2

// split is what the trials of TwoMasters add up to.
type split struct {
	fleets                   []*fleet.Fleet
	below, commandsForgotten int
	overBudget               int
	converged                []time.Duration
}

func (s *split) trial(t *testing.T, d Deployment, oldWins bool) {
	master := d.Ready(t)
	here, there := d.Route(t), d.Route(t)
	f := fleet.New(t, 6, func(i int) (store.Store, error) { return []Route{here, there}[i/3].Open() }, nil)
	defer f.Close()
	s.fleets = append(s.fleets, f)
	old, young := f.Replicas[:3], f.Replicas[3:] // who stays at the old master, who goes to the new one
	tier := f.Register("tier", store.Policy{
		ConsecutiveFailures: 3, Reporters: 2, OpenFor: 200 * time.Millisecond, Probes: splitProbes, ProbeSuccesses: 2,
		ProbeLease: 2 * time.Second,
	})
	f.Register("forced", store.DefaultPolicy())
	f.Register("tuned", store.DefaultPolicy())
	call(f.Replicas, "tier", 5)
	f.Converge(view(t, d, master))

	d.Split(t, here, there)
	tier.Fail(1)
	tier.Slow(100 * time.Millisecond)
	restOld := fleet.Work(old, 5*time.Millisecond, "tier", "tier")
	restYoung := fleet.Work(young, 5*time.Millisecond, "tier", "tier")
	for _, half := range [][]*fleet.Replica{old, young} {
		fleet.All(t, "each half trips, and probes in vain", half, "tier", func(s breaker.Status) bool {
			return s.Fleet.State != store.Closed && s.Fleet.Openings > 1
		})
	}
	old[0].Command(t, store.Command{Name: "forced", Action: store.ForceOpen})
	young[0].Command(t, store.Command{Name: "tuned", Action: store.Retune, Policy: store.Policy{ConsecutiveFailures: 9}})
	restOld()
	fleet.All(t, "the old master's half is open", old, "tier", func(s breaker.Status) bool { return s.Fleet.State != store.Closed })
	tier.Fail(0)
	fleet.All(t, "the new master's half recovers", young, "tier", func(s breaker.Status) bool {
		return s.Fleet.State == store.Closed && s.State == store.Closed
	})
	restYoung()
	known := highest(f)

	truth := view(t, d, d.Heal(t, here, there, oldWins))
	rest := fleet.Work(f.Replicas, 20*time.Millisecond, "forced", "tuned") // in use, so compared each refresh
	took, held := f.Converge(truth)
	rest()
	s.converged = append(s.converged, took)
	for name, want := range known {
		if got := held[name]; got.Generation < want.Generation || got.Rev < want.Rev ||
			got.Generation == want.Generation && got.State != want.State {
			t.Errorf("%s ends as %v in %d/%d; a replica knew %v in %d/%d", name, got.State, got.Generation, got.Rev, want.State,
				want.Generation, want.Rev)
			s.below++
		}
	}
	if held["forced"].Mode != store.ForcedOpen {
		s.commandsForgotten++
	}
	if !held["tuned"].Retuned {
		s.commandsForgotten++
	}
	s.overBudget = max(s.overBudget, tier.MostProbes()-splitProbes)
}

// highest is the newest that any replica of the fleet knows of each tier.
func highest(f *fleet.Fleet) map[string]store.Snapshot {
	known := map[string]store.Snapshot{}
	for _, name := range f.Tiers() {
		for _, r := range f.Replicas {
			if s := r.Breaker(name).Status().Fleet; s.Generation > known[name].Generation || s.Rev > known[name].Rev {
				known[name] = s
			}
		}
	}
	return known
}
