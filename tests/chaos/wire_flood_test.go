package chaos

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/metrics"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
	"github.com/commontrip/commontrip/tests/redistest"
	"github.com/commontrip/commontrip/transport/breakerhttp"
)

// flood is a server, and what it and this process held before.
type flood struct {
	*harness
	heap, goroutines, memory int
}

func newFlood(t *testing.T, scenario *scoreboard.Scenario) *flood {
	h := newHarness(t, scenario, plan{server: redistest.Start(t)})
	return &flood{h, heap(), runtime.NumGoroutine(), h.infoInt("memory", "used_memory")}
}

// manager is a replica without a proxy.
func (f *flood) manager(name string) *breaker.Manager {
	f.t.Helper()
	s := open(f.t, f.server.URL())
	m, err := breaker.NewManager(s, breaker.WithReplica(name), breaker.WithTiming(breaker.Timing{StartTimeout: patience, StaleAfter: patience}))
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = m.Close(f.t.Context()) })
	return m
}

// register registers n names by many goroutines, which share pipelines, and counts those that fail.
func (f *flood) register(m *breaker.Manager, n int) int {
	var next, failed atomic.Int64
	var running sync.WaitGroup
	for range 500 {
		running.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				if _, err := m.Register(f.t.Context(), fmt.Sprintf("GET /users/%d", i)); err != nil {
					failed.Add(1)
				}
			}
		})
	}
	running.Wait()
	return int(failed.Load())
}

// idle is how many commands a second Redis runs while nobody calls, over a round of all that are compared with it.
func (f *flood) idle() float64 {
	d := scoreboard.Pick(f.scenario, 11*time.Second, 30*time.Second)
	before, start := f.infoInt("stats", "total_commands_processed"), time.Now()
	pass(d)
	return float64(f.infoInt("stats", "total_commands_processed")-before) / time.Since(start).Seconds()
}

// walks counts the commands that look at every key of the server.
func (f *flood) walks() (n int) {
	info, err := f.redis.Info(f.t.Context(), "commandstats").Result()
	if err != nil {
		f.t.Fatal(err)
	}
	for _, command := range []string{"keys", "scan", "sscan", "hscan", "randomkey"} {
		n += strings.Count(info, "cmdstat_"+command+":")
	}
	return n
}

// scrapeManager is what Prometheus gets of m, and how long it waits for it.
func scrapeManager(t *testing.T, m *breaker.Manager) (string, time.Duration) {
	t.Helper()
	registry := prometheus.NewRegistry()
	if err := registry.Register(metrics.NewCollector(m)); err != nil {
		t.Fatal(err)
	}
	handler := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	answer, start := httptest.NewRecorder(), time.Now()
	handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return answer.Body.String(), time.Since(start)
}

// One replica registers a name for every URL path.
func TestScenario30NameFlood(t *testing.T) {
	scenario := scoreboard.Start(t, 30, "name flood: one replica")
	f := newFlood(t, scenario)
	n := scoreboard.Pick(scenario, 2000, 100_000)
	m, start := f.manager("web-1"), time.Now()
	scenario.Zero("registrations that failed", f.register(m, n))
	scenario.Report("breakers", n)
	scenario.Report("registered in", time.Since(start))
	scenario.Report("local bytes a breaker", (heap()-f.heap)/n)
	scenario.Report("bytes in Redis a breaker", (f.infoInt("memory", "used_memory")-f.memory)/n)
	goroutines := 0
	await.Met(func() bool { goroutines = runtime.NumGoroutine() - f.goroutines; return goroutines <= 4 })
	scenario.AtMost("goroutines of a Manager and its store, with one lane", goroutines, 4)
	scenario.Report("Redis commands a second when idle", f.idle())

	scenario.Zero("names missing of Names", n-len(m.Names()))
	start = time.Now()
	snapshots, err := m.Snapshots(t.Context())
	scenario.Report("Snapshots in", time.Since(start))
	start = time.Now()
	all, err2 := m.Store().Read(t.Context())
	scenario.Report("Read of all in", time.Since(start))
	if err != nil || err2 != nil {
		t.Error(err, err2)
	}
	scenario.Zero("breakers missing of Snapshots and Read", 2*n-len(snapshots)-len(all))
	scenario.Zero("commands that walk the keys", f.walks())

	body, took := scrapeManager(t, m)
	scenario.Report("scrape in", took)
	scenario.AtMost("bytes of a scrape", len(body), 8<<20)
	const shown = 1000
	if want := fmt.Sprintf("commontrip_breakers_left_out %d", n-shown); !strings.Contains(body, want) {
		t.Errorf("the scrape does not say %q", want)
	}
}

// A name for every host that is called is capped: what comes beyond shares one breaker.
func TestScenario30HostsAreCapped(t *testing.T) {
	scenario := scoreboard.Start(t, 30, "name flood: hosts")
	f := newFlood(t, scenario)
	m := f.manager("web-1")
	const limit = 50
	pick := breakerhttp.PerHost(m, limit)
	failed := 0
	for i := range scoreboard.Pick(scenario, 2000, 100_000) {
		b, err := pick(httptest.NewRequest(http.MethodGet, fmt.Sprintf("http://host-%d.test/", i), nil))
		if err != nil || b == nil {
			failed++
		}
	}
	scenario.Zero("hosts without a breaker", failed)
	scenario.AtMost("breakers of all hosts", len(m.Names()), limit+1)
}

// Many replicas with many names each, all the same.
func TestScenario30ManyReplicasManyNames(t *testing.T) {
	scenario := scoreboard.Start(t, 30, "name flood: many replicas")
	f := newFlood(t, scenario)
	replicas, n := scoreboard.Pick(scenario, 5, 50), scoreboard.Pick(scenario, 200, 2000)
	managers := make([]*breaker.Manager, replicas)
	start, failed := time.Now(), 0
	for i := range managers {
		managers[i] = f.manager(fmt.Sprintf("web-%d", i))
		failed += f.register(managers[i], n)
	}
	scenario.Zero("registrations that failed", failed)
	scenario.Report("replicas", replicas)
	scenario.Report("breakers", n)
	scenario.Report("registered in", time.Since(start))
	scenario.Report("local bytes a breaker and replica", (heap()-f.heap)/n/replicas)
	scenario.Report("bytes in Redis a breaker", (f.infoInt("memory", "used_memory")-f.memory)/n)
	scenario.Report("Redis commands a second when idle", f.idle())
	scenario.Zero("commands that walk the keys", f.walks())
	exchanges := 0
	for _, m := range managers {
		exchanges += int(m.Status().ExchangeErrors)
	}
	scenario.Zero("failed exchanges", exchanges)
}
