package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/fallback"
	"github.com/commontrip/commontrip/internal/lab/tier"
)

// The two ways on which a replica's requests reach the tiers, and their paths there.
const (
	shared = "shared" // through the breakers that the fleet shares
	alone  = "alone"  // through breakers of this replica alone
)

// nobody is who served a request that no tier did.
const nobody = "nobody"

// way is one way down the chain, and what is counted on it.
type way struct {
	name  string
	chain *fallback.Chain[string, string]

	mu     sync.Mutex
	n      count
	recent map[string]int // is n.Recent at the next census
}

// count is what came of the calls on one way.
type count struct {
	Calls   int            // that a breaker was asked for
	Burnt   int            // that reached out to a tier that did not serve: 503, no answer, connection refused
	Refused int            // by the breaker
	Foreign int            // that got any other error of the breaker's, which no call may ever get
	Probing tier.Ledger    // the probes, by the replica's own count
	Wait    time.Duration  // the longest that the breaker added to a call since the last census
	Served  map[string]int // requests, by the tier
	Recent  map[string]int // the same of those that began after the last census; in a census only
	Error   string         // the newest of a request that every tier refused, if it said when to ask again
}

func newCount() count { return count{Served: map[string]int{}, Recent: map[string]int{}} }

// add adds what else was counted. Of the errors it keeps one.
func (c *count) add(d count) {
	c.Calls, c.Burnt, c.Refused, c.Foreign = c.Calls+d.Calls, c.Burnt+d.Burnt, c.Refused+d.Refused, c.Foreign+d.Foreign
	c.Probing, c.Wait = append(c.Probing, d.Probing...), max(c.Wait, d.Wait)
	c.Error = cmp.Or(d.Error, c.Error)
	for by, n := range d.Served {
		c.Served[by] += n
	}
	for by, n := range d.Recent {
		c.Recent[by] += n
	}
}

// sum adds up what all replicas counted on a way.
func sum(tallies []tally, way string) count {
	all := newCount()
	for _, t := range tallies {
		all.add(t.Ways[way])
	}
	return all
}

// ask sends a request down the chain.
func (w *way) ask(ctx context.Context) {
	w.mu.Lock()
	recent := w.recent
	w.mu.Unlock()
	_, trace, err := w.chain.Trace(ctx, "42")
	if ctx.Err() != nil {
		return // the demo is ending
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	by := cmp.Or(trace.Tier, nobody)
	w.n.Served[by]++
	recent[by]++
	if none, is := errors.AsType[*fallback.AllTiersFailedError](err); is && none.RetryAfter() > 0 {
		w.n.Error = fmt.Sprintf("ask again in %s; %v", brief(none.RetryAfter()), none)
	}
}

// read gives what was counted. A census begins the longest wait and the recent requests again.
func (w *way) read(census bool) count {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.n
	n.Served, n.Probing = maps.Clone(n.Served), slices.Clone(n.Probing)
	if census {
		n.Recent, w.recent, w.n.Wait = maps.Clone(w.recent), map[string]int{}, 0
	}
	return n
}

// gauge is a breaker as a guard that counts. It asks for a permit by hand, to know which calls are probes, and the breaker's
// time from the tier's.
type gauge struct {
	breaker *breaker.Breaker
	way     *way
}

// Run is a guard's.
func (g gauge) Run(ctx context.Context, call func(context.Context) error) error {
	begin := time.Now()
	permit, refused := g.breaker.Acquire(ctx)
	called := time.Now()
	if refused != nil {
		g.way.settle(ctx, count{Wait: called.Sub(begin)}, refused, nil)
		return refused
	}
	failed := call(permit.Context())
	answered := time.Now()
	permit.Done(failed)
	n := count{Wait: called.Sub(begin) + time.Since(answered)}
	if permit.Probe() {
		n.Probing = tier.Ledger{{Start: called, End: answered}}
	}
	g.way.settle(ctx, n, nil, failed)
	return failed
}

// settle counts a call, which the breaker refused or the tier failed, unless the caller is gone or the demo is ending.
func (w *way) settle(ctx context.Context, n count, refused, failed error) {
	if ctx.Err() != nil {
		return
	}
	n.Calls = 1
	switch {
	case errors.Is(refused, breaker.ErrOpen):
		n.Refused = 1
	case refused != nil:
		n.Foreign = 1
	case failed != nil && !errors.Is(failed, errLost):
		n.Burnt = 1
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n.add(n)
}
