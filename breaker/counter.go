package breaker

import (
	"math/bits"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
)

// counter counts what many goroutines see at once. It is one word until two of them collide; from then on it is a shard
// for each processor, so that an idle breaker stays small and a busy one does not make processors wait for each other.
type counter struct {
	n      atomic.Uint64
	shards atomic.Pointer[[]shard]
}

type shard struct {
	n atomic.Uint64
	_ [56]byte // to the end of the cache line
}

func (c *counter) add() {
	if c.shards.Load() == nil {
		if n := c.n.Load(); c.n.CompareAndSwap(n, n+1) {
			return
		}
	}
	c.addSharded()
}

func (c *counter) addSharded() {
	shards := c.shards.Load()
	if shards == nil {
		c.shards.CompareAndSwap(nil, newShards())
		shards = c.shards.Load()
	}
	i := int(rand.Uint32()) & (len(*shards) - 1)
	(*shards)[i].n.Add(1)
}

// newShards makes a power of two of them.
func newShards() *[]shard {
	shards := make([]shard, 1<<bits.Len(uint(runtime.GOMAXPROCS(0)-1)))
	return &shards
}

// take empties the counter.
func (c *counter) take() uint64 {
	n := c.n.Load()
	if n != 0 {
		n = c.n.Swap(0)
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
	n := c.n.Load()
	if shards := c.shards.Load(); shards != nil {
		for i := range *shards {
			n += (*shards)[i].n.Load()
		}
	}
	return n
}
