package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
)

// rates of the eight replicas, in calls a second. The first hardly calls: it profits from what the others see.
var rates = []float64{1, 2, 5, 8, 10, 15, 20, 40}

// fleet is the replicas as the parent sees them.
type fleet struct {
	members []*member

	mu      sync.Mutex
	news    map[number]*news
	order   []*news // by when the first replica heard
	changed chan struct{}
	told    func(*member, *heard) // each event, in order for each member
}

// member is one replica process.
type member struct {
	name string
	rate float64
	proc *process
	last replicaTally
}

// number names one transition of one breaker in the fleet's line.
type number struct {
	breaker         string
	generation, rev uint64
}

// news is a transition of the fleet, and when each replica's listener was told of it.
type news struct {
	store.Transition
	heard map[string]time.Time
}

// transition is the news' own, and nil where there is no news.
func (n *news) transition() *store.Transition {
	if n == nil {
		return nil
	}
	return &n.Transition
}

func newFleet(told func(*member, *heard)) *fleet {
	return &fleet{news: map[number]*news{}, changed: make(chan struct{}), told: told}
}

// listen takes what a replica says unasked.
func (f *fleet) listen(m *member, s said) {
	f.mu.Lock()
	if s.Replica != nil {
		m.last = *s.Replica
	}
	if s.Event != nil {
		f.note(m, s.Event)
	}
	close(f.changed)
	f.changed = make(chan struct{})
	f.mu.Unlock()
	if s.Event != nil {
		f.told(m, s.Event)
	}
}

func (f *fleet) note(m *member, e *heard) {
	if !e.is(breaker.Transitioned) && !e.is(breaker.Commanded) {
		return
	}
	key := number{e.Breaker, e.Transition.Generation, e.Transition.Rev}
	n := f.news[key]
	if n == nil {
		n = &news{Transition: e.Transition, heard: map[string]time.Time{}}
		f.news[key] = n
		f.order = append(f.order, n)
	}
	if _, again := n.heard[m.name]; !again {
		n.heard[m.name] = e.At
	}
}

// patience is how long a scene waits for what must happen. Nothing is measured by it: a busy machine is slow, not wrong.
const patience = 15 * time.Second

// until waits for what the replicas say to meet a condition; false: it did not within that time.
func (f *fleet) until(ctx context.Context, within time.Duration, met func() bool) bool {
	limit := time.NewTimer(within)
	defer limit.Stop()
	for {
		f.mu.Lock()
		ok, changed := met(), f.changed
		f.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-changed:
		case <-limit.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// all is a condition that each replica's last tally must meet.
func (f *fleet) all(met func(replicaTally) bool) func() bool {
	return func() bool {
		return !slices.ContainsFunc(f.members, func(m *member) bool { return !met(m.last) })
	}
}

// look gives every replica's last tally, in order.
func (f *fleet) look() []replicaTally {
	f.mu.Lock()
	defer f.mu.Unlock()
	tallies := make([]replicaTally, len(f.members))
	for i, m := range f.members {
		tallies[i] = m.last
	}
	return tallies
}

// census asks every replica for what it counted up to now; the longest waits start again.
func (f *fleet) census(ctx context.Context) ([]replicaTally, error) {
	tallies := make([]replicaTally, len(f.members))
	errs := make([]error, len(f.members))
	var asking sync.WaitGroup
	for i, m := range f.members {
		asking.Go(func() {
			s, err := m.proc.ask(ctx, order{Do: census})
			if err == nil && s.Replica != nil {
				tallies[i] = *s.Replica
			}
			errs[i] = err
		})
	}
	asking.Wait()
	return tallies, errors.Join(errs...)
}

// transitions gives the fleet's news so far, oldest first.
func (f *fleet) transitions() []news {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]news, len(f.order))
	for i, n := range f.order {
		all[i] = news{n.Transition, map[string]time.Time{}}
		for who, at := range n.heard {
			all[i].heard[who] = at
		}
	}
	return all
}

// latest gives the newest transition of a breaker into a state; nil: there is none.
func (f *fleet) latest(name string, to store.State) *news {
	all := f.transitions()
	for _, n := range slices.Backward(all) {
		if n.Name == name && n.To == to && n.From != to {
			return &n
		}
	}
	return nil
}

// commanded gives the transition that has this number among operators' commands.
func (f *fleet) commanded(rev uint64) *news {
	for _, n := range f.transitions() {
		if n.Rev == rev {
			return &n
		}
	}
	return &news{}
}

// behind is how long after the commit the last replica heard; clock is how much the store's clock is ahead.
func (n *news) behind(clock time.Duration) time.Duration {
	var last time.Duration
	for _, at := range n.heard {
		last = max(last, at.Sub(n.At.Add(-clock)))
	}
	return last
}

// spread is the time from the first replica that heard to the last.
func (n *news) spread() time.Duration {
	var first, last time.Time
	for _, at := range n.heard {
		if first.IsZero() || at.Before(first) {
			first = at
		}
		if at.After(last) {
			last = at
		}
	}
	return last.Sub(first)
}
