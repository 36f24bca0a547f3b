package topology

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
	"github.com/commontrip/commontrip/tests/redistest"
)

const probes = 3

// afterLostLeases is a store that has lost the leases of a half-open breaker in a failover, and what a replica that holds
// them knows. Its clock stands until it is moved.
type afterLostLeases struct {
	*redisstore.Store
	clock atomic.Int64 // ms
	known store.Known
}

func loseLeases(t *testing.T) *afterLostLeases {
	t.Helper()
	pair := startPair(t)
	a := &afterLostLeases{}
	a.pass(time.Since(time.Unix(0, 0)))
	at := func(n Node) *redisstore.Store {
		s, err := redisstore.Open("redis://"+n.Addr(), redisstore.WithClock(func() time.Time { return time.UnixMilli(a.clock.Load()) }),
			redisstore.WithTimeout(redistest.Deadline))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	a.Store = at(pair.Master)
	report := a.Sync(t.Context(), []store.Report{{
		Name: "tier", Policy: leased, Replica: "web#1", Seq: 1, MaxAge: time.Minute, Runs: []store.Run{{Outcome: store.Failure, Count: 1}},
	}})[0]
	if report.Err != nil || report.Snapshot.State != store.Open {
		t.Fatal(report)
	}
	Follow(t, pair.Replica, pair.Master)
	Detach(t, pair.Replica)
	a.pass(leased.OpenFor)
	g := a.claim(t, "witness#1", store.Known{})
	if len(g.Leases) != probes {
		t.Fatalf("%d leases before the failover; want %d", len(g.Leases), probes)
	}
	a.known = store.Known{
		Generation: g.Snapshot.Generation, State: store.HalfOpen, Reason: g.Snapshot.Reason, Cause: g.Snapshot.Cause,
		Openings: g.Snapshot.Openings,
	}
	pair.Master.Kill()
	Promote(t, pair.Replica)
	a.Store = at(pair.Replica)
	a.pass(time.Millisecond)
	return a
}

var leased = store.Policy{ConsecutiveFailures: 1, OpenFor: time.Second, Probes: probes, ProbeSuccesses: 100, ProbeLease: time.Minute}

func (a *afterLostLeases) pass(d time.Duration) { a.clock.Add(d.Milliseconds()) }

func (a *afterLostLeases) claim(t *testing.T, replica string, known store.Known) store.Grant {
	t.Helper()
	g, err := a.Claim(t.Context(), store.Claim{
		Name: "tier", ID: replica + time.UnixMilli(a.clock.Load()).String(), Policy: leased, Replica: replica, Want: 10, Known: known,
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// docs/semantics.md: leases may be given twice after a failover that lost them, and never more often.
func TestLostLeasesAreGivenTwiceAtMost(t *testing.T) {
	a := loseLeases(t)
	again := 0
	for range 5 { // while the lost ones run on
		again += len(a.claim(t, "stranger#1", store.Known{}).Leases)
		again += len(a.claim(t, "witness#1", a.known).Leases)
		a.pass(time.Second)
	}
	if again != probes {
		t.Errorf("%d leases were given beside the %d lost ones; want %d", again, probes, probes)
	}
}

// docs/semantics.md: if a replica that knows of them asks first, they have ended before new ones are given.
func TestLostLeasesThatAReplicaKnowsOfEndFirst(t *testing.T) {
	a := loseLeases(t)
	for range 5 {
		for _, grant := range []store.Grant{a.claim(t, "witness#1", a.known), a.claim(t, "stranger#1", store.Known{})} {
			if len(grant.Leases) > 0 {
				t.Fatalf("%d leases are given while the lost ones run on", len(grant.Leases))
			}
		}
		a.pass(time.Second)
	}
	a.pass(leased.ProbeLease)
	if g := a.claim(t, "stranger#1", store.Known{}); len(g.Leases) != probes {
		t.Errorf("%d leases after the lost ones have ended; want %d", len(g.Leases), probes)
	}
}
