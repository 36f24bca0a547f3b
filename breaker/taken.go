package breaker

import "sync/atomic"

// taken is true once. It must not be copied.
type taken struct{ done atomic.Uint32 }

// first reports whether this is the first call.
func (t *taken) first() bool { return t.done.CompareAndSwap(0, 1) }
