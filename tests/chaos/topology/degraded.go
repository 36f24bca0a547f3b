package topology

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
	"github.com/commontrip/commontrip/tests/fleet"
)

// Grade is a network that got worse.
type Grade struct {
	Name  string
	Begin func() // nil: nothing is wrong
	End   func()
}

// Degraded is a server behind a network that can get worse.
type Degraded struct {
	Server Node // asked while nothing is wrong
	Open   func() (store.Store, error)
}

// Degrade plays each grade for a time, with a trip in it, under load. The first grade is what the others are compared with.
func Degrade(t *testing.T, scenario *scoreboard.Scenario, d Degraded, grades []Grade, last time.Duration) {
	const replicas, most = 4, 5 // new connections a second and replica
	var fleets []*fleet.Fleet
	var calm time.Duration
	for _, g := range grades {
		f := fleet.New(t, replicas, func(int) (store.Store, error) { return d.Open() }, nil)
		fleets = append(fleets, f)
		counted := f.Register("counted of "+g.Name, store.DefaultPolicy())
		f.Register("tripped of "+g.Name, store.DefaultPolicy())
		truth, err := d.Open()
		if err != nil {
			t.Fatal(err)
		}
		rest := fleet.Work(f.Replicas, 5*time.Millisecond, counted.Name)
		f.Converge(truth)
		before, start := connections(t, d.Server), time.Now()
		if g.Begin != nil {
			g.Begin()
		}
		asked := time.Now()
		trip := f.Replicas[0].Command(t, store.Command{Name: "tripped of " + g.Name, Action: store.Trip})
		fleet.All(t, "all know of a trip, "+g.Name, f.Replicas, "tripped of "+g.Name, func(s breaker.Status) bool {
			return s.Fleet.Generation >= trip.Generation
		})
		knew := time.Since(asked)
		pause(last - time.Since(start))
		if g.End != nil {
			g.End()
		}
		seconds := time.Since(start).Seconds()
		rest()
		took, _ := f.Converge(truth)
		var p partitions
		twice, vanished := p.account(t, f, counted, truth)
		scenario.Zero(g.Name+": outcomes counted twice", twice)
		scenario.Zero(g.Name+": outcomes that vanished", vanished)
		scenario.Report(g.Name+": outcomes that became too old", p.lost)
		scenario.AtMost(g.Name+": new connections a second", int(float64(connections(t, d.Server)-before)/seconds), replicas*most)
		scenario.Report(g.Name+": command to trip until all know", knew)
		scenario.Within(g.Name+": until all hold one view", took, 2*fleet.Refresh)
		longest := f.Toll().Longest
		if calm == 0 {
			calm = longest
		}
		scenario.Report(g.Name+": longest that a call took beside its tier", longest)
		scenario.Report(g.Name+": the same, times that of the first", fmt.Sprintf("%.1f", float64(longest)/float64(calm)))
		f.Close()
		_ = truth.Close()
	}
	fleet.Tally(t, scenario, fleets...)
}

// connections is how many a server has accepted.
func connections(t *testing.T, n Node) int {
	t.Helper()
	fields, err := Info(n, "stats")
	if err != nil {
		t.Fatal(err)
	}
	count, err := strconv.Atoi(fields["total_connections_received"])
	if err != nil {
		t.Fatal(err)
	}
	return count
}
