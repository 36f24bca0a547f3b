package fleet

import (
	"context"
	"sync"
	"time"

	"github.com/commontrip/commontrip/store"
)

// leases is a replica's store, and the leases that it has given the replica: they alone say whose probe a call is. What the
// replica says of its verdict may have changed since the call was admitted, and while its own verdict is open it probes
// under leases of both.
type leases struct {
	store.Store
	mu    sync.Mutex
	ends  map[leaseKey]time.Time // of those that are not settled
	inUse map[string]int         // by tier: probes that are with it
}

// leaseKey is what stays of a lease that is told again.
type leaseKey struct{ name, id string }

func keyOf(l store.Lease) leaseKey { return leaseKey{l.Name, l.ID} }

func newLeases(s store.Store) *leases {
	return &leases{Store: s, ends: map[leaseKey]time.Time{}, inUse: map[string]int{}}
}

// Claim keeps what is granted.
func (l *leases) Claim(ctx context.Context, c store.Claim) (store.Grant, error) {
	g, err := l.Store.Claim(ctx, c)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, granted := range g.Leases {
		l.ends[keyOf(granted)] = time.Now().Add(granted.For)
	}
	return g, err
}

// Settle takes a lease away before it is free.
func (l *leases) Settle(ctx context.Context, s store.Settlement) (store.Result, error) {
	l.mu.Lock()
	delete(l.ends, keyOf(s.Lease))
	l.mu.Unlock()
	return l.Store.Settle(ctx, s)
}

// use gives a probe one of the fleet's leases of a tier, if the replica holds one more than its probes use.
func (l *leases) use(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	held := 0
	for lease, ends := range l.ends {
		if lease.name == name && time.Now().Before(ends) {
			held++
		}
	}
	if held <= l.inUse[name] {
		return false
	}
	l.inUse[name]++
	return true
}

// leave is the end of a probe that has one.
func (l *leases) leave(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inUse[name]--
}
