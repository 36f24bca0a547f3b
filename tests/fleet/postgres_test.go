package fleet

import (
	"context"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	postgresstore "github.com/commontrip/commontrip/store/postgres"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/postgrestest"
)

// Five replicas on a real PostgreSQL, each with connections of its own. Two of them see a tier fail, and all refuse. Their
// probes share one budget, and find the tier well in the end.
func TestAFleetOnPostgreSQLSharesOneTripItsProbesAndItsRecovery(t *testing.T) {
	if testing.Short() {
		t.Skip("it plays for some seconds on a server of its own")
	}
	srv := postgrestest.Start(t)
	if _, _, err := postgresstore.Migrate(context.Background(), srv.URL()); err != nil {
		t.Fatal(err)
	}
	f := New(t, 5, func(int) (store.Store, error) {
		return postgresstore.Open(srv.URL(), postgresstore.WithTimeout(30*time.Second))
	},
		func(int) []breaker.ManagerOption {
			return []breaker.ManagerOption{breaker.WithTiming(breaker.Timing{StaleAfter: time.Minute})}
		})
	const probes = 2
	tier := f.Register(tierName, store.Policy{
		ConsecutiveFailures: 4, Reporters: 2, OpenFor: 50 * time.Millisecond, Probes: probes, ProbeSuccesses: 3, ProbeLease: time.Minute,
	})
	truth, err := postgresstore.Open(srv.URL(), postgresstore.WithTimeout(30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer truth.Close()

	tier.Fail(1)
	rest := Work(f.Replicas[:2], 5*time.Millisecond, tierName)
	All(t, "two replicas see failures, and all five know", f.Replicas, tierName, func(s breaker.Status) bool { return s.Fleet.State != store.Closed })
	rest()
	rest = Work(f.Replicas, 5*time.Millisecond, tierName)
	tier.Slow(5 * time.Millisecond) // so that probes meet
	All(t, "probes fail, and the fleet opens again and again", f.Replicas, tierName, func(s breaker.Status) bool { return s.Fleet.Openings > 2 })
	tier.Slow(0)
	tier.Fail(0)
	All(t, "probes find the tier well, and all five know", f.Replicas, tierName, func(s breaker.Status) bool {
		return s.Fleet.State == store.Closed && s.State == store.Closed
	})
	rest()
	f.Converge(truth)
	if most := tier.MostProbes(); most > probes {
		t.Errorf("%d probes at once, the budget is %d", most, probes)
	}
	trips, closes := 0, 0
	await.Until(t, "the history is told", func() bool {
		history, err := truth.History(context.Background(), tierName, 0)
		if err != nil {
			return false
		}
		trips, closes = 0, 0
		for _, h := range history {
			switch {
			case h.From == store.Closed && h.To == store.Open:
				trips++
			case h.To == store.Closed:
				closes++
			}
		}
		return true
	})
	if trips != 1 || closes != 1 {
		t.Errorf("the fleet tripped %d times and closed %d times, want one each", trips, closes)
	}
	for _, r := range f.Replicas {
		if len(r.failed) > 0 || len(r.bad) > 0 {
			t.Errorf("%s: %v %v", r.Name, r.failed, r.bad)
		}
	}
}
