package chaos

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
)

// The clients of a history, and the breakers that they share: a checker has its bounds, and clients enough for each budget
// remain.
const (
	clients  = 32
	breakers = 4
)

// handle is one connection to the store, on a clock that its user sets before each request.
type handle struct {
	store.Store
	now atomic.Int64
}

// handles are those that nobody uses. A request that is late keeps its own.
type handles chan *handle

// connect opens handles on a server. breakIt stands between them and the store.
func connect(t *testing.T, url string, breakIt func(store.Store) store.Store) handles {
	t.Helper()
	pool := make(handles, 2*clients)
	for range cap(pool) {
		h := &handle{}
		s, err := redisstore.Open(url, redisstore.WithTimeout(time.Minute), redisstore.WithClock(func() time.Time {
			return time.UnixMilli(h.now.Load())
		}))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		h.Store = breakIt(s)
		pool <- h
	}
	return pool
}

// send carries out a request on a free handle.
func (p handles) send(r request) (reply, error) {
	h := <-p
	defer func() { p <- h }()
	h.now.Store(r.now)
	ctx := context.Background()
	switch {
	case r.claim.ID != "":
		grant, err := h.Claim(ctx, r.claim)
		return reply{leases: grant.Leases, snapshot: grant.Snapshot}, err
	case r.settle.Replica != "":
		result, err := h.Settle(ctx, r.settle)
		return reply{snapshot: result.Snapshot}, err
	default:
		result, err := h.Command(ctx, r.command)
		return reply{snapshot: result.Snapshot}, err
	}
}

// history is what happened between the clients and the store.
type history struct {
	t       *testing.T
	names   [breakers]string
	handles handles
	clock   atomic.Int64 // the store's, in ms
	stamps  atomic.Int64 // orders calls and returns
	late    sync.WaitGroup

	mu  sync.Mutex
	ops []porcupine.Operation
}

// first makes the breakers, each open for its first time, under a linearPolicy, and gives what is then known of each.
func (h *history) first(p store.Policy) (s state) {
	h.t.Helper()
	h.clock.Store(1_000_000)
	for _, name := range h.names {
		link := <-h.handles
		link.now.Store(h.clock.Load())
		result := link.Sync(context.Background(), []store.Report{{Name: name, Policy: p, Replica: "setup", Seq: 1}})[0]
		h.handles <- link
		if result.Err != nil {
			h.t.Fatal(result.Err)
		}
		trip := request{now: h.clock.Load(), command: store.Command{Name: name, Action: store.Trip, By: "setup"}}
		h.send(trip)
		s = state{at: h.clock.Load(), since: h.clock.Load()}
		s.take(trip)
	}
	return s
}

// play lets clients work until so many requests were made.
func (h *history) play(rng *rand.Rand, requests int) {
	var working sync.WaitGroup
	for i := range clients {
		c := &linearClient{h: h, name: fmt.Sprintf("c%d", i), rng: rand.New(rand.NewPCG(rng.Uint64(), uint64(i)))}
		working.Go(func() {
			for range requests / clients {
				c.act()
			}
		})
	}
	working.Wait()
	h.late.Wait()
}

// do makes a request across a network that loses it, its reply, or neither, or brings it late or twice.
func (h *history) do(r request, rng *rand.Rand) reply {
	called := h.stamps.Add(1)
	unheard := func() { // the network knows that the store has answered, the client never will
		h.send(r)
		h.record(r, reply{unknown: true}, called, h.stamps.Add(1))
	}
	switch n := rng.IntN(100); {
	case n < 1: // lost: for all that the client knows it may yet arrive
		h.record(r, reply{unknown: true}, called, math.MaxInt64)
		return reply{}
	case n < 3: // the reply is lost
		unheard()
		return reply{}
	case n < 5: // late: the client has given up
		h.later(unheard, rng)
		return reply{}
	case n < 7: // twice
		h.later(unheard, rng)
	}
	out := h.send(r)
	h.record(r, out, called, h.stamps.Add(1))
	return out
}

func (h *history) later(f func(), rng *rand.Rand) {
	wait := time.Duration(rng.IntN(1000)) * time.Microsecond
	h.late.Go(func() {
		<-time.After(wait)
		f()
	})
}

func (h *history) send(r request) reply {
	out, err := h.handles.send(r)
	if err != nil {
		h.t.Errorf("%v: %v", r, err)
	}
	return out
}

func (h *history) record(r request, out reply, called, returned int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, porcupine.Operation{ClientId: len(h.ops), Input: r, Output: out, Call: called, Return: returned})
}

// linearClient claims, settles what it holds and what it does not, commands, and lets time pass.
type linearClient struct {
	h      *history
	name   string
	rng    *rand.Rand
	claims int
	last   store.Claim
	held   []store.Lease
}

func (c *linearClient) act() {
	r := request{now: c.h.clock.Add(1)} // a time of its own: the answer shows where in the order it was
	switch c.rng.IntN(16) {
	case 0:
		r.now = c.h.clock.Add(c.rng.Int64N(linearPolicy.ProbeLease.Milliseconds()))
		r.command = c.command()
	case 1, 2, 3:
		r.now = c.h.clock.Add(c.rng.Int64N(linearPolicy.OpenFor.Milliseconds()))
		r.claim = c.claim()
	case 4, 5, 6, 7, 8:
		r.claim = c.claim()
	default:
		if len(c.held) == 0 {
			r.claim = c.claim()
		} else {
			r.settle = c.settlement()
		}
	}
	out := c.h.do(r, c.rng)
	for _, l := range out.leases {
		l.Name = r.name()
		c.held = append(c.held, l)
	}
}

func (c *linearClient) breaker() string { return c.h.names[c.rng.IntN(breakers)] }

// claim is a new one, or, now and then, the last one again.
func (c *linearClient) claim() store.Claim {
	if c.claims == 0 || c.rng.IntN(4) > 0 {
		c.claims++
		c.last = store.Claim{
			Name: c.breaker(), ID: fmt.Sprintf("%s-%d", c.name, c.claims), Policy: linearPolicy, Replica: c.name, Want: 1 + c.rng.IntN(2),
		}
	}
	return c.last
}

// settlement is of a lease that was granted; it may have been settled, or have ended, or be another's.
func (c *linearClient) settlement() store.Settlement {
	i := c.rng.IntN(len(c.held))
	l := c.held[i]
	if c.rng.IntN(4) > 0 {
		c.held = append(c.held[:i], c.held[i+1:]...)
	}
	outcomes := []store.Outcome{store.Success, store.Success, store.Success, store.Success, store.Failure, store.Ignored}
	s := store.Settlement{Lease: l, Replica: c.name, Outcome: outcomes[c.rng.IntN(len(outcomes))]}
	if c.rng.IntN(16) == 0 {
		s.Replica = "somebody else"
	}
	return s
}

func (c *linearClient) command() store.Command {
	actions := []store.Action{store.ForceOpen, store.ForceClosed, store.Lift, store.Lift, store.Trip, store.Trip, store.Reset}
	out := store.Command{Name: c.breaker(), Action: actions[c.rng.IntN(len(actions))], By: c.name}
	if out.Action == store.ForceOpen || out.Action == store.ForceClosed {
		out.For = time.Duration(c.rng.IntN(3)) * 50 * ms
	}
	return out
}

// check looks for an order that explains the history.
func (h *history) check(first state, within time.Duration) porcupine.CheckResult {
	return porcupine.CheckOperationsTimeout(model(first), h.ops, within)
}
