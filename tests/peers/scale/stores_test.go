package scale

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
	postgresstore "github.com/commontrip/commontrip/store/postgres"
	redisstore "github.com/commontrip/commontrip/store/redis"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/peers/measure"
	"github.com/commontrip/commontrip/tests/peers/page"
	"github.com/commontrip/commontrip/tests/postgrestest"
	"github.com/commontrip/commontrip/tests/redistest"
)

const (
	patience = 30 * time.Second // for one request
	watchers = 32
	hotters  = 16 // replicas that report on one breaker at once
)

// contender is a store. Open gives one more replica's handle on it.
type contender struct {
	name   string
	open   func() (store.Store, error)
	figure [4][]float64 // what each round gave
}

// TestTableStores: what the stores take for the same requests, each in turn.
func TestTableStores(t *testing.T) {
	redis, postgres := redistest.Start(t), startPostgres(t)
	memory := memorystore.New()
	t.Cleanup(func() { _ = memory.Close() })
	listed := []*contender{
		{name: "memory", open: func() (store.Store, error) { return memorystore.NewLink(memory), nil }},
		{name: "Redis", open: func() (store.Store, error) { return redisstore.Open(redis.URL(), redisstore.WithTimeout(patience)) }},
		{name: "PostgreSQL", open: onPostgres(postgres, patience)},
		{name: "PostgreSQL, async commit", open: onPostgres(postgres, patience, postgresstore.WithPrefix("async"), postgresstore.WithAsyncCommit())},
	}
	all, reading := slices.Clone(listed), measure.Read()
	rounds := measure.Pick(1, 2)
	for range rounds {
		rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		for _, c := range all {
			c.round(t)
		}
	}
	table := page.NewTable("store", "Sync of 1 report", "of 100 about 100 breakers", "one hot breaker, reports/s", fmt.Sprintf("trip to the last of %d watchers", watchers))
	for _, c := range listed {
		f := c.figure
		table.Row(c.name, spread(f[0], seconds), spread(f[1], seconds), spread(f[2], page.Number), spread(f[3], seconds))
	}
	servers := measure.ProcessCPU(postgres.Processes()) + measure.ReadLoad(t, redis).CPU
	noise := measure.Read().Since(reading, servers).Noise()
	page.Show(t, "stores", fmt.Sprintf("Median (10th to 90th percentile) of single requests, and of %d rounds for the hot breaker, on which %d replicas report at once. "+
		"Clients and servers share this machine, of which other processes used %s. PostgreSQL waits for its disk (fsync), or does not (async commit).\n\n%s",
		rounds, hotters, page.Percent(noise), table))
}

func spread(values []float64, write func(float64) string) string {
	slices.Sort(values)
	return fmt.Sprintf("%s (%s–%s)", write(measure.Median(values)), write(measure.Quantile(values, 0.1)), write(measure.Quantile(values, 0.9)))
}

// round takes each figure of a store once more.
func (c *contender) round(t *testing.T) {
	t.Helper()
	var opened []store.Store
	open := func() store.Store {
		s, err := c.open()
		if err != nil {
			t.Fatal(err)
		}
		opened = append(opened, s)
		return s
	}
	defer func() {
		for _, s := range opened {
			_ = s.Close()
		}
	}()
	for i, breakers := range []int{1, 100} {
		c.figure[i] = append(c.figure[i], timed(t, newSender(open(), "web-0", breakers))...)
	}
	var senders []*sender
	hot := newSender(nil, "", 1).reports[0].Name
	for i := range hotters {
		s := newSender(open(), fmt.Sprintf("web-%d", i), 1)
		s.reports[0].Name = hot
		senders = append(senders, s)
	}
	c.figure[2] = append(c.figure[2], allAtOnce(t, senders))
	c.figure[3] = append(c.figure[3], trips(t, open)...)
}

// sender sends the reports of one replica, each about a breaker of its own, again and again.
type sender struct {
	store   store.Store
	reports []store.Report
}

var breakers atomic.Int64

func newSender(s store.Store, replica string, count int) *sender {
	out := &sender{store: s}
	for range count {
		out.reports = append(out.reports, store.Report{
			Name: tierName(int(breakers.Add(1))), Replica: replica, MaxAge: time.Minute, Policy: store.FleetPolicy(), Runs: successes,
		})
	}
	return out
}

func (s *sender) send(t *testing.T) {
	for i := range s.reports {
		s.reports[i].Seq++
	}
	for _, result := range s.store.Sync(context.Background(), s.reports) {
		if result.Err != nil {
			t.Error(result.Err)
		}
	}
}

// length is how long one figure is measured in a round.
func length() time.Duration { return measure.Pick(50*time.Millisecond, 500*time.Millisecond) }

// timed gives how many seconds each request took, one after the other.
func timed(t *testing.T, s *sender) (took []float64) {
	t.Helper()
	s.send(t) // makes what is not there yet
	for end := time.Now().Add(length()); time.Now().Before(end) && !t.Failed(); {
		begun := time.Now()
		s.send(t)
		took = append(took, time.Since(begun).Seconds())
	}
	return took
}

// allAtOnce gives how many reports a second get through if all send at once.
func allAtOnce(t *testing.T, senders []*sender) float64 {
	t.Helper()
	var sent atomic.Int64
	var sending sync.WaitGroup
	for _, s := range senders {
		s.send(t)
	}
	begun := time.Now()
	for _, s := range senders {
		sending.Go(func() {
			for time.Since(begun) < length() && !t.Failed() {
				s.send(t)
				sent.Add(1)
			}
		})
	}
	sending.Wait()
	return float64(sent.Load()) / time.Since(begun).Seconds()
}

// trips gives how many seconds passed from an operator's trip, or reset, until the last watcher had heard of it.
func trips(t *testing.T, open func() store.Store) (took []float64) {
	t.Helper()
	operator := newSender(open(), "web-0", 1)
	operator.send(t)
	name := operator.reports[0].Name
	ctx, stop := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	defer watching.Wait()
	defer stop()
	var ready, heard atomic.Int64
	for range watchers {
		s := open()
		watching.Go(func() {
			begun := false
			_ = s.Watch(ctx, func(e store.Event) {
				switch {
				case e.Resync && !begun:
					begun = true
					ready.Add(1)
				case !e.Resync && e.Snapshot.Name == name:
					heard.Add(1)
				}
			})
		})
	}
	await.Until(t, "all watch", func() bool { return ready.Load() == watchers })
	for i := range measure.Pick(2, 11) {
		want := int64(i+1) * watchers
		begun := time.Now()
		_, err := operator.store.Command(ctx, store.Command{Name: name, Action: []store.Action{store.Trip, store.Reset}[i%2], By: "bench"})
		if err != nil {
			t.Fatal(err)
		}
		for heard.Load() < want && time.Since(begun) < patience {
			pass(20 * time.Microsecond)
		}
		took = append(took, time.Since(begun).Seconds())
	}
	return took
}

// startPostgres starts a server that writes to its disk as one in production does.
func startPostgres(t *testing.T) *postgrestest.Server {
	t.Helper()
	srv := postgrestest.Start(t, "fsync = on", "synchronous_commit = on", "full_page_writes = on")
	if _, _, err := postgresstore.Migrate(context.Background(), srv.URL()); err != nil {
		t.Fatal(err)
	}
	return srv
}

// onPostgres opens stores on a server, over TCP as for Redis.
func onPostgres(srv *postgrestest.Server, timeout time.Duration, options ...postgresstore.Option) func() (store.Store, error) {
	return func() (store.Store, error) {
		return postgresstore.Open(srv.TCPURL(srv.Addr()), append(options, postgresstore.WithTimeout(timeout))...)
	}
}
