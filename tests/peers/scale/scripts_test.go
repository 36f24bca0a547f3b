package scale

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
	"github.com/commontrip/commontrip/tests/peers/measure"
	"github.com/commontrip/commontrip/tests/peers/page"
	"github.com/commontrip/commontrip/tests/redistest"
)

// together is how many scripts share a pipeline, as ten breakers of one replica do.
const together = 10

// TestTableScripts: what one report costs the server, by the window's kind, the roster's length and what is reported, and
// how large the hash is.
func TestTableScripts(t *testing.T) {
	srv := redistest.Start(t)
	s, err := redisstore.Open(srv.URL(), redisstore.WithTimeout(30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	client := redis.NewClient(&redis.Options{Addr: srv.Addr()})
	defer client.Close()

	calls := func(n int) store.Policy { return store.Policy{WindowCalls: n, FailureRate: 1, MinCalls: n} }
	window := func(d time.Duration) store.Policy { return store.Policy{WindowTime: d, FailureRate: 1} }
	table := page.NewTable("window", "replicas", "report", "in the script", "CPU a script", "MEMORY USAGE")
	for _, c := range []struct {
		window   string
		policy   store.Policy
		replicas int
		report   string
		runs     []store.Run
	}{
		{"100 calls", calls(100), 20, "nothing", nil},
		{"100 calls", calls(100), 20, "5 successes", successes},
		{"100 calls", calls(100), 20, "a failure among 5", oneFailure},
		{"100 calls", calls(100), 20, "100 outcomes, 10 failures", hundred},
		{"1 000 calls", calls(1000), 20, "100 outcomes, 10 failures", hundred},
		{"10 000 calls", calls(10_000), 20, "100 outcomes, 10 failures", hundred},
		{"10 s", window(10 * time.Second), 20, "5 successes", successes},
		{"10 s", window(10 * time.Second), 20, "100 outcomes, 10 failures", hundred},
		{"100 calls", calls(100), 1, "5 successes", successes},
		{"100 calls", calls(100), 200, "5 successes", successes},
		{"100 calls", calls(100), 1000, "5 successes", successes},
		{"100 calls", calls(100), 1000, "100 outcomes, 10 failures", hundred},
	} {
		d := driver{store: s, policy: c.policy, replicas: c.replicas, runs: c.runs, prefix: fmt.Sprintf("%s/%d/%s", c.window, c.replicas, c.report)}
		each, cpu := leastOf(t, srv, func() { d.round(t) })
		size, err := client.MemoryUsage(t.Context(), redisKey(t, client, d.name(0)), 0).Result()
		if err != nil {
			t.Fatal(err)
		}
		table.Row(c.window, page.Number(float64(c.replicas)), c.report, page.Duration(each), page.Duration(cpu), page.Number(float64(size)/1024)+" KiB")
	}
	for _, floor := range floors {
		script := redis.NewScript(floor.source)
		if err := script.Load(t.Context(), client).Err(); err != nil {
			t.Fatal(err)
		}
		each, cpu := leastOf(t, srv, func() { pipelines(t, client, script) })
		table.Row(floor.name, "", "", page.Duration(each), page.Duration(cpu), "")
	}
	page.Show(t, "scripts", fmt.Sprintf("%d scripts a pipeline. In the script: the server's own clock for EVALSHA (the least mean of several rounds). CPU a script: all that the server used, "+
		"its network included.\n\n%s", together, table))
}

// The reports that are measured.
var (
	successes  = []store.Run{{Outcome: store.Success, Count: 5}}
	oneFailure = []store.Run{{Outcome: store.Success, Count: 3}, {Outcome: store.Failure, Count: 1, Label: "timeout"}, {Outcome: store.Success, Count: 1}}
	hundred    = hundredOutcomes()
)

func hundredOutcomes() (runs []store.Run) {
	for range 5 {
		runs = append(runs, store.Run{Outcome: store.Success, Count: 18}, store.Run{Outcome: store.Failure, Count: 2, Label: "timeout"})
	}
	return runs
}

// floors are what any script costs that does as much with Redis as ours, and nothing else.
var floors = []struct{ name, source string }{
	{"floor: an empty script with our arguments", `return 1`},
	{"floor: one that reads 20 fields and writes 4", `
local f = redis.call('HMGET', KEYS[1], 'f1', 'f2', 'f3', 'f4', 'f5', 'f6', 'f7', 'f8', 'f9', 'f10',
  'f11', 'f12', 'f13', 'f14', 'f15', 'f16', 'f17', 'f18', 'f19', 'f20')
redis.call('HSET', KEYS[1], 'f1', ARGV[9], 'f2', ARGV[3], 'f3', ARGV[4], 'f4', ARGV[14])
return f`},
}

// driver sends reports of many replicas on ten breakers.
type driver struct {
	store    store.Store
	policy   store.Policy
	replicas int
	runs     []store.Run
	prefix   string
	seq      uint64
	turn     int
}

func (d *driver) name(i int) string { return fmt.Sprintf("%s #%d", d.prefix, i) }

// round lets some replicas report, all of them at first.
func (d *driver) round(t *testing.T) {
	t.Helper()
	pipelines := measure.Pick(20, 50)
	if d.seq == 0 {
		pipelines = d.replicas
	}
	for range pipelines {
		d.seq++
		d.turn = (d.turn + 1) % d.replicas
		reports := make([]store.Report, together)
		for i := range reports {
			reports[i] = store.Report{
				Name: d.name(i), Policy: d.policy, Replica: "web-" + strconv.Itoa(d.turn) + "#1", Seq: d.seq, MaxAge: 3 * time.Second,
				Runs: d.runs,
			}
		}
		for _, r := range d.store.Sync(t.Context(), reports) {
			if r.Err != nil {
				t.Fatal(r.Err)
			}
		}
	}
}

// pipelines sends a bare script with arguments as long as ours.
func pipelines(t *testing.T, client *redis.Client, script *redis.Script) {
	t.Helper()
	policy := "100 0 0 0 5000 0 0 20 2 60000 60000 3 2 30000 0 0"
	for range measure.Pick(20, 50) {
		_, err := client.Pipelined(t.Context(), func(p redis.Pipeliner) error {
			for i := range together {
				script.EvalSha(t.Context(), p, []string{"floor:" + strconv.Itoa(i)}, "", "commontrip:events", policy, "web-1#0123456789",
					0, 0, "", 0, 12345, 0, 3000, 0, 0, "05 0 \n")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// leastOf does something several times and gives the least that a script took then, by the server's clock for scripts, and
// of its CPU: whatever disturbs adds.
func leastOf(t *testing.T, srv *redistest.Server, do func()) (each, cpu time.Duration) {
	t.Helper()
	do()
	each, cpu = math.MaxInt64, math.MaxInt64
	for range measure.Pick(2, 40) {
		before := measure.ReadLoad(t, srv)
		do()
		work := measure.ReadLoad(t, srv).Since(before)
		n, in := work.Scripts()
		each, cpu = min(each, in), min(cpu, time.Duration(float64(work.CPU)/n))
	}
	return each, cpu
}

// redisKey finds the key of a breaker.
func redisKey(t *testing.T, client *redis.Client, name string) string {
	t.Helper()
	iter := client.Scan(context.Background(), 0, "commontrip:{*", 10_000).Iterator()
	want := "commontrip:{" + name + "}"
	for iter.Next(t.Context()) {
		if iter.Val() == want {
			return want
		}
	}
	t.Fatalf("no key %q", want)
	return ""
}
