// Package perkey gives each key of a transport, such as a host or a method, a breaker of its own, up to a limit.
package perkey

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
)

// Patience is how long a first call waits for the fleet's verdict on its key. If the store does not answer in that time
// the breaker starts on its own verdict and hears of the fleet's later: calls must not hang on the store.
const Patience = 100 * time.Millisecond

// Shared is the key of the breaker that the keys beyond the limit share.
const Shared = "*"

// Breakers registers breakers as their keys are first met. It is safe for concurrent use; a key that was met before costs
// one atomic load and one look into a map.
type Breakers struct {
	manager *breaker.Manager
	prefix  string
	limit   int
	opts    []breaker.Option

	known atomic.Pointer[map[string]*breaker.Breaker] // copied on write

	mu    sync.Mutex
	slots map[string]int // keys that count toward the limit: by how many callers each is held; what is registered stays held
}

// New returns Breakers named prefix + key, at most limit of them and one more: prefix + [Shared]. A limit below 1 leaves
// only that one.
func New(m *breaker.Manager, prefix string, limit int, opts ...breaker.Option) *Breakers {
	b := &Breakers{manager: m, prefix: prefix, limit: limit, opts: opts, slots: map[string]int{}}
	b.known.Store(&map[string]*breaker.Breaker{})
	return b
}

// Get returns the breaker of key: the shared one if the limit is reached or the name would not be valid. What failed
// to register takes no place, and is tried again at the next call.
func (b *Breakers) Get(ctx context.Context, key string) (*breaker.Breaker, error) {
	if found, ok := (*b.known.Load())[key]; ok {
		return found, nil
	}
	if !b.hold(key) {
		key = Shared
		if found, ok := (*b.known.Load())[key]; ok {
			return found, nil
		}
	}
	// Outside of the lock: the first look at a remote store takes time, which other keys must not wait for.
	made, err := b.register(ctx, b.prefix+key)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		b.release(key)
		return nil, err
	}
	b.publish(key, made)
	return made, nil
}

func (b *Breakers) register(ctx context.Context, name string) (*breaker.Breaker, error) {
	short, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	made, err := b.manager.GetOrRegister(short, name, b.opts...)
	if err != nil && short.Err() != nil && ctx.Err() == nil {
		// Somebody else is registering it, and still waits.
		if found, ok := b.manager.Breaker(name); ok {
			return found, nil
		}
	}
	return made, err
}

// hold takes a place for key; false sends it to the shared breaker.
func (b *Breakers) hold(key string) bool {
	if key == Shared || store.ValidateName(b.prefix+key) != nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.slots[key] == 0 && len(b.slots) >= b.limit {
		return false
	}
	b.slots[key]++
	return true
}

func (b *Breakers) release(key string) {
	if b.slots[key]--; b.slots[key] <= 0 {
		delete(b.slots, key)
	}
}

func (b *Breakers) publish(key string, made *breaker.Breaker) {
	known := *b.known.Load()
	if known[key] == made {
		return
	}
	known = maps.Clone(known)
	known[key] = made
	b.known.Store(&known)
}
