package redisstore

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/redistest"
)

// TestAFailoverKeepsVerdictAndChannel kills the master of a replica that a Sentinel watches: the verdict is there, reports
// count, and pushes come from the new master.
func TestAFailoverKeepsVerdictAndChannel(t *testing.T) {
	if testing.Short() {
		t.Skip("a failover takes seconds: not with -short")
	}
	master, replica := redistest.Start(t), redistest.Start(t)
	replica.Follow(master)
	sentinel := redistest.StartSentinel(t, "main", master)
	waitFor(t, "the Sentinel sees the replica", func() bool {
		info, err := sentinel.Text("INFO", "sentinel")
		return err == nil && strings.Contains(info, "slaves=1")
	})
	ctx := context.Background()
	s := openOn(t, sentinel.URL()+"?master_name=main")
	events, _ := watch(t, s)
	nextOf(t, events, true)
	first := s.Sync(ctx, []store.Report{failures("x", "web#1", 1, 5)})[0]
	if first.Err != nil || first.Snapshot.State != store.Open {
		t.Fatalf("%+v", first)
	}
	waitFor(t, "the replica has the verdict", func() bool { // WAIT tells of the writes of its own connection only
		got, err := replica.Command("EXISTS", keys{"commontrip"}.breaker("x"))
		return err == nil && got == ":1"
	})
	master.Kill()
	var r store.Result
	waitFor(t, "a report is taken after the failover", func() bool {
		r = s.Sync(ctx, []store.Report{failures("x", "web#1", 2, 1)})[0]
		return r.Err == nil
	})
	if r.Snapshot.Generation != first.Snapshot.Generation || r.Snapshot.State != store.Open {
		t.Errorf("the new master says %+v", r.Snapshot)
	}
	// A subscription that was made again says so; then a transition comes through it.
	nextOf(t, events, true)
	waitFor(t, "a push from the new master", func() bool {
		if _, err := s.Command(ctx, store.Command{Name: "x", Action: store.Reset, By: "me"}); err != nil {
			return false
		}
		select {
		case e := <-events:
			return !e.Resync && e.Transition.Action == store.Reset
		case <-time.After(100 * time.Millisecond):
			return false
		}
	})
}

// TestAWatchLeavesAMasterThatHangs stops the master. The client left the subscription with it, so that a watch heard nothing
// until its ping was not answered: six seconds.
func TestAWatchLeavesAMasterThatHangs(t *testing.T) {
	if testing.Short() {
		t.Skip("a failover takes seconds: not with -short")
	}
	master, replica := redistest.Start(t), redistest.Start(t)
	replica.Follow(master)
	sentinel := redistest.StartSentinel(t, "main", master)
	waitFor(t, "the Sentinel sees the replica", func() bool {
		info, err := sentinel.Text("INFO", "sentinel")
		return err == nil && strings.Contains(info, "slaves=1")
	})
	s := openOn(t, sentinel.URL()+"?master_name=main")
	s.pingAfter = time.Hour // silence is not the reason
	events, _ := watch(t, s)
	nextOf(t, events, true)
	master.Stop()
	defer master.Cont()
	waitFor(t, "an exchange with the new master", func() bool {
		return s.Sync(context.Background(), []store.Report{failures("x", "web#1", 1, 1)})[0].Err == nil && s.Pushes().Gaps > 0
	})
	nextOf(t, events, true)
}
