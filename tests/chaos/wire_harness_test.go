package chaos

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/chaos/respfault"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
	"github.com/commontrip/commontrip/tests/fleet"
	"github.com/commontrip/commontrip/tests/redistest"
)

// patience is for what looks on, and is not what is attacked.
const patience = 60 * time.Second

// timing is the default but for a shorter refresh.
var timing = breaker.Timing{RefreshInterval: refresh}

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

// harness is a fleet on a server, each replica behind a proxy of its own, under traffic, and what the test sees of both.
type harness struct {
	*fleet.Fleet
	t        *testing.T
	scenario *scoreboard.Scenario
	server   *redistest.Server
	redis    *redis.Client     // past all proxies
	truth    *redisstore.Store // likewise
	names    []string
	fleet    []*onWire
	work     func() // begins the traffic; set by load
	rest     func() // ends it
}

// onWire is a replica behind its proxy.
type onWire struct {
	*fleet.Replica
	proxy *respfault.Proxy
	store *redisstore.Store
}

func newHarness(t *testing.T, scenario *scoreboard.Scenario, p plan) *harness {
	t.Helper()
	if p.server == nil {
		p.server = redistest.Start(t)
	}
	if p.timing == (breaker.Timing{}) {
		p.timing = timing
	}
	if p.policyOf == nil {
		p.policyOf = func(int) store.Policy { return p.policy }
	}
	h := &harness{t: t, scenario: scenario, server: p.server, names: p.names, redis: redisClient(t, p.server), rest: func() {}}
	h.truth = open(t, p.server.URL())
	h.Fleet = fleet.New(t, p.replicas, func(int) (store.Store, error) {
		proxy := respfault.Start(t, p.server.Addr())
		s, err := redisstore.Open("redis://" + p.user + proxy.Addr())
		h.fleet = append(h.fleet, &onWire{proxy: proxy, store: s})
		return s, err
	}, func(i int) []breaker.ManagerOption {
		options := []breaker.ManagerOption{breaker.WithTiming(p.timing), breaker.WithPolicy(p.policyOf(i))}
		if p.options != nil {
			options = append(options, p.options(i)...)
		}
		return options
	})
	for i, r := range h.Replicas {
		h.fleet[i].Replica = r
	}
	for _, name := range p.names {
		h.RegisterEach(name, p.policyOf)
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

// tripped are the trips of the own verdict, but for those that only carry on the fleet's while the store is away.
func tripped(e breaker.Event) bool { return e.Kind == breaker.OwnTripped && e.Transition.Action == 0 }

func ofKind(kinds ...breaker.EventKind) func(breaker.Event) bool {
	return func(e breaker.Event) bool { return slices.Contains(kinds, e.Kind) }
}

// told are the generations of a breaker's transitions and commands, as the listener heard them.
func (r *onWire) told(name string) (generations []uint64) {
	for _, e := range r.Events(ofKind(breaker.Transitioned, breaker.Commanded)) {
		if e.Name == name {
			generations = append(generations, e.Transition.Generation)
		}
	}
	return generations
}

// load lets every replica call every breaker each few milliseconds, until the test ends or rest is called.
func (h *harness) load(every time.Duration) {
	h.work = func() { h.rest = fleet.Work(h.Replicas, every, h.names...) }
	h.work()
	h.t.Cleanup(func() { h.rest() })
}

// fail makes every tier fail, or ends that.
func (h *harness) fail(down bool) {
	share := 0.0
	if down {
		share = 1
	}
	for _, name := range h.names {
		h.Tier(name).Fail(share)
	}
}

// reached is how many calls reached a tier.
func (h *harness) reached(name string) int { return h.Tier(name).Count().Calls }

// heal ends all that the proxies do.
func (h *harness) heal() {
	for _, r := range h.fleet {
		r.proxy.Heal()
	}
}

// converge waits until every replica holds what the store holds, by the fleet's verdict, and says how long that took.
func (h *harness) converge() time.Duration {
	h.t.Helper()
	start := time.Now()
	h.Converge(h.truth)
	for _, name := range h.names {
		fleet.All(h.t, "the fleet's verdict rules", h.Replicas, name, func(s breaker.Status) bool { return s.Verdict == breaker.Fleet })
	}
	return time.Since(start)
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
	what := fmt.Sprintf("all hear of %d, %d of %s", s.Generation, s.Rev, s.Name)
	return fleet.All(h.t, what, h.Replicas, s.Name, func(known breaker.Status) bool {
		return known.Fleet.Generation >= s.Generation && known.Fleet.Rev >= s.Rev
	})
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
	h.Tally(h.scenario)
}

func (h *harness) eventually(what string, condition func() bool) {
	h.t.Helper()
	await.Until(h.t, what, condition)
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
