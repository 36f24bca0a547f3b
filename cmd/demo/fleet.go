package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/internal/lab/process"
	"github.com/commontrip/commontrip/store"
)

// rates of the eight replicas, in calls a second. The first hardly calls: it profits from what the others see.
var rates = []float64{1, 2, 5, 8, 10, 15, 20, 40}

// fleet is the replicas as the story sees them.
type fleet struct {
	*stage
	tiers   map[string]*tierServer
	members []*member

	mu      sync.Mutex
	news    []news        // by when the first replica heard
	changed chan struct{} // closed when a replica has said something
}

// member is one replica process.
type member struct {
	name string
	rate float64
	proc *process.Child[order, tally]
	last tally // that it said unasked
}

// news is a transition of the fleet, and when the replicas' listeners were told of it, counted from its commit.
type news struct {
	store.Transition
	heard       int // by how many
	first, last time.Duration
}

// startFleet starts tiers and eight replicas that call them, with env as their whole environment: the user's settings must not
// mix with the demo's. It waits until they serve.
func (s *stage) startFleet(ctx context.Context, env []string, alone bool, tiers ...string) (*fleet, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	f := &fleet{stage: s, tiers: map[string]*tierServer{}, changed: make(chan struct{})}
	spec := serviceSpec{Timeout: callTimeout, Alone: alone}
	for _, name := range tiers {
		t, err := openTier("127.0.0.1:0", name)
		if err != nil {
			return nil, err
		}
		s.ends = append(s.ends, t.server.Close)
		f.tiers[name] = t
		spec.Tiers = append(spec.Tiers, endpoint{Name: name, URL: t.server.URL()})
	}
	spec.Tiers[0].Loss = 0.01
	for i, rate := range rates {
		f.members = append(f.members, &member{name: fmt.Sprintf("replica-%d", i+1), rate: rate * float64(s.pace)})
	}
	for _, m := range f.members {
		spec.Name, spec.Rate = m.name, m.rate
		what, err := json.Marshal(spec)
		if err != nil {
			return nil, err
		}
		m.proc, err = process.Start[order](process.Spec{
			Name: m.name, Path: self, Args: []string{replicaMark, string(what)}, Logs: s.logs, Apart: true,
			Env: append(slices.Clone(env), "CIRCUIT_BREAKER_REPLICA="+m.name),
		}, func(t tally) { f.hear(m, t) })
		if err != nil {
			return nil, err
		}
		s.ends = append(s.ends, func() { m.proc.End(3 * time.Second) })
	}
	f.look(ctx)
	return f, context.Cause(ctx)
}

// become makes a tier treat calls so from now on.
func (f *fleet) become(tier string, m mode) {
	if err := f.tiers[tier].become(m); err != nil {
		f.fail(err)
	}
}

// hear takes what a replica says unasked.
func (f *fleet) hear(m *member, t tally) {
	f.report.note(t.Late)
	f.mu.Lock()
	defer f.mu.Unlock()
	if t.Heard != nil {
		f.learn(*t.Heard)
	} else {
		m.last = t
	}
	close(f.changed)
	f.changed = make(chan struct{})
	f.screen.pin(f.draw)
}

// learn adds to the news what one replica was told. f.mu is held.
func (f *fleet) learn(h heard) {
	late := h.At.Sub(h.Transition.At) + f.shared.ahead
	i := slices.IndexFunc(f.news, func(n news) bool { // a breaker and its two numbers name a transition
		return n.Name == h.Transition.Name && n.Generation == h.Transition.Generation && n.Rev == h.Transition.Rev
	})
	if i < 0 {
		i = len(f.news)
		f.news = append(f.news, news{Transition: h.Transition, first: late})
	}
	n := &f.news[i]
	n.heard, n.first, n.last = n.heard+1, min(n.first, late), max(n.last, late)
}

var dots = map[breaker.State]string{
	breaker.Closed: text.FgGreen.Sprint("●"), breaker.Open: text.FgRed.Sprint("○"), breaker.HalfOpen: text.FgYellow.Sprint("◐"),
}

// draw puts into a line for each tier what each replica holds of it. f.mu is held.
func (f *fleet) draw() (lines []string) {
	for _, tier := range slices.Sorted(maps.Keys(f.members[0].last.Tiers)) {
		line := fmt.Sprintf("%-10s", tier)
		for _, m := range f.members {
			line += " " + dots[m.last.Tiers[tier].State]
		}
		lines = append(lines, line)
	}
	return lines
}

// patience is how long a scene waits for what must happen. Nothing is measured by it: a busy machine is slow, not wrong.
const patience = 15 * time.Second

// until waits for what the replicas say to meet a condition; false: it did not within that time.
func (f *fleet) until(ctx context.Context, within time.Duration, met func() bool) bool {
	ctx, done := context.WithTimeout(ctx, within)
	defer done()
	for {
		f.mu.Lock()
		ok, changed := met(), f.changed
		f.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// all waits until each replica's last tally meets a condition.
func (f *fleet) all(ctx context.Context, within time.Duration, met func(tally) bool) bool {
	return f.until(ctx, within, func() bool {
		return !slices.ContainsFunc(f.members, func(m *member) bool { return !met(m.last) })
	})
}

// allHold waits until what each replica holds of a tier meets a condition.
func (f *fleet) allHold(ctx context.Context, tier string, met func(belief) bool) bool {
	return f.all(ctx, patience, func(t tally) bool { return met(t.Tiers[tier]) })
}

func isOpen(b belief) bool   { return b.State == breaker.Open }
func isClosed(b belief) bool { return b.State == breaker.Closed && b.Mode == breaker.Auto }

// ask gives members an order, all at once, and gives their tallies. A member that has ended ends the story.
func (f *fleet) ask(ctx context.Context, o order, members ...*member) []tally {
	tallies := make([]tally, len(members))
	var asking sync.WaitGroup
	for i, m := range members {
		asking.Go(func() {
			var err error
			if tallies[i], err = m.proc.Ask(ctx, o); err != nil {
				f.fail(err)
			}
			f.report.note(tallies[i].Late)
		})
	}
	asking.Wait()
	return tallies
}

// census asks every replica for what it counted up to now.
func (f *fleet) census(ctx context.Context) []tally {
	return f.ask(ctx, order{Census: true}, f.members...)
}

// look asks every replica for the same, and begins nothing again.
func (f *fleet) look(ctx context.Context) []tally { return f.ask(ctx, order{}, f.members...) }

// transitions gives the fleet's news so far, by when the first replica heard.
func (f *fleet) transitions() []news {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.news)
}

// told waits until every replica was told of the newest transition that is so, and gives it; empty: there is none.
func (f *fleet) told(ctx context.Context, is func(store.Transition) bool) (newest news, all bool) {
	all = f.until(ctx, patience, func() bool {
		for _, n := range f.news {
			if is(n.Transition) {
				newest = n
			}
		}
		return newest.heard == len(f.members)
	})
	return newest, all
}

// into is a transition of a breaker into a state.
func into(name string, to store.State) func(store.Transition) bool {
	return func(t store.Transition) bool { return t.Name == name && t.To == to && t.From != to }
}
