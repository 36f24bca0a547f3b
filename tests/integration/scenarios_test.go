package integration

import (
	"fmt"
	"os"
	"testing"

	"github.com/commontrip/commontrip/internal/lab/relay"
	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
	"github.com/commontrip/commontrip/tests/chaos/topology"
)

// scenario begins a scenario of the scoreboard, in the quick profile if none is asked for.
func scenario(t *testing.T, number int, name string) *scoreboard.Scenario {
	t.Helper()
	if os.Getenv("COMMONTRIP_CHAOS") == "" {
		t.Setenv("COMMONTRIP_CHAOS", string(scoreboard.Quick))
	}
	return scoreboard.Start(t, number, name)
}

// stage is a shape in which servers can fail.
type stage struct {
	deployment topology.Deployment
	splits     int // into two masters: if somebody chooses who wins, each of them in turn
	watched    topology.Watched
	shards     topology.Shards
}

// TestScenarios plays what befalls each shape.
func TestScenarios(t *testing.T) {
	needDocker(t)
	for _, s := range []struct {
		shape     string
		start     func(t *testing.T) stage
		scenarios []int // in this order: 15, 16 and 18 end with a dead node or bring one back
	}{
		// 16 is a failover by Sentinels and 18 moves slots: a lone server or a pair has neither.
		{"one Redis", func(t *testing.T) stage { return pair(t, simple()) }, []int{17, 19, 15}},
		{"TLS", func(t *testing.T) stage { return pair(t, encrypted(t)) }, []int{17, 19, 15}},
		{"least rights", func(t *testing.T) stage { return pair(t, least(t)) }, []int{17, 19, 15}},
		// 18 moves slots: under Sentinels there are none.
		{"Sentinels", underSentinels, []int{17, 19, 15, 16}},
		// 16 is a failover by Sentinels: here 15 and 17 are the Cluster's own. 18 lets a node die that nobody replaces.
		{"Cluster with a replica", replicatedCluster, []int{17, 19, 15}},
		{"Cluster", bareCluster, []int{18}},
	} {
		t.Run(s.shape, func(t *testing.T) {
			on := s.start(t)
			for _, number := range s.scenarios {
				t.Run(fmt.Sprint("scenario ", number), func(t *testing.T) { play(t, number, on) })
			}
		})
	}
}

func play(t *testing.T, number int, on stage) {
	switch number {
	case 15:
		topology.LostWrites(t, scenario(t, 15, "failover with lost writes"), on.deployment, 1)
	case 16:
		on.deployment.Ready(t)
		topology.Failovers(t, scenario(t, 16, "real Sentinel failover"), on.watched, []topology.Blow{topology.Stopped, topology.Killed})
	case 17:
		topology.TwoMasters(t, scenario(t, 17, "two masters"), on.deployment, on.splits)
	case 18:
		topology.Migrations(t, scenario(t, 18, "Cluster"), on.shards, 3)
	case 19:
		on.deployment.Ready(t)
		near, remote := on.deployment.Route(t), on.deployment.Route(t)
		topology.Partitions(t, scenario(t, 19, "partition"), topology.Divided{Near: near.Open, Remote: remote.Open, Cut: remote.Hold},
			[]relay.Way{relay.Both, relay.Replies}, 2)
	}
}

func pair(t *testing.T, k kind) stage {
	sn := newServerNetwork(t, ownImage(t))
	return stage{splits: 2, deployment: &topology.Pair{
		Master: k.node(sn, "--repl-diskless-sync-delay", "0"), Replica: k.node(sn, "--repl-diskless-sync-delay", "0"),
		Open: func(addr string) (store.Store, error) { return k.open(addr) },
	}}
}

func underSentinels(t *testing.T) stage {
	q := newQuorum(t)
	return stage{splits: 1, deployment: q, watched: q.underSentinels}
}

func replicatedCluster(t *testing.T) stage { return stage{splits: 1, deployment: newReplicated(t)} }

func bareCluster(t *testing.T) stage {
	c := cluster(t, ownImage(t), thirds())
	return stage{shards: topology.Shards{
		Revive: true, Nodes: asNodes(c.nodes), Open: func() (store.Store, error) { return c.open() },
	}}
}
