package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
	"github.com/commontrip/commontrip/store/storetest"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/redistest"
)

func TestConformanceOnCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("TestConformanceOnRedis plays the laws, and other tests cross the slots of a Cluster")
	}
	nodes := redistest.StartCluster(t, 3)
	flush := func(t testing.TB) {
		for _, node := range nodes {
			if got, err := node.Command("FLUSHALL"); err != nil || got != "+OK" {
				t.Fatal(got, err)
			}
		}
	}
	storetest.Run(t, func(t testing.TB) storetest.Harness {
		flush(t)
		return storetest.Harness{
			Open: func(t testing.TB, now func() time.Time) store.Store {
				s, err := redisstore.Open(redistest.ClusterURL(nodes), redisstore.WithClock(now), redisstore.WithTimeout(30*time.Second))
				if err != nil {
					t.Fatal(err)
				}
				return s
			},
			Wipe: flush,
		}
	})
}

func clusterOf(t *testing.T, opts ...redisstore.Option) ([]*redistest.Server, *redisstore.Store) {
	t.Helper()
	nodes := redistest.StartCluster(t, 3, "--cluster-require-full-coverage", "no")
	opts = append([]redisstore.Option{redisstore.WithTimeout(time.Minute)}, opts...) // as long as a store may wait for a busy machine
	s, err := redisstore.Open(redistest.ClusterURL(nodes), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return nodes, s
}

func report(name string, seq uint64) store.Report {
	return store.Report{
		Name: name, Policy: store.DefaultPolicy(), Replica: "web#1", Seq: seq, MaxAge: time.Minute,
		Runs: []store.Run{{Outcome: store.Success, Count: 1}},
	}
}

func names(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("{b}%d", i) // braces must not gather them in one slot
	}
	return out
}

// TestASlotThatMovesLosesNoReport migrates a breaker's slot, key by key, under its reports: MOVED, ASK and TRYAGAIN.
func TestASlotThatMovesLosesNoReport(t *testing.T) {
	nodes, s := clusterOf(t)
	ctx := context.Background()
	seq := uint64(0)
	syncs := func(when string) {
		t.Helper()
		for range 3 {
			seq++
			results := s.Sync(ctx, []store.Report{report("mover", seq), report("other", seq)})
			for i, r := range results {
				if r.Err != nil || r.Snapshot.Totals.Calls != seq {
					t.Fatalf("%s, report %d: %d calls, %v; want %d", when, i, r.Snapshot.Totals.Calls, r.Err, seq)
				}
			}
			if _, err := s.Command(ctx, store.Command{Name: "mover", Action: store.Retune, Policy: store.DefaultPolicy(), By: "me"}); err != nil {
				t.Fatalf("%s: %v", when, err)
			}
			if all, err := s.Read(ctx, "mover", "other"); err != nil || len(all) != 2 {
				t.Fatalf("%s: %v, %v", when, all, err)
			}
		}
	}
	syncs("before")

	const key = "commontrip:{mover}"
	client := func(node *redistest.Server) *redis.Client {
		c := redis.NewClient(&redis.Options{Addr: node.Addr()})
		t.Cleanup(func() { c.Close() })
		return c
	}
	slot := client(nodes[0]).ClusterKeySlot(ctx, key).Val()
	from := int(slot) * 3 / 16384
	source, target := client(nodes[from]), client(nodes[(from+1)%3])
	id := func(c *redis.Client) string { return c.Do(ctx, "cluster", "myid").Val().(string) }
	must := func(c *redis.Client, args ...any) {
		t.Helper()
		if err := c.Do(ctx, args...).Err(); err != nil {
			t.Fatalf("%v: %v", args, err)
		}
	}
	must(target, "cluster", "setslot", slot, "importing", id(source))
	must(source, "cluster", "setslot", slot, "migrating", id(target))
	syncs("while the slot moves, the key not yet")
	host, port, _ := strings.Cut(target.Options().Addr, ":")
	must(source, "migrate", host, port, key, 0, 5000)
	syncs("while the slot moves, the key already")
	for _, c := range []*redis.Client{target, source} {
		must(c, "cluster", "setslot", slot, "node", id(target))
	}
	syncs("after")
}

// TestAHungNodeHoldsOnlyItsOwnBreakers stops one of three nodes.
func TestAHungNodeHoldsOnlyItsOwnBreakers(t *testing.T) {
	nodes, s := clusterOf(t, redisstore.WithTimeout(4*time.Second)) // enough for a healthy node on a busy machine
	ctx := context.Background()
	lanes := map[int][]store.Report{}
	for _, name := range names(200) {
		lanes[s.Lane(name)] = append(lanes[s.Lane(name)], report(name, 1))
	}
	for _, reports := range lanes {
		for _, r := range s.Sync(ctx, reports) {
			if r.Err != nil {
				t.Fatal(r.Err)
			}
		}
	}
	nodes[0].Stop()
	defer nodes[0].Cont()
	var failed, fine atomic.Int32
	var exchanges sync.WaitGroup
	for _, reports := range lanes {
		exchanges.Go(func() {
			for _, r := range s.Sync(ctx, reports) {
				if r.Err != nil {
					failed.Add(1)
					return
				}
			}
			fine.Add(1)
		})
	}
	exchanges.Wait()
	// A third of the slots hang: 10.67 of 32 ranges.
	if failed.Load() < 1 || failed.Load() > 11 || fine.Load() < 21 {
		t.Errorf("%d lanes fail, %d are fine; want no more than the 11 that touch the hung node", failed.Load(), fine.Load())
	}
}

// A node that is dead redirects nobody to the replica that has its slots now, and the client asks for them once a minute.
func TestAReplicaThatTookADeadMastersPlaceIsFound(t *testing.T) {
	nodes, s := clusterOf(t)
	replica := redistest.Start(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--repl-diskless-sync-delay", "0")
	says := func(n *redistest.Server, want string, args ...string) {
		t.Helper()
		until(t, fmt.Sprintf("%q answers %q", args, want), func() bool {
			ask := n.Text
			if want == "+OK" {
				ask = n.Command
			}
			text, err := ask(args...)
			return err == nil && strings.Contains(text, want)
		})
	}
	// A node that has not heard of the replica would never hear of it from a dead master, and a replica that has not heard of its
	// master's slots takes none over.
	until(t, "all nodes know each other", func() bool { return knowEachOther(append(slices.Clip(nodes), replica)) })
	own, err := nodes[0].Text("CLUSTER", "MYID")
	if err != nil {
		t.Fatal(err)
	}
	says(replica, "+OK", "CLUSTER", "REPLICATE", own)
	says(replica, "master_link_status:up", "INFO", "replication")
	works := func(seq uint64) func() bool {
		return func() bool {
			for _, name := range names(64) {
				if s.Sync(context.Background(), []store.Report{report(name, seq)})[0].Err != nil {
					return false
				}
			}
			return true
		}
	}
	until(t, "reports are taken", works(1))
	nodes[0].Kill()
	says(replica, "+OK", "CLUSTER", "FAILOVER", "TAKEOVER")
	until(t, "reports are taken by the replica, too", works(2))
}

// knowEachOther reports that each node knows all others and who serves which slots. It lets those meet that do not: a handshake
// that takes longer than a second, as it may on a busy machine, is given up.
func knowEachOther(nodes []*redistest.Server) bool {
	all := true
	for _, n := range nodes {
		known, err := n.Text("CLUSTER", "NODES")
		info, err2 := n.Text("CLUSTER", "INFO")
		all = all && errors.Join(err, err2) == nil && !strings.Contains(known, "handshake") && strings.Contains(info, "cluster_slots_ok:16384\r")
		for _, other := range nodes {
			if !strings.Contains(known, other.Addr()+"@") {
				_, _ = n.Command("CLUSTER", "MEET", "127.0.0.1", strings.TrimPrefix(other.Addr(), "127.0.0.1:"))
				all = false
			}
		}
	}
	return all
}

// until waits for what a Cluster needs some time to do.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	await.Until(t, what, done)
}

func TestReadOfAllCrossesSlots(t *testing.T) {
	_, s := clusterOf(t)
	ctx := context.Background()
	var reports []store.Report
	for _, name := range names(100) {
		reports = append(reports, report(name, 1))
	}
	for _, r := range s.Sync(ctx, reports) {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	all, err := s.Read(ctx)
	if err != nil || len(all) != 100 {
		t.Errorf("%d breakers, %v", len(all), err)
	}
	versions, err := s.Versions(ctx, names(100)...)
	if err != nil || len(versions) != 100 {
		t.Errorf("%d versions, %v", len(versions), err)
	}
}
