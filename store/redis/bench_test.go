package redisstore

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/redistest"
)

// serverTime is what the server spent on a command since the last CONFIG RESETSTAT, in microseconds a call.
func serverTime(tb testing.TB, client *redis.Client, command string) float64 {
	tb.Helper()
	info, err := client.Info(context.Background(), "commandstats").Result()
	if err != nil {
		tb.Fatal(err)
	}
	m := regexp.MustCompile(`cmdstat_` + command + `:.*usec_per_call=([0-9.]+)`).FindStringSubmatch(info)
	if m == nil {
		tb.Fatalf("no %s in\n%s", command, info)
	}
	usec, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		tb.Fatal(err)
	}
	return usec
}

// commandCalls is how often a server ran a command.
func commandCalls(tb testing.TB, client *redis.Client, command string) float64 {
	tb.Helper()
	info, err := client.Info(context.Background(), "commandstats").Result()
	if err != nil {
		tb.Fatal(err)
	}
	m := regexp.MustCompile(`cmdstat_` + command + `:calls=([0-9]+)`).FindStringSubmatch(info)
	if m == nil {
		return 0
	}
	n, _ := strconv.ParseFloat(m[1], 64)
	return n
}

// busyReport has 100 outcomes, ten of them failures in five runs.
func busyReport(name, replica string, seq uint64) store.Report {
	r := store.Report{Name: name, Policy: store.FleetPolicy(), Replica: replica, Seq: seq, MaxAge: 3 * time.Second}
	for range 5 {
		r.Runs = append(r.Runs,
			store.Run{Outcome: store.Success, Count: 18},
			store.Run{Outcome: store.Failure, Count: 2, Label: "refused"})
	}
	return r
}

// fleetOf makes a breaker on which that number of replicas reports, on a clock that stands still.
func fleetOf(tb testing.TB, s *Store, name string, replicas int) {
	tb.Helper()
	var reports []store.Report
	for i := range replicas {
		reports = append(reports, busyReport(name, fmt.Sprintf("web-%d#1", i), 1))
	}
	for _, r := range s.Sync(context.Background(), reports) {
		if r.Err != nil {
			tb.Fatal(r.Err)
		}
	}
}

func benchServer(tb testing.TB) (*Store, *redis.Client) {
	tb.Helper()
	srv := redistest.Start(tb)
	now := time.UnixMilli(1_700_000_000_000)
	s, err := Open(srv.SocketURL(), WithClock(func() time.Time { return now }), WithTimeout(time.Minute))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	return s, s.client.(*redis.Client)
}

// syncTime is the server's time for one busy report: the least mean of several batches, since the machine may be busy
// with other things, too.
func syncTime(tb testing.TB, s *Store, client *redis.Client, name string, batches int, seq *uint64) float64 {
	tb.Helper()
	least := math.Inf(1)
	for range batches {
		client.ConfigResetStat(context.Background())
		reports := make([]store.Report, 20)
		for i := range reports {
			*seq++
			reports[i] = busyReport(name, "web-0#1", *seq)
		}
		for _, r := range s.Sync(context.Background(), reports) {
			if r.Err != nil {
				tb.Fatal(r.Err)
			}
		}
		least = min(least, serverTime(tb, client, "evalsha"))
	}
	return least
}

func BenchmarkSync(b *testing.B) {
	s, client := benchServer(b)
	for _, replicas := range []int{10, 1000} {
		name := fmt.Sprintf("roster-%d", replicas)
		fleetOf(b, s, name, replicas)
		seq := uint64(1)
		b.Run(fmt.Sprintf("outcomes=100/roster=%d", replicas), func(b *testing.B) {
			b.ReportMetric(syncTime(b, s, client, name, b.N, &seq), "server-µs/report")
		})
	}
}

// hardReports are reports of 4096 adverse outcomes, each on a breaker that was prepared for it, and whose rules hold or nearly
// hold all the time.
var hardReports = []struct {
	name    string
	policy  store.Policy
	prepare func(send func(replica string, runs ...store.Run))
	runs    []store.Run
}{
	{
		"nothing is judged", // what the others are compared with
		store.Policy{WindowCalls: 10_000, ConsecutiveFailures: 1_000_000}, alone, spread(1, store.Failure, false),
	},
	{
		"nothing is judged, in 256 runs",
		store.Policy{WindowCalls: 10_000, ConsecutiveFailures: 1_000_000},
		alone, mixed(256),
	},
	{
		"it trips",
		store.Policy{WindowCalls: 10_000, FailureRate: 0.5},
		alone, spread(1, store.Failure, false),
	},
	{
		"a rate without a quorum",
		store.Policy{WindowCalls: 100, FailureRate: 0.5, Reporters: 2},
		beside, spread(1, store.Failure, false),
	},
	{
		"all rules without a quorum, in 256 runs",
		store.Policy{
			WindowCalls: 10_000, FailureRate: 0.1, SlowCallRate: 0.1, SlowCallAfter: 1, ConsecutiveFailures: 5, Reporters: 3, MinCalls: 1,
		},
		beside, mixed(256),
	},
	{
		"a window of time without a quorum, in 256 runs",
		store.Policy{
			WindowTime: time.Minute, FailureRate: 0.1, SlowCallRate: 0.1, SlowCallAfter: 1, ConsecutiveFailures: 5, Reporters: 3, MinCalls: 1,
		},
		beside, mixed(256),
	},
	{
		"a rate that is missed by one failure, which each outcome pushes out",
		store.Policy{WindowCalls: 10_000, FailureRate: 0.5, MinCalls: 10_000},
		func(send func(string, ...store.Run)) {
			send("web-0#1", store.Run{Outcome: store.Failure, Count: 4000}, store.Run{Outcome: store.Success, Count: 5001})
			send("web-0#1", store.Run{Outcome: store.Failure, Count: 999})
		}, spread(1, store.Failure, false),
	},
	{
		"a rate that is missed by little, and comes nearer by one failure in 64",
		store.Policy{WindowCalls: 10_000, FailureRate: 0.66, MinCalls: 10_000},
		func(send func(string, ...store.Run)) {
			for range 4 {
				var runs []store.Run
				for range 16 {
					runs = append(runs, store.Run{Outcome: store.Failure, Count: 63}, store.Run{Outcome: store.Success, Count: 1})
				}
				send("web-0#1", runs...)
			}
			send("web-0#1", store.Run{Outcome: store.Success, Count: 3405}, store.Run{Outcome: store.Failure, Count: 2499})
		}, spread(1, store.Failure, false),
	},
	{
		"a failure rate that slow calls come upon, in 256 runs",
		store.Policy{WindowCalls: 10_000, FailureRate: 0.01, SlowCallAfter: 1, Reporters: 2, MinCalls: 1},
		func(send func(string, ...store.Run)) {
			beside(send)
			send("web-1#1", store.Run{Outcome: store.Failure, Count: 4000})
		}, spread(256, store.Success, true),
	},
}

func alone(func(string, ...store.Run)) {}

// beside has two more replicas report a success.
func beside(send func(replica string, runs ...store.Run)) {
	send("web-1#1", store.Run{Outcome: store.Success, Count: 1})
	send("web-2#1", store.Run{Outcome: store.Success, Count: 1})
}

// spread is 4096 equal outcomes in that many runs.
func spread(runs int, o store.Outcome, slow bool) (out []store.Run) {
	for i := range runs {
		out = append(out, store.Run{Outcome: o, Slow: slow, Count: 4096 / runs, Label: fmt.Sprintf("label %d", i)})
	}
	return out
}

// mixed is 4096 outcomes of all adverse kinds by turns.
func mixed(runs int) []store.Run {
	out := spread(runs, store.Failure, false)
	for i := range out {
		out[i].Slow = i%2 == 1
		switch i % 8 {
		case 3:
			out[i].Outcome, out[i].Slow = store.Success, true
		case 6:
			out[i].Outcome, out[i].Slow = store.Ignored, true
		}
	}
	return out
}

// hardTime is the server's time for one hard report in µs, the least of several on breakers of their own.
func hardTime(tb testing.TB, s *Store, client *redis.Client, which, times int) float64 {
	tb.Helper()
	hard, least := hardReports[which], math.Inf(1)
	warm := store.Report{Name: "warm", Replica: "web-0#1", Seq: 1} // else the first script would be sent twice
	if err := s.Sync(context.Background(), []store.Report{warm})[0].Err; err != nil {
		tb.Fatal(err)
	}
	for range times {
		hardNames++
		name, seq := fmt.Sprintf("hard-%d", hardNames), uint64(0)
		send := func(replica string, runs ...store.Run) {
			tb.Helper()
			seq++
			r := store.Report{Name: name, Policy: hard.policy, Replica: replica, Seq: seq, MaxAge: time.Second, Runs: runs}
			if err := s.Sync(context.Background(), []store.Report{r})[0].Err; err != nil {
				tb.Fatal(err)
			}
		}
		hard.prepare(send)
		client.ConfigResetStat(context.Background())
		send("web-0#1", hard.runs...)
		least = min(least, serverTime(tb, client, "evalsha"))
		client.Unlink(context.Background(), s.keys.breaker(name))
	}
	return least
}

var hardNames int

func BenchmarkHardReports(b *testing.B) {
	s, client := benchServer(b)
	for i, hard := range hardReports {
		b.Run(hard.name, func(b *testing.B) {
			b.ReportMetric(hardTime(b, s, client, i, b.N), "server-µs/report")
		})
	}
}

func BenchmarkVersions(b *testing.B) {
	s, client := benchServer(b)
	names := make([]string, 100)
	for i := range names {
		names[i] = fmt.Sprintf("breaker-%d", i)
		fleetOf(b, s, names[i], 1)
	}
	client.ConfigResetStat(context.Background())
	for b.Loop() {
		if v, err := s.Versions(context.Background(), names...); err != nil || len(v) != len(names) {
			b.Fatal(v, err)
		}
	}
	b.ReportMetric(serverTime(b, client, "hmget"), "server-µs/name")
}
