package integration

import (
	"os"
	"testing"

	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/chaos/board"
	"github.com/commontrip/commontrip/tests/chaos/scenario"
)

// row begins a row of the scoreboard, in the quick profile where none is asked for.
func row(t *testing.T, number int, name string) *board.Row {
	t.Helper()
	if os.Getenv("COMMONTRIP_CHAOS") == "" {
		t.Setenv("COMMONTRIP_CHAOS", string(board.Quick))
	}
	return board.Start(t, number, name)
}

// TestRowsOnAPair plays what befalls a master and its replica, for each kind of server.
func TestRowsOnAPair(t *testing.T) {
	needDocker(t)
	for name, kind := range map[string]kind{"one Redis": simple(), "TLS": encrypted(t), "least rights": least(t)} {
		t.Run(name, func(t *testing.T) {
			w := newTown(t, ownImage(t))
			pair := &scenario.Pair{
				Master: kind.node(w, "--repl-diskless-sync-delay", "0"), Replica: kind.node(w, "--repl-diskless-sync-delay", "0"),
				Open: func(addr string) (store.Store, error) { return kind.open(addr) },
			}
			t.Run("row 17", func(t *testing.T) {
				scenario.TwoMasters(t, row(t, 17, "two masters"), pair, 2)
			})
			t.Run("row 19", func(t *testing.T) {
				far := scenario.NewSwitch(t, pair.Master.Addr())
				scenario.Partitions(t, row(t, 19, "partition"), scenario.Divided{
					Near: func() (store.Store, error) { return kind.open(pair.Master.Addr()) },
					Far:  func() (store.Store, error) { return kind.open(far.Addr()) },
					Cut:  far.Hold,
				}, []scenario.Way{scenario.Both, scenario.Replies}, 2)
			})
			t.Run("row 15", func(t *testing.T) { // last: it ends with a dead node
				scenario.LostWrites(t, row(t, 15, "failover with lost writes"), pair, 1)
			})
		})
	}
}

// TestRow16TheSentinelsFindAnotherMaster lets a master hang, and the next one die.
func TestRow16TheSentinelsFindAnotherMaster(t *testing.T) {
	needDocker(t)
	s := sentinels(t, ownImage(t))
	w := scenario.Watched{
		Name: "main", Open: func() (store.Store, error) { return s.open() },
		Direct: func(n scenario.Node) (store.Store, error) { return simple().open(n.Addr()) },
	}
	for _, n := range s.nodes {
		w.Nodes = append(w.Nodes, n)
	}
	for _, n := range s.guards {
		w.Sentinels = append(w.Sentinels, n)
	}
	scenario.Failovers(t, row(t, 16, "real Sentinel failover"), w, []scenario.Blow{scenario.Stopped, scenario.Killed})
}

// TestRow18SlotsOfAClusterMove moves slots between containers, and kills one.
func TestRow18SlotsOfAClusterMove(t *testing.T) {
	needDocker(t)
	c := cluster(t, ownImage(t))
	s := scenario.Shards{Revive: true, Open: func() (store.Store, error) { return c.open() }}
	for _, n := range c.nodes {
		s.Nodes = append(s.Nodes, n)
	}
	scenario.Migrations(t, row(t, 18, "Cluster"), s, 3)
}
