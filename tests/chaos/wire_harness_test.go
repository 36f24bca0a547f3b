package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/chaos/respfault"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
	"github.com/commontrip/commontrip/tests/redistest"
)

// patience is how long a promise may take on a busy machine; how long it took is reported.
const patience = 60 * time.Second

// timing is the default but for a shorter refresh.
var timing = breaker.Timing{RefreshInterval: 500 * time.Millisecond}

const refresh = 500 * time.Millisecond

// plan is what a harness is made of.
type plan struct {
	server   *redistest.Server
	replicas int
	names    []string
	policy   store.Policy
	timing   breaker.Timing                            // zero: timing
	user     string                                    // "name:password@" of the replicas' clients
	policyOf func(replica int) store.Policy            // nil: policy
	options  func(replica int) []breaker.ManagerOption // more
}

// harness is a fleet on a server, under traffic, and what the test sees of both.
type harness struct {
	t        *testing.T
	scenario *scoreboard.Scenario
	server   *redistest.Server
	redis    *redis.Client     // past all proxies
	truth    *redisstore.Store // likewise
	names    []string
	fleet    []*onWire

	down     atomic.Bool              // the tier
	quiet    atomic.Bool              // nobody calls
	reached  map[string]*atomic.Int64 // calls that reached it, by breaker
	failed   atomic.Int64             // calls that ended in an error that is neither the tier's nor a refusal
	back     atomic.Int64             // views that went back
	delay    atomic.Int64             // the longest, of a call without the tier's own time
	stopping context.CancelFunc
	running  sync.WaitGroup
}

// onWire is one Manager, with all that is its own.
type onWire struct {
	name    string
	proxy   *respfault.Proxy
	store   *redisstore.Store
	manager *breaker.Manager

	mu     sync.Mutex
	events []breaker.Event
}

func newHarness(t *testing.T, scenario *scoreboard.Scenario, p plan) *harness {
	t.Helper()
	if p.server == nil {
		p.server = redistest.Start(t)
	}
	if p.timing == (breaker.Timing{}) {
		p.timing = timing
	}
	h := &harness{t: t, scenario: scenario, server: p.server, names: p.names, redis: redisClient(t, p.server)}
	h.truth, h.reached = open(t, p.server.URL()), map[string]*atomic.Int64{}
	for _, name := range p.names {
		h.reached[name] = new(atomic.Int64)
	}
	for i := range p.replicas {
		h.fleet = append(h.fleet, h.join(p, i))
	}
	return h
}

func redisClient(t *testing.T, server *redistest.Server) *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: server.Addr(), MaxRetries: -1, DisableIdentity: true, ReadTimeout: patience})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func open(t *testing.T, url string, opts ...redisstore.Option) *redisstore.Store {
	t.Helper()
	s, err := redisstore.Open(url, append([]redisstore.Option{redisstore.WithTimeout(patience)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func (h *harness) join(p plan, i int) *onWire {
	t := h.t
	t.Helper()
	r := &onWire{name: fmt.Sprintf("web-%d", i), proxy: respfault.Start(t, p.server.Addr())}
	var err error
	if r.store, err = redisstore.Open("redis://" + p.user + r.proxy.Addr()); err != nil {
		t.Fatal(err)
	}
	policy := p.policy
	if p.policyOf != nil {
		policy = p.policyOf(i)
	}
	options := []breaker.ManagerOption{
		breaker.WithReplica(r.name), breaker.WithTiming(p.timing), breaker.WithPolicy(policy), breaker.WithListener(r.listen),
	}
	if p.options != nil {
		options = append(options, p.options(i)...)
	}
	if r.manager, err = breaker.NewManager(r.store, options...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = r.manager.Close(ctx) // what it could not report is for the scenario to say
		_ = r.store.Close()
	})
	for _, name := range p.names {
		if _, err := r.manager.Register(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func (r *onWire) listen(e breaker.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

// count counts the events that match.
func (r *onWire) count(match func(breaker.Event) bool) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if match(e) {
			n++
		}
	}
	return n
}

// tripped are the trips of the own verdict, but for those that only carry on the fleet's while the store is away.
func tripped(e breaker.Event) bool { return e.Kind == breaker.OwnTripped && e.Transition.Action == 0 }

func ofKind(kinds ...breaker.EventKind) func(breaker.Event) bool {
	return func(e breaker.Event) bool { return slices.Contains(kinds, e.Kind) }
}

// told are the generations of a breaker's transitions and commands, as the listener heard them.
func (r *onWire) told(name string) (generations []uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if e.Name == name && (e.Kind == breaker.Transitioned || e.Kind == breaker.Commanded) {
			generations = append(generations, e.Transition.Generation)
		}
	}
	return generations
}

func (r *onWire) breaker(name string) *breaker.Breaker {
	b, ok := r.manager.Breaker(name)
	if !ok {
		panic("no breaker " + name)
	}
	return b
}

// load lets every replica call every breaker each few milliseconds, until the test ends or rest is called.
func (h *harness) load(every time.Duration) {
	ctx, stop := context.WithCancel(context.Background())
	h.stopping = stop
	h.t.Cleanup(h.rest)
	for _, r := range h.fleet {
		h.running.Go(func() {
			tick := time.NewTicker(every)
			defer tick.Stop()
			seen := map[string]store.Version{}
			for ctx.Err() == nil {
				for _, name := range h.names {
					if h.quiet.Load() {
						break
					}
					h.call(ctx, r.breaker(name), seen)
				}
				select {
				case <-tick.C:
				case <-ctx.Done():
				}
			}
		})
	}
}

// rest ends the traffic.
func (h *harness) rest() {
	h.stopping()
	h.running.Wait()
}

func (h *harness) call(ctx context.Context, b *breaker.Breaker, seen map[string]store.Version) {
	start := time.Now()
	err := b.Run(ctx, func(context.Context) error {
		h.reached[b.Name()].Add(1)
		if h.down.Load() {
			return errTier
		}
		return nil
	})
	took := int64(time.Since(start))
	for longest := h.delay.Load(); took > longest && !h.delay.CompareAndSwap(longest, took); longest = h.delay.Load() {
	}
	if err != nil && !errors.Is(err, errTier) && !errors.Is(err, breaker.ErrOpen) && ctx.Err() == nil {
		h.failed.Add(1)
		h.t.Logf("a call failed: %v", err)
	}
	now, before := b.Status().Fleet, seen[b.Name()]
	if now.Generation < before.Generation || now.Rev < before.Rev {
		h.back.Add(1)
		h.t.Logf("%s goes back from %+v to %d, %d", b.Name(), before, now.Generation, now.Rev)
	}
	seen[b.Name()] = store.Version{Generation: now.Generation, Rev: now.Rev}
}

// heal ends all that the proxies do.
func (h *harness) heal() {
	for _, r := range h.fleet {
		r.proxy.Heal()
	}
}

// converge demands that every replica holds what the store holds, by the fleet's verdict, and says how long that took.
func (h *harness) converge() time.Duration {
	h.t.Helper()
	start := time.Now()
	var apart string
	if !poll(func() bool { apart = h.apart(); return apart == "" }) {
		h.t.Fatalf("the fleet does not come to one view: %s", apart)
	}
	return time.Since(start)
}

// apart tells who holds something else than the store.
func (h *harness) apart() string {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	held, err := h.truth.Read(ctx, h.names...)
	if err != nil {
		return err.Error()
	}
	if len(held) != len(h.names) {
		return fmt.Sprintf("the store holds %d breakers of %d", len(held), len(h.names))
	}
	for _, s := range held {
		for _, r := range h.fleet {
			st := r.breaker(s.Name).Status()
			f := st.Fleet
			if f.Generation != s.Generation || f.Rev != s.Rev || f.State != s.State || f.Mode != s.Mode || st.Verdict != breaker.Fleet {
				return fmt.Sprintf("%s at %s: %s %s %d %d by %s; the store: %s %s %d %d", s.Name, r.name, f.State, f.Mode,
					f.Generation, f.Rev, st.Verdict, s.State, s.Mode, s.Generation, s.Rev)
			}
			if !r.manager.Status().StoreUp {
				return r.name + " says that the store is away"
			}
		}
	}
	return ""
}

// command is an operator's, straight to the store.
func (h *harness) command(c store.Command) store.Snapshot {
	h.t.Helper()
	if c.By == "" {
		c.By = "oncall"
	}
	done, err := h.truth.Command(h.t.Context(), c)
	if err != nil {
		h.t.Fatalf("%+v: %v", c, err)
	}
	return done.Snapshot
}

// reach waits until every replica's view of name is of that generation and rev at least, and says how long it took.
func (h *harness) reach(s store.Snapshot) time.Duration {
	h.t.Helper()
	start := time.Now()
	for _, r := range h.fleet {
		h.eventually(fmt.Sprintf("%s hears of %d, %d of %s", r.name, s.Generation, s.Rev, s.Name), func() bool {
			f := r.breaker(s.Name).Status().Fleet
			return f.Generation >= s.Generation && f.Rev >= s.Rev
		})
	}
	return time.Since(start)
}

// read is the store's snapshot of a breaker.
func (h *harness) read(name string) store.Snapshot {
	h.t.Helper()
	all, err := h.truth.Read(h.t.Context(), name)
	if err != nil || len(all) != 1 {
		h.t.Fatalf("%s: %v, %v", name, all, err)
	}
	return all[0]
}

// do is a command to Redis itself.
func (h *harness) do(args ...any) any {
	h.t.Helper()
	v, err := h.redis.Do(h.t.Context(), args...).Result()
	if err != nil {
		h.t.Fatalf("%v: %v", args, err)
	}
	return v
}

// key is where a breaker lies.
func key(name string) string { return "commontrip:{" + name + "}" }

// promised holds what every scenario holds.
func (h *harness) promised() {
	h.t.Helper()
	h.scenario.Zero("calls failed by us", int(h.failed.Load()))
	h.scenario.Zero("views that went back", int(h.back.Load()))
	h.scenario.Report("largest delay of a call", time.Duration(h.delay.Load()))
}

func (h *harness) eventually(what string, condition func() bool) {
	h.t.Helper()
	if !poll(condition) {
		h.t.Fatalf("never happened: %s", what)
	}
}

// poll waits until condition holds, or patience ends.
func poll(condition func() bool) bool {
	waiting, cancel := await.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-waiting.Done():
			return false
		}
	}
	return true
}

func names(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("tier-%d", i)
	}
	return out
}

// infoInt is a number of INFO.
func (h *harness) infoInt(section, field string) int {
	h.t.Helper()
	info, err := h.redis.Info(h.t.Context(), section).Result()
	if err != nil {
		h.t.Fatal(err)
	}
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			var n int
			if _, err := fmt.Sscan(value, &n); err != nil {
				h.t.Fatal(err)
			}
			return n
		}
	}
	h.t.Fatalf("INFO %s has no %s", section, field)
	return 0
}
