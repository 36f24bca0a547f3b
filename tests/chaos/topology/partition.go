package topology

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/internal/lab/relay"
	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
	"github.com/commontrip/commontrip/tests/fleet"
)

// Divided is a deployment that half of a fleet reaches across a network that can be cut.
type Divided struct {
	Near   func() (store.Store, error) // a store on this side
	Remote func() (store.Store, error) // one across the network
	Cut    func(ways relay.Way)        // swallows what goes these ways, established connections included; 0: nothing
}

// Partitions cuts half of a fleet off, each of the given ways, with a trip on this side that it cannot hear of; and then
// lets the network flap, a second each.
func Partitions(t *testing.T, scenario *scoreboard.Scenario, d Divided, ways []relay.Way, flaps int) {
	f := fleet.New(t, 6, func(i int) (store.Store, error) {
		if i < 3 {
			return d.Near()
		}
		return d.Remote()
	}, nil)
	near, remote := f.Replicas[:3], f.Replicas[3:]
	counted := f.Register("counted", store.DefaultPolicy())
	f.Register("tripped", store.Policy{ConsecutiveFailures: 3, OpenFor: time.Hour})
	truth, err := d.Near()
	if err != nil {
		t.Fatal(err)
	}
	defer truth.Close()
	rest := fleet.Work(f.Replicas, 10*time.Millisecond, "counted", "tripped")
	defer rest()
	f.Converge(truth)

	p := partitions{}
	for _, way := range ways {
		p.once(t, d, way, f, near, remote)
	}
	for range flaps {
		d.Cut(relay.Both)
		pause(time.Second)
		d.Cut(0)
		pause(time.Second)
	}
	rest()
	took, _ := f.Converge(truth)
	twice, vanished := p.account(t, f, counted, truth)
	scenario.Report("partitions", len(ways)+flaps)
	scenario.Zero("cut replicas that claim the fleet's verdict", p.claims)
	scenario.Zero("replicas of this side that lost the store", p.nearLost)
	scenario.Zero("outcomes counted twice", twice)
	scenario.Zero("outcomes that vanished", vanished)
	scenario.Report("outcomes that became too old", p.lost)
	scenario.Within("cut until the remote half says that it stands alone", p.alone, 4*time.Second)
	scenario.Within("heal until the remote half knows of the trip", p.behind, 2*fleet.Refresh)
	scenario.Within("until all hold one view", took, 2*fleet.Refresh)
	f.Tally(scenario)
}

func pause(d time.Duration) { <-time.After(d) }

// partitions is what cuts add up to.
type partitions struct {
	claims, nearLost, lost int
	alone, behind          time.Duration
}

// once cuts the remote half off until it says that it stands alone, trips and heals.
func (p *partitions) once(t *testing.T, d Divided, way relay.Way, f *fleet.Fleet, near, remote []*fleet.Replica) {
	t.Helper()
	d.Cut(way)
	p.alone = max(p.alone, await.Eventually(t, "the remote half says that it stands alone, "+way.String(), func() string {
		if n := claiming(remote); n > 0 {
			return fmt.Sprintf("%d do not", n)
		}
		return ""
	}))
	trip := near[0].Command(t, store.Command{Name: "tripped", Action: store.Trip})
	knows := func(s breaker.Status) bool { return s.Fleet.Generation >= trip.Generation }
	fleet.All(t, "this side knows of a trip", near, "tripped", knows)
	p.claims += claiming(remote)
	for _, r := range near {
		if !r.Manager.Status().StoreUp {
			p.nearLost++
		}
	}
	d.Cut(0)
	p.behind = max(p.behind, fleet.All(t, "the remote half knows of the trip, "+way.String(), remote, "tripped", func(s breaker.Status) bool {
		return knows(s) && s.Verdict == breaker.Fleet
	}))
	reset := near[0].Command(t, store.Command{Name: "tripped", Action: store.Reset})
	fleet.All(t, "all are back", f.Replicas, "tripped", func(s breaker.Status) bool { return s.Fleet.Generation >= reset.Generation })
}

// claiming counts the replicas that claim that their store answers, or that a fleet's verdict rules one of their breakers.
func claiming(replicas []*fleet.Replica) (n int) {
	for _, r := range replicas {
		s := r.Manager.Status()
		if s.StoreUp || slices.ContainsFunc(s.Breakers, func(b breaker.Status) bool { return b.Verdict == breaker.Fleet }) {
			n++
		}
	}
	return n
}

// account compares the calls to a tier with what the store counted.
func (p *partitions) account(t *testing.T, f *fleet.Fleet, counted *fleet.Tier, truth store.Store) (twice, vanished int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, r := range f.Replicas {
		if err := r.Manager.Sync(ctx); err != nil {
			t.Fatal(err)
		}
		p.lost += int(r.Breaker(counted.Name).Status().Lost)
	}
	held, err := f.Read(truth)
	if err != nil {
		t.Fatal(err)
	}
	sum := outcomes(held[counted.Name])
	return max(0, sum-counted.Count().Calls), max(0, counted.Count().Calls-sum-p.lost)
}
