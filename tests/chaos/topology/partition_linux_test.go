package topology

import (
	"testing"
	"time"

	"github.com/commontrip/commontrip/internal/lab/relay"
	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
)

func TestScenario19HalfOfAFleetIsCutOff(t *testing.T) {
	scenario := scoreboard.Start(t, 19, "partition")
	s := startNamespace(t)
	ways := []relay.Way{relay.Both, relay.Requests, relay.Replies}
	if scenario.Full() {
		ways = append(ways, append(ways, ways...)...)
	}
	Partitions(t, scenario, Divided{
		Near:   func() (store.Store, error) { return open(s.near) },
		Remote: func() (store.Store, error) { return open(s.remote) },
		Cut:    s.cut,
	}, ways, scoreboard.Pick(scenario, 3, 20))
}

func TestScenario20PacketsAreLost(t *testing.T) {
	scenario := scoreboard.Start(t, 20, "loss and a thin pipe")
	s := startNamespace(t)
	dropped := 0
	pass := func() {
		dropped += s.dropped()
		s.rules("", "")
	}
	grades := []Grade{
		{Name: "no fault"},
		{Name: "10 % loss", Begin: func() { s.lose(10) }, End: pass},
		{Name: "30 % loss", Begin: func() { s.lose(30) }, End: pass},
	}
	if s.thin() {
		s.wide()
		grades = append(grades, Grade{Name: "256 kbit/s", Begin: func() { s.thin() }, End: s.wide})
	} else {
		scenario.Report("256 kbit/s", "not played: this kernel has no tbf")
	}
	Degrade(t, scenario, Degraded{
		Server: process{s.Server}, Open: func() (store.Store, error) { return open(s.near) },
	}, grades, scoreboard.Pick(scenario, 4*time.Second, time.Minute))
	scenario.AtLeast("packets lost", dropped, 20)
}
