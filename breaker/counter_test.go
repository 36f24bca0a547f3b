package breaker

import "testing"

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
