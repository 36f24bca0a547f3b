// Package scale measures what many breakers and many replicas cost one Redis or PostgreSQL, and what sharing a verdict saves.
package scale

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
)

// callRate is how often a second each replica calls through each breaker.
const callRate = 10

var errTier = errors.New("tier failed")

// fleet is so many Managers in this process, each with a client of its own, as so many replicas would have.
type fleet struct {
	members []*member
	down    []atomic.Bool // the tiers, one a breaker
	burnt   atomic.Uint64 // failing calls that ran
	calls   atomic.Uint64
	stop    context.CancelFunc
	done    sync.WaitGroup
}

type member struct {
	store    store.Store
	manager  *breaker.Manager
	breakers []*breaker.Breaker
	heard    chan heard
}

// heard is a transition that a replica has heard of.
type heard struct {
	name string
	to   breaker.State
	at   time.Time
}

// newFleet starts replicas with so many breakers each, and waits until all hold the fleet's verdict.
func newFleet(t testing.TB, open func() (store.Store, error), replicas, breakers int, policy breaker.Policy) *fleet {
	t.Helper()
	f := &fleet{members: make([]*member, replicas), down: make([]atomic.Bool, breakers), stop: func() {}}
	t.Cleanup(f.close)
	var starting sync.WaitGroup
	errs := make(chan error, replicas)
	places := make(chan struct{}, 32) // what connects at once: a server's backlog is short
	for i := range f.members {
		starting.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			m, err := newMember(open, i, breakers, policy)
			if err != nil {
				errs <- err
			}
			f.members[i] = m
		})
	}
	starting.Wait()
	select {
	case err := <-errs:
		t.Fatal(err)
	default:
	}
	return f
}

func newMember(open func() (store.Store, error), number, breakers int, policy breaker.Policy) (*member, error) {
	s, err := open()
	if err != nil {
		return nil, err
	}
	m := &member{store: s, heard: make(chan heard, 1024)}
	m.manager, err = breaker.NewManager(s, breaker.WithReplica(fmt.Sprintf("web-%d", number)), breaker.WithPolicy(policy),
		breaker.WithTiming(breaker.Timing{StartTimeout: time.Minute}), breaker.WithListener(m.hear))
	if err != nil {
		return m, err
	}
	m.breakers = make([]*breaker.Breaker, breakers)
	for i := range m.breakers {
		if m.breakers[i], err = m.manager.Register(context.Background(), tierName(i)); err != nil {
			return m, err
		}
	}
	return m, nil
}

// onRedis opens stores at a URL.
func onRedis(url string) func() (store.Store, error) {
	return func() (store.Store, error) { return redisstore.Open(url, redisstore.WithTimeout(10*time.Second)) }
}

func tierName(i int) string { return fmt.Sprintf("tier-%d", i) }

func (m *member) hear(e breaker.Event) {
	if e.Kind != breaker.Transitioned && e.Kind != breaker.Commanded {
		return
	}
	select {
	case m.heard <- heard{e.Name, e.Transition.To, time.Now()}:
	default: // nobody asks any more
	}
}

// run lets each replica call its breakers at random moments, the first of them hot times as often as the others, until
// halt.
func (f *fleet) run(hot int) {
	ctx, stop := context.WithCancel(context.Background())
	f.stop = stop
	wait := func() time.Duration { return time.Duration(rand.ExpFloat64() * float64(time.Second/callRate)) }
	for _, m := range f.members {
		f.done.Go(func() {
			for sleep(ctx, wait()) {
				for range hot - 1 {
					_ = m.breakers[0].Run(ctx, func(context.Context) error { return f.call(0) })
				}
				for i, b := range m.breakers {
					_ = b.Run(ctx, func(context.Context) error { return f.call(i) })
				}
			}
		})
	}
}

func (f *fleet) call(tier int) error {
	f.calls.Add(1)
	if f.down[tier].Load() {
		f.burnt.Add(1)
		return errTier
	}
	return nil
}

// halt ends the traffic.
func (f *fleet) halt() {
	f.stop()
	f.done.Wait()
}

func (f *fleet) close() {
	f.halt()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var closing sync.WaitGroup
	for _, m := range f.members {
		if m == nil {
			continue
		}
		closing.Go(func() {
			if m.manager != nil {
				_ = m.manager.Close(ctx)
			}
			_ = m.store.Close()
		})
	}
	closing.Wait()
}

// until waits for each replica to hear that a breaker went to a state, and gives how many seconds after from each did. Those
// that hear nothing for long are left out.
func (f *fleet) until(name string, to breaker.State, from time.Time) []float64 {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	out := make([]float64, 0, len(f.members))
	for _, m := range f.members {
		if at, ok := m.hears(ctx, name, to, from); ok {
			out = append(out, at.Sub(from).Seconds())
		}
	}
	slices.Sort(out)
	return out
}

func (m *member) hears(ctx context.Context, name string, to breaker.State, from time.Time) (at time.Time, ok bool) {
	for {
		select {
		case h := <-m.heard:
			if h.name == name && h.to == to && !h.at.Before(from) {
				return h.at, true
			}
		case <-ctx.Done():
			return at, false
		}
	}
}

// pass lets time go by.
func pass(d time.Duration) { sleep(context.Background(), d) }

// sleep lets time go by, unless ctx ends.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
