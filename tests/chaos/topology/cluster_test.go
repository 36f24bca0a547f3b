package topology

import (
	"testing"

	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
	"github.com/commontrip/commontrip/tests/chaos/board"
	"github.com/commontrip/commontrip/tests/chaos/scenario"
	"github.com/commontrip/commontrip/tests/redistest"
)

func TestRow18SlotsOfAClusterMove(t *testing.T) {
	row := board.Start(t, 18, "Cluster")
	nodes := redistest.StartCluster(t, 3, "--cluster-require-full-coverage", "no")
	s := scenario.Shards{Revive: true, Open: func() (store.Store, error) { return redisstore.Open(redistest.ClusterURL(nodes)) }}
	for _, n := range nodes {
		s.Nodes = append(s.Nodes, process{n})
	}
	scenario.Migrations(t, row, s, board.Pick(row, 3, 48))
}
