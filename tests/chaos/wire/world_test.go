package wire

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
	"go.uber.org/goleak"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/chaos/board"
	"github.com/commontrip/commontrip/tests/chaos/respfault"
	"github.com/commontrip/commontrip/tests/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a promise may take on a busy machine; how long it took is reported.
const patience = 60 * time.Second

var errTier = errors.New("tier failed")

// timing is the default but for a shorter refresh.
var timing = breaker.Timing{RefreshInterval: 500 * time.Millisecond}

const refresh = 500 * time.Millisecond

// plan is what a world is made of.
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

// world is a fleet on a server, under traffic, and what the test sees of both.
type world struct {
	t      *testing.T
	row    *board.Row
	server *redistest.Server
	redis  *redis.Client     // past all proxies
	truth  *redisstore.Store // likewise
	names  []string
	fleet  []*replica

	down     atomic.Bool              // the tier
	quiet    atomic.Bool              // nobody calls
	reached  map[string]*atomic.Int64 // calls that reached it, by breaker
	failed   atomic.Int64             // calls that ended in an error that is neither the tier's nor a refusal
	back     atomic.Int64             // views that went back
	delay    atomic.Int64             // the longest, of a call without the tier's own time
	stopping context.CancelFunc
	running  sync.WaitGroup
}

// replica is one Manager, with all that is its own.
type replica struct {
	name    string
	proxy   *respfault.Proxy
	store   *redisstore.Store
	manager *breaker.Manager

	mu     sync.Mutex
	events []breaker.Event
}

func newWorld(t *testing.T, row *board.Row, p plan) *world {
	t.Helper()
	if p.server == nil {
		p.server = redistest.Start(t)
	}
	if p.timing == (breaker.Timing{}) {
		p.timing = timing
	}
	w := &world{t: t, row: row, server: p.server, names: p.names, redis: client(t, p.server)}
	w.truth, w.reached = open(t, p.server.URL()), map[string]*atomic.Int64{}
	for _, name := range p.names {
		w.reached[name] = new(atomic.Int64)
	}
	for i := range p.replicas {
		w.fleet = append(w.fleet, w.join(p, i))
	}
	return w
}

func client(t *testing.T, server *redistest.Server) *redis.Client {
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

func (w *world) join(p plan, i int) *replica {
	t := w.t
	t.Helper()
	r := &replica{name: fmt.Sprintf("web-%d", i), proxy: respfault.Start(t, p.server.Addr())}
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
		_ = r.manager.Close(ctx) // what it could not report is for the row to say
		_ = r.store.Close()
	})
	for _, name := range p.names {
		if _, err := r.manager.Register(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func (r *replica) listen(e breaker.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

// count counts the events that match.
func (r *replica) count(match func(breaker.Event) bool) (n int) {
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
func (r *replica) told(name string) (generations []uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if e.Name == name && (e.Kind == breaker.Transitioned || e.Kind == breaker.Commanded) {
			generations = append(generations, e.Transition.Generation)
		}
	}
	return generations
}

func (r *replica) breaker(name string) *breaker.Breaker {
	b, ok := r.manager.Breaker(name)
	if !ok {
		panic("no breaker " + name)
	}
	return b
}

// load lets every replica call every breaker each few milliseconds, until the test ends or rest is called.
func (w *world) load(every time.Duration) {
	ctx, stop := context.WithCancel(context.Background())
	w.stopping = stop
	w.t.Cleanup(w.rest)
	for _, r := range w.fleet {
		w.running.Go(func() {
			tick := time.NewTicker(every)
			defer tick.Stop()
			seen := map[string]store.Version{}
			for ctx.Err() == nil {
				for _, name := range w.names {
					if w.quiet.Load() {
						break
					}
					w.call(ctx, r.breaker(name), seen)
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
func (w *world) rest() {
	w.stopping()
	w.running.Wait()
}

func (w *world) call(ctx context.Context, b *breaker.Breaker, seen map[string]store.Version) {
	start := time.Now()
	err := b.Run(ctx, func(context.Context) error {
		w.reached[b.Name()].Add(1)
		if w.down.Load() {
			return errTier
		}
		return nil
	})
	took := int64(time.Since(start))
	for longest := w.delay.Load(); took > longest && !w.delay.CompareAndSwap(longest, took); longest = w.delay.Load() {
	}
	if err != nil && !errors.Is(err, errTier) && !errors.Is(err, breaker.ErrOpen) && ctx.Err() == nil {
		w.failed.Add(1)
		w.t.Logf("a call failed: %v", err)
	}
	now, before := b.Status().Fleet, seen[b.Name()]
	if now.Generation < before.Generation || now.Rev < before.Rev {
		w.back.Add(1)
		w.t.Logf("%s goes back from %+v to %d, %d", b.Name(), before, now.Generation, now.Rev)
	}
	seen[b.Name()] = store.Version{Generation: now.Generation, Rev: now.Rev}
}

// heal ends all that the proxies do.
func (w *world) heal() {
	for _, r := range w.fleet {
		r.proxy.Heal()
	}
}

// converge demands that every replica holds what the store holds, by the fleet's verdict, and says how long that took.
func (w *world) converge() time.Duration {
	w.t.Helper()
	start := time.Now()
	var apart string
	if !poll(func() bool { apart = w.apart(); return apart == "" }) {
		w.t.Fatalf("the fleet does not come to one view: %s", apart)
	}
	return time.Since(start)
}

// apart tells who holds something else than the store.
func (w *world) apart() string {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	held, err := w.truth.Read(ctx, w.names...)
	if err != nil {
		return err.Error()
	}
	if len(held) != len(w.names) {
		return fmt.Sprintf("the store holds %d breakers of %d", len(held), len(w.names))
	}
	for _, s := range held {
		for _, r := range w.fleet {
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
func (w *world) command(c store.Command) store.Snapshot {
	w.t.Helper()
	if c.By == "" {
		c.By = "oncall"
	}
	done, err := w.truth.Command(w.t.Context(), c)
	if err != nil {
		w.t.Fatalf("%+v: %v", c, err)
	}
	return done.Snapshot
}

// reach waits until every replica's view of name is of that generation and rev at least, and says how long it took.
func (w *world) reach(s store.Snapshot) time.Duration {
	w.t.Helper()
	start := time.Now()
	for _, r := range w.fleet {
		w.eventually(fmt.Sprintf("%s hears of %d, %d of %s", r.name, s.Generation, s.Rev, s.Name), func() bool {
			f := r.breaker(s.Name).Status().Fleet
			return f.Generation >= s.Generation && f.Rev >= s.Rev
		})
	}
	return time.Since(start)
}

// read is the store's snapshot of a breaker.
func (w *world) read(name string) store.Snapshot {
	w.t.Helper()
	all, err := w.truth.Read(w.t.Context(), name)
	if err != nil || len(all) != 1 {
		w.t.Fatalf("%s: %v, %v", name, all, err)
	}
	return all[0]
}

// do is a command to Redis itself.
func (w *world) do(args ...any) any {
	w.t.Helper()
	v, err := w.redis.Do(w.t.Context(), args...).Result()
	if err != nil {
		w.t.Fatalf("%v: %v", args, err)
	}
	return v
}

// key is where a breaker lies.
func key(name string) string { return "commontrip:{" + name + "}" }

// promised holds what every row holds.
func (w *world) promised() {
	w.t.Helper()
	w.row.Zero("calls failed by us", int(w.failed.Load()))
	w.row.Zero("views that went back", int(w.back.Load()))
	w.row.Report("largest delay of a call", time.Duration(w.delay.Load()))
}

func (w *world) eventually(what string, condition func() bool) {
	w.t.Helper()
	if !poll(condition) {
		w.t.Fatalf("never happened: %s", what)
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

// pass lets time go by, under traffic.
func pass(d time.Duration) { <-time.After(d) }

func names(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("tier-%d", i)
	}
	return out
}

// infoInt is a number of INFO.
func (w *world) infoInt(section, field string) int {
	w.t.Helper()
	info, err := w.redis.Info(w.t.Context(), section).Result()
	if err != nil {
		w.t.Fatal(err)
	}
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			var n int
			if _, err := fmt.Sscan(value, &n); err != nil {
				w.t.Fatal(err)
			}
			return n
		}
	}
	w.t.Fatalf("INFO %s has no %s", section, field)
	return 0
}
