package machine

import (
	"testing"
	"time"

	"github.com/commontrip/commontrip/internal/limits"
	"github.com/commontrip/commontrip/store"
)

func TestAClockThatStepsBackLengthensNoDeadline(t *testing.T) {
	r := newRig(t, store.Policy{OpenFor: time.Minute})
	r.report("web-1")
	r.command(store.Command{Action: store.Trip})
	r.now += 10 * second
	r.report("web-1") // the last script before the step: 50 s are left
	r.now -= hour
	equal(t, "left", r.read().RetryIn, 50*time.Second)
	equal(t, "refused", len(r.claim("web-1", "c1", 1).Leases), 0)
	r.now += 50*second - 1
	equal(t, "1 ms short", r.claim("web-1", "c2", 1).RetryIn, time.Millisecond)
	r.now++
	equal(t, "granted", len(r.claim("web-1", "c3", 1).Leases), 1)
}

func TestAStepBackCostsOnlyTheTimeInWhichNoScriptRan(t *testing.T) {
	r := newRig(t, store.Policy{OpenFor: time.Minute})
	r.report("web-1")
	r.command(store.Command{Action: store.Trip})
	r.now += 10*second - hour // ten seconds without a script, then the step
	equal(t, "left", r.read().RetryIn, time.Minute)
}

func TestAStepForwardEndsDeadlinesEarly(t *testing.T) {
	r := newRig(t, store.Policy{OpenFor: time.Hour})
	r.report("web-1")
	r.command(store.Command{Action: store.Trip})
	r.now += 2 * hour
	equal(t, "state", r.claim("web-1", "c1", 1).Snapshot.State, store.HalfOpen)
}

func TestTimesOfDayAreTheStoresClock(t *testing.T) {
	r := newRig(t, store.Policy{})
	r.report("web-1")
	r.now -= hour
	made := r.command(store.Command{Action: store.ForceOpen}).Made
	equal(t, "at", made.At, time.UnixMilli(r.now).UTC())
	s := r.read()
	equal(t, "note", s.ModeNote.At, time.UnixMilli(r.now).UTC())
	equal(t, "since", s.Since, time.UnixMilli(r.now).UTC()) // machine time stood still since it was made
	equal(t, "age", s.Age, 0)
	r.now += minute
	equal(t, "history", r.newest().At, time.UnixMilli(r.now-minute).UTC())
}

func TestReadsWriteNothing(t *testing.T) {
	r := newRig(t, store.Policy{})
	r.report("web-1")
	r.halfOpen("web-1", "c1", 2)
	r.command(store.Command{Action: store.Retune, Policy: store.Policy{WindowTime: time.Second}, For: time.Hour})
	r.report("web-1", run(success, 3), run(failure, 1))
	before := inside(&r.m)
	r.now += limits.Day
	r.read()
	r.m.Roster(r.now)
	r.m.History(r.now, "tier", 0)
	r.m.Version(r.now, "tier")
	r.m.Empty(r.now)
	equal(t, "inside", inside(&r.m), before)
}

func TestBothNumbersBeginAtTheTimeSoThatALostOneIsNotUsedAgain(t *testing.T) {
	r := newRig(t, store.Policy{})
	r.report("web-1")
	equal(t, "first generation", r.read().Generation, 0)
	equal(t, "trip", r.command(store.Command{Action: store.Trip}).Snapshot.Generation, uint64(r.now))
	equal(t, "in the same ms", r.command(store.Command{Action: store.Reset}).Snapshot.Generation, uint64(r.now)+1)
	equal(t, "rev", r.command(store.Command{Action: store.ForceOpen}).Snapshot.Rev, uint64(r.now))
}
