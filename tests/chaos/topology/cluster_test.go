package topology

import (
	"testing"

	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
	"github.com/commontrip/commontrip/tests/redistest"
)

func TestScenario18SlotsOfAClusterMove(t *testing.T) {
	scenario := scoreboard.Start(t, 18, "Cluster")
	nodes := redistest.StartCluster(t, 3, "--cluster-require-full-coverage", "no")
	s := Shards{Revive: true, Open: func() (store.Store, error) { return redisstore.Open(redistest.ClusterURL(nodes)) }}
	for _, n := range nodes {
		s.Nodes = append(s.Nodes, process{n})
	}
	Migrations(t, scenario, s, scoreboard.Pick(scenario, 3, 48))
}
