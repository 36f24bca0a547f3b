package docs

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
	"github.com/commontrip/commontrip/tests/redistest"
)

// load is what a server has done since it started.
type load struct {
	cpu     time.Duration // of the process
	scripts float64       // how many ran
	script  time.Duration // and the time in them
	in, out float64       // bytes of its connections
	clients float64
}

// loadOf asks a server; the asking is a part of the next answer.
func loadOf(tb testing.TB, server *redistest.Server) load {
	tb.Helper()
	text, err := server.Text("INFO", "everything")
	if err != nil {
		tb.Fatal(err)
	}
	number := func(pattern string) float64 {
		m := regexp.MustCompile(pattern).FindStringSubmatch(text)
		if m == nil {
			return 0
		}
		n, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			tb.Fatal(err)
		}
		return n
	}
	seconds := number(`used_cpu_user:([0-9.]+)`) + number(`used_cpu_sys:([0-9.]+)`)
	return load{
		cpu:     time.Duration(seconds * float64(time.Second)),
		scripts: number(`cmdstat_evalsha:calls=([0-9]+)`), script: time.Duration(number(`cmdstat_evalsha:calls=[0-9]+,usec=([0-9]+)`)) * time.Microsecond,
		in: number(`total_net_input_bytes:([0-9]+)`), out: number(`total_net_output_bytes:([0-9]+)`),
		clients: number(`connected_clients:([0-9]+)`) - 1,
	}
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// BenchmarkReport is what one report costs a server and the network, and what a breaker takes of its memory, by the number
// of replicas that report on the breaker. A report of a quiet tier is one run, one of a tier in trouble is ten.
func BenchmarkReport(b *testing.B) {
	server := redistest.Start(b)
	for _, runs := range []int{1, 10} {
		for _, replicas := range []int{1, 20, 200, 1000} {
			b.Run(fmt.Sprintf("runs=%d/replicas=%d", runs, replicas), func(b *testing.B) {
				s, err := redisstore.Open(server.URL(), redisstore.WithPrefix(fmt.Sprint("size", runs)), redisstore.WithTimeout(time.Minute))
				if err != nil {
					b.Fatal(err)
				}
				defer s.Close()
				name := fmt.Sprint("card-network-", replicas)
				seq := uint64(time.Now().UnixMicro()) // above that of a run before
				send := func(replica int) {
					seq++
					report := store.Report{Name: name, Policy: store.FleetPolicy(), Replica: fmt.Sprintf("payments-7d9f-%04d#a1b2c3", replica), Seq: seq, MaxAge: time.Minute}
					for i := range runs {
						outcome := store.Run{Outcome: store.Success, Count: 10}
						if i%2 == 1 {
							outcome = store.Run{Outcome: store.Failure, Count: 1, Label: "connection refused"}
						}
						report.Runs = append(report.Runs, outcome)
					}
					if err := s.Sync(context.Background(), []store.Report{report})[0].Err; err != nil {
						b.Fatal(err)
					}
				}
				for i := range replicas {
					send(i)
				}
				was, sent := loadOf(b, server), 0
				for b.Loop() {
					send(sent % replicas)
					sent++
				}
				is := loadOf(b, server)
				each := func(total float64) float64 { return total / float64(sent) }
				b.ReportMetric(each(microseconds(is.script-was.script)), "script-µs/report")
				b.ReportMetric(each(microseconds(is.cpu-was.cpu)), "server-cpu-µs/report")
				b.ReportMetric(each(is.in-was.in), "B-in/report")
				b.ReportMetric(each(is.out-was.out), "B-out/report")
				b.ReportMetric(memoryOf(b, server, fmt.Sprintf("size%d:{%s}", runs, name)), "B-memory/breaker")
			})
		}
	}
}

func memoryOf(tb testing.TB, server *redistest.Server, key string) float64 {
	tb.Helper()
	line, err := server.Command("MEMORY", "USAGE", key, "SAMPLES", "0")
	if err != nil {
		tb.Fatal(err)
	}
	bytes, err := strconv.ParseFloat(line[1:], 64)
	if err != nil {
		tb.Fatalf("MEMORY USAGE %s: %s", key, line)
	}
	return bytes
}

// BenchmarkFleet is what a fleet costs a server in a second: real replicas, each with a manager and connections of its
// own, whose breakers are called all the time or not at all.
func BenchmarkFleet(b *testing.B) {
	for _, fleet := range []struct {
		replicas, breakers int
		every              time.Duration // from a replica's call to its next, of each breaker; 0 = no calls
	}{
		{1, 1, 20 * time.Millisecond},
		{20, 1, 20 * time.Millisecond},
		{200, 1, 200 * time.Millisecond},
		{20, 20, 100 * time.Millisecond},
		{20, 200, 0},
	} {
		b.Run(fmt.Sprintf("replicas=%d/breakers=%d/each-%v", fleet.replicas, fleet.breakers, fleet.every), func(b *testing.B) {
			server := redistest.Start(b)
			ctx, cancel := context.WithCancel(context.Background())
			var work sync.WaitGroup
			for i := range fleet.replicas {
				startReplica(ctx, b, &work, server, i, fleet.breakers, fleet.every)
			}
			<-time.After(2 * time.Second) // replicas are told how often to report with their first answers
			was := loadOf(b, server)
			for b.Loop() {
				<-time.After(5 * time.Second)
			}
			is := loadOf(b, server)
			cancel()
			work.Wait()
			a := func(total float64) float64 { return total / b.Elapsed().Seconds() }
			b.ReportMetric(a(is.scripts-was.scripts)/float64(fleet.breakers), "scripts/s/breaker")
			b.ReportMetric(100*a((is.cpu-was.cpu).Seconds()), "%-of-a-core")
			b.ReportMetric(a(is.in-was.in), "B-in/s")
			b.ReportMetric(a(is.out-was.out), "B-out/s")
			b.ReportMetric(is.clients/float64(fleet.replicas), "connections/replica")
		})
	}
}

// startReplica starts the i-th. Every twentieth call fails, of each replica another one: in step they would trip.
func startReplica(ctx context.Context, b *testing.B, work *sync.WaitGroup, server *redistest.Server, i, breakers int, every time.Duration) {
	b.Helper()
	s, err := redisstore.Open(server.URL(), redisstore.WithTimeout(time.Minute))
	if err != nil {
		b.Fatal(err)
	}
	m, err := breaker.NewManager(s)
	if err != nil {
		b.Fatal(err)
	}
	var called []*breaker.Breaker
	for t := range breakers {
		tier, err := m.Register(ctx, fmt.Sprint("tier-", t))
		if err != nil {
			b.Fatal(err)
		}
		called = append(called, tier)
	}
	work.Go(func() {
		defer s.Close()
		defer func() {
			closing, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			_ = m.Close(closing)
		}()
		if every == 0 {
			<-ctx.Done()
			return
		}
		ticks := time.NewTicker(every)
		defer ticks.Stop()
		for n := i; ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-ticks.C:
			}
			for _, tier := range called {
				_ = tier.Run(ctx, func(context.Context) error {
					if n%20 == 19 {
						return errors.New("timeout")
					}
					return nil
				})
			}
		}
	})
}
