package breaker

import (
	"sync"
	"testing"
)

// A counter whose only collisions were with the reporter that empties it stayed sharded for good, and made every call of a
// breaker on a remote store slower than on a local one.
func TestACollisionNowAndThenMakesNoShards(t *testing.T) {
	var c counter
	for range 100 {
		c.addSharded()
		if n := c.take(); n != 1 {
			t.Fatalf("took %d, want 1", n)
		}
	}
	if c.isSharded() {
		t.Fatal("one collision a round made shards")
	}
	for range borne + 1 {
		c.addSharded()
	}
	if !c.isSharded() {
		t.Fatal("many collisions in one round made no shards")
	}
	if n := c.sum(); n != borne+1 {
		t.Fatalf("the sum is %d, want %d", n, borne+1)
	}
}

// Shards were drawn by chance, so that processors fetched them from each other at every call.
func TestAGoroutineStaysWithOneShardUntilItCollides(t *testing.T) {
	var c counter
	c.shard()
	const calls = 1000
	for range calls {
		c.add()
	}
	used := map[int]bool{}
	note := func() (here int) {
		for i := range *c.shards.Load() {
			if n := (*c.shards.Load())[i].n.Swap(0); n > 0 {
				used[i] = true
				here++
			}
		}
		return here
	}
	if n := note(); n != 1 {
		t.Errorf("%d calls of one goroutine are spread over %d shards, want 1", calls, n)
	}
	for range 31 { // as if it had met another one there
		c.collisions.Add(1)
		c.add()
		note()
	}
	if len(used) < 2 {
		t.Error("after 31 collisions the goroutine still uses the same shard")
	}
}

func TestACounterCountsAll(t *testing.T) {
	var c counter
	const goroutines, each = 8, 20_000
	var taken uint64
	var adding sync.WaitGroup
	for range goroutines {
		adding.Go(func() {
			for range each {
				c.add()
			}
		})
	}
	over := make(chan struct{})
	go func() {
		adding.Wait()
		close(over)
	}()
	for done := false; !done; {
		select {
		case <-over:
			done = true
		default:
		}
		taken += c.take()
	}
	if taken != goroutines*each || c.sum() != 0 {
		t.Errorf("taken %d and %d left, want %d and 0", taken, c.sum(), goroutines*each)
	}
}
