package chaos

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/chaos/replica"
)

const tierName = "tier"

// operator is a store of no replica, by which a test looks at what the fleet shares.
func operator(t testing.TB, url string, opts ...redisstore.Option) *redisstore.Store {
	t.Helper()
	patient := []redisstore.Option{redisstore.WithTimeout(30 * time.Second)} // it looks on, and is not what is attacked
	s, err := redisstore.Open(url, append(patient, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// truth is what the store says of the tier, once it says anything.
func truth(t testing.TB, s store.Store) store.Snapshot {
	t.Helper()
	return truthOf(t, s, tierName)
}

func truthOf(t testing.TB, s store.Store, name string) (snapshot store.Snapshot) {
	t.Helper()
	await.Until(t, "the store answers", func() bool {
		snapshots, err := s.Read(context.Background(), name)
		if err != nil || len(snapshots) != 1 {
			return false
		}
		snapshot = snapshots[0]
		return true
	})
	return snapshot
}

// command is an operator's.
func command(t testing.TB, s store.Store, c store.Command) store.Snapshot {
	t.Helper()
	c.Name, c.By = tierName, "test"
	result, err := s.Command(context.Background(), c)
	if err != nil {
		t.Fatalf("%v: %v", c.Action, err)
	}
	return result.Snapshot
}

// counted is how many outcomes of a replica the store has counted, by its roster.
func counted(t testing.TB, s store.Store, replica string) uint64 {
	t.Helper()
	return countedOf(t, s, tierName, replica)
}

func countedOf(t testing.TB, s store.Store, name, replica string) uint64 {
	t.Helper()
	roster, err := s.Roster(context.Background(), name)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range roster {
		if r.Name == replica {
			return r.Calls
		}
	}
	return 0
}

// join makes a replica in this process, of the fleet that calls name. It is closed with the test.
func join(t testing.TB, url, replica, name string, opts ...breaker.ManagerOption) *breaker.Breaker {
	t.Helper()
	b, _ := joinManager(t, url, replica, name, opts...)
	return b
}

func joinManager(t testing.TB, url, replica, name string, opts ...breaker.ManagerOption) (*breaker.Breaker, *breaker.Manager) {
	t.Helper()
	s, err := redisstore.Open(url)
	if err != nil {
		t.Fatal(err)
	}
	m, err := breaker.NewManager(s, append(opts, breaker.WithReplica(replica))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = m.Close(ctx) // a store that is down by now may keep it from reporting
		_ = s.Close()
	})
	b, err := m.Register(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return b, m
}

// startAll starts n replicas at once, named web-0 and so on, and waits until all of them are ready.
func startAll(t testing.TB, n int, c replica.Config) []*replica.Replica {
	t.Helper()
	fleet := make([]*replica.Replica, n)
	for i := range fleet {
		c.Name = fmt.Sprintf("web-%d", i)
		fleet[i] = replica.Launch(t, c)
	}
	for _, r := range fleet {
		r.Ready()
	}
	return fleet
}

// converge waits until every replica and the store hold the same two numbers, and rule by the fleet's verdict.
func converge(t testing.TB, s store.Store, fleet ...*replica.Replica) {
	t.Helper()
	await.Until(t, "replicas and store are one", func() bool {
		now := truth(t, s)
		for _, r := range fleet {
			state := r.Status()
			if state.Fleet.Generation != now.Generation || state.Fleet.Rev != now.Rev || !state.StoreUp {
				return false
			}
		}
		return true
	})
}

// heard tells whether the replica's listener heard of kind.
func heard(r *replica.Replica, kind breaker.EventKind) bool {
	for _, e := range r.Events() {
		if e.Kind == kind.String() {
			return true
		}
	}
	return false
}

// pass lets a fault last.
func pass(d time.Duration) { <-time.After(d) }

// missing is what is left of a after b, and nothing if b is more.
func missing(a, b uint64) int {
	if b >= a {
		return 0
	}
	return int(a - b)
}
