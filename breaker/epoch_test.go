package breaker

import (
	"testing"
	"time"
)

// at is an instant whose two clocks agree.
func at(up time.Duration) instant { return instant{up, up} }

func TestTheFirstSuccessThatWaitsReportsItself(t *testing.T) {
	var none *epoch
	e := none.next(nil, 1, 2, true)
	if e.generation != 1 || e.local != 2 || e.over() {
		t.Fatalf("a new epoch is %+v", e)
	}
	if !e.notice() || e.notice() {
		t.Error("not the first success alone reports itself")
	}
	e.successes.add()
	if n, _ := e.take(at(t0), false); n != 1 || e.notice() {
		t.Errorf("%d successes are taken, want 1; or the next one reports itself although nobody asked for that", n)
	}
	if n, _ := e.take(at(t0), true); n != 0 || !e.notice() {
		t.Errorf("%d successes are taken twice, or the next one does not report itself", n)
	}
}

func TestASuccessReportsNothingIfNobodyCollectsWhenTold(t *testing.T) {
	var none *epoch
	if none.next(nil, 1, 1, false).notice() {
		t.Error("its first success reports itself")
	}
}

func TestEverySuccessAfterTheEndReportsItself(t *testing.T) {
	var none *epoch
	e := none.next(nil, 1, 1, true)
	e.notice()
	e.end()
	e.take(at(t0), true)
	if !e.over() || e.flag.Load() == noticed {
		t.Error("the end is forgotten when the epoch is collected")
	}
	if e.notice() || !e.over() {
		t.Error("a late success begins the epoch again")
	}
}

func TestSuccessesOfABucketAreAsOldAsItsEnd(t *testing.T) {
	var none *epoch
	e := none.next(nil, 1, 1, true)
	if _, moment := e.take(at(t0), true); moment != at(t0) {
		t.Errorf("without buckets successes are of %v, want of now", moment.up-t0)
	}
	if !e.bucketOver(t0) {
		t.Error("before the first bucket none is over")
	}
	e.startBucket(t0, time.Second)
	for after, over := range map[time.Duration]bool{0: false, time.Second - 1: false, time.Second: true, time.Minute: true} {
		if e.bucketOver(t0+after) != over {
			t.Errorf("%v after it began the bucket is over: %v, want %v", after, !over, over)
		}
	}
	if _, moment := e.take(at(t0+time.Second/2), true); moment != at(t0+time.Second/2) {
		t.Errorf("within the bucket successes are of %v after its begin, want of now", moment.up-t0)
	}
	later := instant{t0 + time.Minute, 2 * t0} // the two clocks have run apart
	if _, moment := e.take(later, true); moment != (instant{t0 + time.Second, 2*t0 - 59*time.Second}) {
		t.Errorf("a minute later successes are of %v, %v; want of the bucket's end", moment.up, moment.wall)
	}
}

func TestTheNextEpochOfABusyOneIsReadyForManyCallers(t *testing.T) {
	var none *epoch
	e := none.next(nil, 1, 1, true)
	if e.next(nil, 2, 1, true).successes.isSharded() {
		t.Error("a calm epoch's successor has shards")
	}
	e.successes.shard()
	if !e.next(nil, 2, 1, true).successes.isSharded() {
		t.Error("a busy epoch's successor has no shards")
	}
}
