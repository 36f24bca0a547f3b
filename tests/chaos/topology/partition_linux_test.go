package topology

import (
	"testing"
	"time"

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

func TestRow20PacketsAreLost(t *testing.T) {
	row := board.Start(t, 20, "loss and a thin pipe")
	s := startIsland(t)
	dropped := 0
	pass := func() {
		dropped += s.dropped()
		s.rules("", "")
	}
	grades := []scenario.Grade{
		{Name: "no fault"},
		{Name: "10 % loss", Begin: func() { s.lose(10) }, End: pass},
		{Name: "30 % loss", Begin: func() { s.lose(30) }, End: pass},
	}
	if s.thin() {
		s.wide()
		grades = append(grades, scenario.Grade{Name: "256 kbit/s", Begin: func() { s.thin() }, End: s.wide})
	} else {
		row.Report("256 kbit/s", "not played: this kernel has no tbf")
	}
	scenario.Degrade(t, row, scenario.Degraded{
		Server: process{s.Server}, Open: func() (store.Store, error) { return open(s.near) },
	}, grades, board.Pick(row, 4*time.Second, time.Minute))
	row.AtLeast("packets lost", dropped, 20)
}
