package machine

import (
	"fmt"
	"testing"
	"time"

	"github.com/commontrip/commontrip/internal/limits"
	"github.com/commontrip/commontrip/store"
)

func TestAReplicaCountsInItsSliceAndTheNext(t *testing.T) {
	r := newRig(t, store.Policy{})
	r.now = 100 * limits.SliceFor
	r.report("web-1")
	for _, c := range []struct {
		at       int64
		replicas int
	}{{0, 1}, {limits.SliceFor - 1, 1}, {limits.SliceFor, 1}, {2*limits.SliceFor - 1, 1}, {2 * limits.SliceFor, 0}, {9 * limits.SliceFor, 0}} {
		now := 100*limits.SliceFor + c.at
		snapshot, _ := r.m.Snapshot(now, "tier")
		equal(t, fmt.Sprint("replicas after ", c.at), snapshot.Replicas, c.replicas)
		equal(t, fmt.Sprint("roster after ", c.at), len(r.m.Roster(now)), c.replicas)
	}
}

func TestReplicasOfTwoSlicesAreCountedOnce(t *testing.T) {
	r := newRig(t, store.Policy{})
	r.now = 100 * limits.SliceFor
	for _, slice := range []string{"ab", "bc", "c", "", "d", "de"} {
		for _, name := range slice {
			r.report(string(name))
			r.report(string(name), run(success, 1))
		}
		equal(t, "counted after "+slice, r.m.roster.counted(r.now/limits.SliceFor), len(r.m.Roster(r.now)))
		equal(t, "reporting after "+slice, r.m.roster.reporting(r.now/limits.SliceFor), len(r.m.Roster(r.now)))
		r.now += limits.SliceFor
	}
}

func TestTheRosterIsByNameAndForgetsWhoIsGone(t *testing.T) {
	r := newRig(t, store.Policy{})
	for _, name := range []string{"web-2", "web-10", "web-1"} {
		r.report(name, run(failure, 1), run(success, 2))
	}
	report := r.blank("web-2")
	report.OwnOpen = true
	r.now += second
	r.send(report)
	equal(t, "roster", fmt.Sprintf("%+v", r.m.Roster(r.now)), fmt.Sprintf("%+v", []store.Replica{
		{Name: "web-1", Seen: time.Second, Calls: 3, Failures: 1},
		{Name: "web-10", Seen: time.Second, Calls: 3, Failures: 1},
		{Name: "web-2", Calls: 3, Failures: 1, OwnOpen: true},
	}))
	for i := range 1000 {
		r.report(fmt.Sprint("pod-", i))
	}
	r.now += 2 * limits.SliceFor
	r.report("web-1", run(success, 1))
	equal(t, "kept", len(r.m.roster.replicas), 1)
	equal(t, "calls start again", r.m.Roster(r.now)[0].Calls, 1)
}

func TestARepeatIsSeen(t *testing.T) {
	r := newRig(t, store.Policy{})
	report := r.blank("web-1")
	report.Seq, report.OwnOpen = 0, true
	r.send(report)
	equal(t, "roster", fmt.Sprintf("%+v", r.m.Roster(r.now)), fmt.Sprintf("%+v", []store.Replica{{Name: "web-1", OwnOpen: true}}))
	equal(t, "replicas", r.read().Replicas, 1)
	equal(t, "its first Seq is heard", r.report("web-1", run(success, 1)).Snapshot.Totals.Calls, 1)
}
