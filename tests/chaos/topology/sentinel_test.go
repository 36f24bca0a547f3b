package topology

import (
	"testing"

	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
	"github.com/commontrip/commontrip/tests/redistest"
)

func TestScenario16TheSentinelsFindAnotherMaster(t *testing.T) {
	scenario := scoreboard.Start(t, 16, "real Sentinel failover")
	blows := []Blow{Killed, Stopped}
	for range scoreboard.Pick(scenario, 0, 9) {
		blows = append(blows, Killed, Stopped)
	}
	Failovers(t, scenario, startWatched(t), blows)
}

// startWatched starts a master and two replicas under three Sentinels.
func startWatched(t *testing.T) Watched {
	t.Helper()
	master := redistest.Start(t)
	w := Watched{Name: "main", Nodes: []Node{process{master}}}
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
	w.Direct = func(n Node) (store.Store, error) { return open(n.Addr()) }
	return w
}
