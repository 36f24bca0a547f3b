package topology

import (
	"testing"

	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/chaos/board"
	"github.com/commontrip/commontrip/tests/chaos/scenario"
)

func TestRow19HalfOfAFleetIsCutOff(t *testing.T) {
	row := board.Start(t, 19, "partition")
	s := startIsland(t)
	ways := []scenario.Way{scenario.Both, scenario.Requests, scenario.Replies}
	if row.Full() {
		ways = append(ways, append(ways, ways...)...)
	}
	scenario.Partitions(t, row, scenario.Divided{
		Near: func() (store.Store, error) { return open(s.near) },
		Far:  func() (store.Store, error) { return open(s.far) },
		Cut:  s.cut,
	}, ways, board.Pick(row, 3, 20))
}
