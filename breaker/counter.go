package breaker

import (
	"math/bits"
	"runtime"
	"sync/atomic"
	"unsafe"
)

// counter counts what many goroutines see at once. It is one word until they collide again and again. From then on it is
// shards, so that an idle breaker stays small and a busy one does not make processors wait for each other.
type counter struct {
	n          atomic.Uint64 // the count, or its beginning and the mark of shards
	shards     atomic.Pointer[[]shard]
	collisions atomic.Uint32 // before there are shards: since it was emptied
}

type shard struct {
	n atomic.Uint64
	_ [56]byte // to the end of the cache line
}

const (
	sharded = 1 << 63
	borne   = 8 // collisions; one now and then is with whoever empties the counter
)

func (c *counter) add() {
	if !c.try() {
		c.addSharded()
	}
}

// try adds one, unless goroutines have collided here, or do now. It is small enough to be part of its caller.
func (c *counter) try() bool {
	n := c.n.Load()
	return n < sharded && c.n.CompareAndSwap(n, n+1)
}

// addSharded adds one if try did not.
func (c *counter) addSharded() {
	shards := c.shards.Load()
	if shards == nil {
		if c.collisions.Add(1) > borne {
			c.shard()
		}
		c.add()
		return
	}
	n := &(*shards)[here()>>(c.collisions.Load()%32)%uint64(len(*shards))].n
	if seen := n.Load(); !n.CompareAndSwap(seen, seen+1) {
		n.Add(1)
		c.collisions.Add(1) // goroutines that met here part
	}
}

// here tells goroutines apart by the address of their stacks: each stays with one shard, so that its processor need not fetch
// that from another. All bits from the 16th up are good for it.
func here() uint64 {
	var local byte
	return uint64(uintptr(unsafe.Pointer(&local))>>11) * 0x9E3779B97F4A7C15 >> 16
}

// shard makes shards: four for each processor, so that two goroutines seldom share one, and a power of two of them.
func (c *counter) shard() {
	shards := make([]shard, 4<<bits.Len(uint(runtime.GOMAXPROCS(0)-1)))
	c.shards.CompareAndSwap(nil, &shards)
	c.n.Or(sharded)
}

// isSharded reports whether goroutines have collided here.
func (c *counter) isSharded() bool { return c.shards.Load() != nil }

// take empties the counter.
func (c *counter) take() uint64 {
	if c.collisions.Load() != 0 && !c.isSharded() {
		c.collisions.Store(0)
	}
	n := c.n.Load() &^ sharded
	if n != 0 {
		n = c.n.And(sharded) &^ sharded
	}
	if shards := c.shards.Load(); shards != nil {
		for i := range *shards {
			n += (*shards)[i].n.Swap(0)
		}
	}
	return n
}

// sum reads the counter.
func (c *counter) sum() uint64 {
	n := c.n.Load() &^ sharded
	if shards := c.shards.Load(); shards != nil {
		for i := range *shards {
			n += (*shards)[i].n.Load()
		}
	}
	return n
}
