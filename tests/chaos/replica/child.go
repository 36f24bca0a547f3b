package replica

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/internal/lab/process"
	"github.com/commontrip/commontrip/internal/lab/tier"
	redisstore "github.com/commontrip/commontrip/store/redis"
)

// live is the life of a replica's process. It ends with its input, without a Close, as its parent has gone; by SIGTERM it
// closes its Manager first, and says what that left.
func live(config string) error {
	var c Config
	if err := json.Unmarshal([]byte(config), &c); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	parent := process.NewParent[Request, Line](os.Stdin, os.Stdout)
	r, err := join(c, parent)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- parent.Obey(r.do) }()
	select {
	case err := <-ended:
		return err
	case <-terminated:
		closed := r.close(c.Closing)
		return parent.Say(Line{Closed: &closed})
	}
}

// member is what a replica's process does: one Manager with one breaker.
type member struct {
	parent  *process.Parent[Request, Line]
	manager *breaker.Manager
	breaker *breaker.Breaker
	tier    tier.Func // nil: calls do nothing
	all     tally     // of every call of this process

	mu   sync.Mutex
	kept []*breaker.Permit
	load *load
}

func join(c Config, parent *process.Parent[Request, Line]) (*member, error) {
	fleet, err := open(c)
	if err != nil {
		return nil, err
	}
	r := &member{parent: parent}
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
	return r, parent.Say(Line{Ready: &Ready{
		Replica: r.manager.Replica(), Took: took, State: r.breaker.State(), Status: r.state(),
	}})
}

func open(c Config) (*redisstore.Store, error) {
	switch c.Client {
	case OwnClient:
		return redisstore.Open(c.URL)
	case DefaultClient:
		options, err := redis.ParseURL(c.URL)
		if err != nil {
			return nil, err
		}
		return redisstore.New(redis.NewClient(&redis.Options{Addr: options.Addr, PoolSize: c.PoolSize}))
	default:
		return nil, fmt.Errorf("client is %q; want %q or %q", c.Client, OwnClient, DefaultClient)
	}
}

func (r *member) hear(e breaker.Event) {
	_ = r.parent.Say(Line{Event: &Event{At: time.Now(), Kind: e.Kind.String(), Name: e.Name, Transition: e.Transition}})
}

// do carries out one request.
func (r *member) do(q Request) (Line, error) {
	ctx, cancel := context.WithTimeout(context.Background(), cmp.Or(q.Within, 30*time.Second))
	defer cancel()
	switch q.Do {
	case Call:
		return r.call(ctx, q), nil
	case Acquire:
		return r.acquire(ctx)
	case Done:
		return r.done(q.Fail)
	case Load, Stats, Unload:
		return r.loading(q)
	case Status:
		state := r.state()
		return Line{Status: &state}, nil
	case Snapshot, Roster, History, Remove, Command:
		return r.ask(ctx, q)
	case Sync:
		return Line{}, r.manager.Sync(ctx)
	case Close:
		closed := r.close(q.Within)
		return Line{Closed: &closed}, nil
	case Skew:
		return Line{}, skew(q.Jumps, q.Every)
	default:
		return Line{}, fmt.Errorf("no verb %q", q.Do)
	}
}

// ask asks the store.
func (r *member) ask(ctx context.Context, q Request) (l Line, err error) {
	s, name := r.manager.Store(), r.breaker.Name()
	var snapshot breaker.Snapshot
	switch q.Do {
	case Snapshot:
		snapshot, err = r.breaker.Snapshot(ctx)
		l.Fleet = &snapshot
	case Roster:
		l.Roster, err = s.Roster(ctx, name)
	case History:
		l.History, err = s.History(ctx, name, q.N)
	case Remove:
		err = s.Remove(ctx, name)
	case Command:
		if q.Command == nil {
			return l, errors.New("a command is wanted")
		}
		snapshot, err = r.breaker.Command(ctx, *q.Command)
		l.Fleet = &snapshot
	}
	return l, err
}

func (r *member) state() State {
	m := r.manager.Status()
	s := r.breaker.Status()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return State{
		State: s.State, Own: s.Verdict == breaker.Own, StoreUp: m.StoreUp, Fleet: s.Fleet, Pending: s.Pending, Lost: s.Lost,
		Totals: s.Totals, Exchanges: m.Exchanges, ExchangeErrors: m.ExchangeErrors, Heap: memory.HeapAlloc,
		Goroutines: runtime.NumGoroutine(),
	}
}

// close ends the load, then the Manager.
func (r *member) close(within time.Duration) Closed {
	r.unload()
	ctx, cancel := context.WithTimeout(context.Background(), cmp.Or(within, 5*time.Second))
	defer cancel()
	start := time.Now()
	closed := Closed{}
	if err := r.manager.Close(ctx); err != nil {
		closed.Error = err.Error()
	}
	closed.Took, closed.Calls, closed.State = time.Since(start), r.all.read(), r.state()
	return closed
}
