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
	s, err := Open(srv.SocketURL(), WithClock(func() time.Time { return now }), WithTimeout(10*time.Second))
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
