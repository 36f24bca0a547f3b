package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/commontrip/commontrip/breaker"
	redisstore "github.com/commontrip/commontrip/store/redis"
	"github.com/commontrip/commontrip/tests/chaos/replica/wire"
	"github.com/commontrip/commontrip/tests/chaos/tier"
)

// replica is one Manager with one breaker.
type replica struct {
	lines   *lines
	manager *breaker.Manager
	breaker *breaker.Breaker
	tier    tier.Func // nil: calls do nothing
	all     tally     // of every call of this process

	mu   sync.Mutex
	kept []*breaker.Permit
	load *load
}

func join(c wire.Config, out *lines) (*replica, error) {
	fleet, err := open(c)
	if err != nil {
		return nil, err
	}
	r := &replica{lines: out}
	if c.Tier != "" {
		r.tier = tier.Over(&http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}, c.Tier)
	}
	r.manager, err = breaker.NewManager(fleet, breaker.WithReplica(c.Name), breaker.WithPolicy(c.Policy),
		breaker.WithTiming(c.Timing), breaker.WithStoreDown(c.StoreDown), breaker.WithListener(r.hear))
	if err != nil {
		return nil, err
	}
	start := time.Now()
	if r.breaker, err = r.manager.Register(context.Background(), c.Breaker); err != nil {
		return nil, err
	}
	took := time.Since(start)
	return r, out.send(wire.Line{Ready: &wire.Ready{
		Replica: r.manager.Replica(), Took: took, State: r.breaker.State(), Status: r.state(),
	}})
}

func open(c wire.Config) (*redisstore.Store, error) {
	switch c.Client {
	case wire.OwnClient:
		return redisstore.Open(c.URL)
	case wire.DefaultClient:
		options, err := redis.ParseURL(c.URL)
		if err != nil {
			return nil, err
		}
		return redisstore.New(redis.NewClient(&redis.Options{Addr: options.Addr, PoolSize: c.PoolSize}))
	default:
		return nil, fmt.Errorf("client is %q; want %q or %q", c.Client, wire.OwnClient, wire.DefaultClient)
	}
}

func (r *replica) hear(e breaker.Event) {
	_ = r.lines.send(wire.Line{Event: &wire.Event{At: time.Now(), Kind: e.Kind.String(), Name: e.Name, Transition: e.Transition}})
}

// do carries out one request.
func (r *replica) do(q wire.Request) wire.Line {
	ctx, cancel := context.WithTimeout(context.Background(), cmp.Or(q.Within, 30*time.Second))
	defer cancel()
	switch q.Do {
	case wire.Call:
		return r.call(ctx, q)
	case wire.Acquire:
		return r.acquire(ctx)
	case wire.Done:
		return r.done(q.Fail)
	case wire.Load, wire.Stats, wire.Unload:
		return r.loading(q)
	case wire.Status:
		state := r.state()
		return wire.Line{Status: &state}
	case wire.Snapshot, wire.Roster, wire.History, wire.Remove, wire.Command:
		return r.ask(ctx, q)
	case wire.Sync:
		return failed(r.manager.Sync(ctx))
	case wire.Close:
		closed := r.close(q.Within)
		return wire.Line{Closed: &closed}
	case wire.Skew:
		return failed(skew(q.Jumps, q.Every))
	default:
		return failed(fmt.Errorf("no verb %q", q.Do))
	}
}

func failed(err error) (l wire.Line) {
	if err != nil {
		l.Error = err.Error()
	}
	return l
}

// ask asks the store.
func (r *replica) ask(ctx context.Context, q wire.Request) wire.Line {
	s, name := r.manager.Store(), r.breaker.Name()
	var l wire.Line
	var err error
	switch q.Do {
	case wire.Snapshot:
		var snapshot breaker.Snapshot
		snapshot, err = r.breaker.Snapshot(ctx)
		l.Fleet = &snapshot
	case wire.Roster:
		l.Roster, err = s.Roster(ctx, name)
	case wire.History:
		l.History, err = s.History(ctx, name, q.N)
	case wire.Remove:
		err = s.Remove(ctx, name)
	case wire.Command:
		if q.Command == nil {
			return failed(errors.New("a command is wanted"))
		}
		var snapshot breaker.Snapshot
		snapshot, err = r.breaker.Command(ctx, *q.Command)
		l.Fleet = &snapshot
	}
	l.Error = failed(err).Error
	return l
}

func (r *replica) state() wire.State {
	m := r.manager.Status()
	s := r.breaker.Status()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return wire.State{
		State: s.State, Own: s.Verdict == breaker.Own, StoreUp: m.StoreUp, Fleet: s.Fleet, Pending: s.Pending, Lost: s.Lost,
		Totals: s.Totals, Exchanges: m.Exchanges, ExchangeErrors: m.ExchangeErrors, Heap: memory.HeapAlloc,
		Goroutines: runtime.NumGoroutine(),
	}
}

// close ends the load, then the Manager.
func (r *replica) close(within time.Duration) wire.Closed {
	r.unload()
	ctx, cancel := context.WithTimeout(context.Background(), cmp.Or(within, 5*time.Second))
	defer cancel()
	start := time.Now()
	err := r.manager.Close(ctx)
	return wire.Closed{Took: time.Since(start), Error: failed(err).Error, Calls: r.all.read(), State: r.state()}
}
