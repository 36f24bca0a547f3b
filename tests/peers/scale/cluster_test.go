package scale

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/peers/measure"
	"github.com/commontrip/commontrip/tests/peers/page"
	"github.com/commontrip/commontrip/tests/redistest"
)

// TestTableCluster: one breaker that is called a hundred times as often as nine others, in a Cluster.
func TestTableCluster(t *testing.T) {
	table := page.NewTable("the first breaker is called", "node", "breakers", "scripts/s", "of a core", "calls/s, of all")
	for _, hot := range []int{1, 100} {
		t.Run(fmt.Sprintf("%d times", hot), func(t *testing.T) { cluster(t, table, hot) })
	}
	page.Show(t, "cluster", fmt.Sprintf("Three masters, %d replicas with %d breakers each.\n\n%s", clusterReplicas(), tiers, table))
}

func clusterReplicas() int { return measure.Pick(2, 20) }

func cluster(t *testing.T, table *page.Table, hot int) {
	t.Helper()
	nodes := redistest.StartCluster(t, 3)
	f := newFleet(t, onRedis(redistest.ClusterURL(nodes)), clusterReplicas(), tiers, store.Policy{})
	f.run(hot)
	pass(measure.Pick(200*time.Millisecond, 3*time.Second))
	loads := make([]measure.Load, len(nodes))
	for i, node := range nodes {
		loads[i] = measure.ReadLoad(t, node)
	}
	begun, calls := time.Now(), f.calls.Load()
	pass(measure.Pick(500*time.Millisecond, 8*time.Second))
	rate := float64(f.calls.Load()-calls) / time.Since(begun).Seconds()
	for i, node := range nodes {
		work := measure.ReadLoad(t, node).Since(loads[i])
		scripts, _ := work.Scripts()
		first, all := "", ""
		if i == 0 {
			first, all = fmt.Sprintf("%d times as often", hot), page.Number(rate)
		}
		table.Row(first, fmt.Sprintf("node %d", i+1), breakersOf(t, node), page.Number(work.PerSecond(scripts)), page.Percent(work.Share()), all)
	}
}

// breakersOf says how many breakers a node holds, and whether the first is one of them.
func breakersOf(t *testing.T, node *redistest.Server) string {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: node.Addr()})
	defer client.Close()
	keys, err := client.Keys(t.Context(), "commontrip:{tier-*").Result()
	if err != nil {
		t.Fatal(err)
	}
	text := page.Number(float64(len(keys)))
	if slices.Contains(keys, "commontrip:{"+tierName(0)+"}") {
		text += ", the first one too"
	}
	return text
}
