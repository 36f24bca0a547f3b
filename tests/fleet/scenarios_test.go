package fleet

import (
	"flag"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
)

var hours = flag.Int("fleet.hours", 0, "virtual hours of TestScenario01AThousandReplicasForHours; 10 is the figure of the docs")

func TestScenario01AFleetInAStorm(t *testing.T) {
	scenario := scoreboard.Start(t, 1, "fleet storm")
	s := scoreboard.Pick(scenario,
		storm{replicas: 40, length: 2 * time.Minute, every: time.Second, pause: 8 * time.Second, openFor: 5 * time.Second},
		storm{replicas: 1000, length: 10 * time.Minute, every: 5 * time.Second, pause: 8 * time.Second, openFor: 5 * time.Second})
	n := scoreboard.Pick(scenario, 10, 3)
	s.tell(scenario, n, s.rages(t, scenario.Seed(), n))
}

// The figure of the docs: a thousand Managers for ten virtual hours. It is played if -fleet.hours says so:
//
//	COMMONTRIP_CHAOS=full go test -run TestScenario01AThousandReplicasForHours -v -timeout 24h ./tests/fleet -fleet.hours=10
func TestScenario01AThousandReplicasForHours(t *testing.T) {
	if *hours == 0 {
		t.Skip("a run of hours: -fleet.hours=10")
	}
	scenario := scoreboard.Start(t, 1, "fleet storm, hours long")
	s := storm{
		replicas: *replicas, length: time.Duration(*hours) * time.Hour, every: 20 * time.Second, pause: time.Minute,
		openFor: 20 * time.Second,
	}
	s.tell(scenario, 1, s.rages(t, scenario.Seed(), 1))
}

// rages plays n storms and sums them up.
func (s storm) rages(t *testing.T, seed uint64, n int) (sum toll) {
	for i := range n {
		synctest.Test(t, func(t *testing.T) {
			one := s.rage(t, seed+uint64(i))
			t.Logf("seed %d: %d trips, %d calls", seed+uint64(i), one.transitions, one.calls)
			sum.tally.add(one.tally)
			sum.transitions += one.transitions
			sum.calls += one.calls
			sum.apart += one.apart
		})
	}
	return sum
}

func (s storm) tell(scenario *scoreboard.Scenario, seeds int, sum toll) {
	scenario.Report("storms", seeds)
	scenario.Report("replicas", s.replicas)
	scenario.Report("virtual time of each", s.length.String())
	scenario.Report("calls", sum.calls)
	scenario.AtLeast("trips", int(sum.transitions), seeds)
	scenario.Report("trips told to replicas", sum.trips)
	scenario.Zero("trips missed", sum.missed)
	scenario.Zero("views that went back", sum.back)
	scenario.Zero("replicas that disagree after it", sum.apart)
	scenario.Within("behind, at most", sum.behind, repaired)
	scenario.Report("trips told later than that", sum.late)
	scenario.Report("calls that reached the tier after a trip", sum.overshoot)
	scenario.Report("the last of them after", sum.longest)
}

func TestScenario02AThousandReplicasWithOneCallInTenSeconds(t *testing.T) {
	scenario := scoreboard.Start(t, 2, "trickle fleet")
	const replicas = 1000
	burnt, most := 0, 0
	n := scoreboard.Pick(scenario, 1, 10)
	for i := range n {
		synctest.Test(t, func(t *testing.T) {
			b, m := trickle(t, scenario.Seed()+uint64(i), replicas)
			burnt, most = max(burnt, b), m
		})
	}
	scenario.Report("fleets", n)
	scenario.Report("replicas", replicas)
	scenario.AtMost("failing calls burnt until the last replica refused", burnt, most)
	scenario.Report("what separate breakers burn: five in a row each", 5*replicas)
}

func TestScenario03AThousandReplicasComeBackWithoutRampUp(t *testing.T) { comeBack(t, 0) }
func TestScenario03AThousandReplicasComeBackWithRampUp(t *testing.T)    { comeBack(t, 10*time.Second) }

func comeBack(t *testing.T, rampUp time.Duration) {
	scenario := scoreboard.Start(t, 3, "recovery of a thundering herd")
	var most recovery
	n := scoreboard.Pick(scenario, 1, 5)
	for i := range n {
		synctest.Test(t, func(t *testing.T) {
			back := recover1000(t, scenario.Seed()+uint64(i), rampUp)
			most.probing, most.claims, most.over = max(most.probing, back.probing), max(most.claims, back.claims), max(most.over, back.over)
			most.took, most.first = max(most.took, back.took), max(most.first, back.first)
		})
	}
	scenario.Report("recoveries of 1000 replicas that call once a second", n)
	scenario.Report("ramp up", rampUp.String())
	scenario.Zero("probes over the budget", most.over)
	scenario.Report("calls at the tier until it was found well", most.probing)
	scenario.Report("claims at the store until then", most.claims)
	scenario.Report("that took", most.took)
	scenario.Report("calls at the tier in the first second after", most.first)
}
