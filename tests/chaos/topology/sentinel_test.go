package topology

import (
	"testing"

	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
	"github.com/commontrip/commontrip/tests/chaos/board"
	"github.com/commontrip/commontrip/tests/chaos/scenario"
	"github.com/commontrip/commontrip/tests/redistest"
)

func TestRow16TheSentinelsFindAnotherMaster(t *testing.T) {
	row := board.Start(t, 16, "real Sentinel failover")
	blows := []scenario.Blow{scenario.Killed, scenario.Stopped}
	for range board.Pick(row, 0, 9) {
		blows = append(blows, scenario.Killed, scenario.Stopped)
	}
	scenario.Failovers(t, row, startWatched(t), blows)
}

// startWatched starts a master and two replicas under three Sentinels.
func startWatched(t *testing.T) scenario.Watched {
	t.Helper()
	master := redistest.Start(t)
	w := scenario.Watched{Name: "main", Nodes: []scenario.Node{process{master}}}
	for range 2 {
		replica := redistest.Start(t)
		replica.Follow(master)
		w.Nodes = append(w.Nodes, process{replica})
	}
	url, separator := "", "?master_name=main&addr="
	for _, s := range redistest.StartSentinels(t, w.Name, master, 2) {
		w.Sentinels = append(w.Sentinels, process{s})
		if url == "" {
			url = s.URL()
			continue
		}
		url += separator + s.Addr()
		separator = "&addr="
	}
	w.Open = func() (store.Store, error) { return redisstore.Open(url) }
	w.Direct = func(n scenario.Node) (store.Store, error) { return open(n.Addr()) }
	return w
}
