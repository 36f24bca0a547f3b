package scale

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
	"github.com/commontrip/commontrip/tests/peers/measure"
	"github.com/commontrip/commontrip/tests/peers/page"
	"github.com/commontrip/commontrip/tests/redistest"
)

const tiers = 10 // breakers a replica

// fleetCost is what one fleet costs, and how fast it is.
type fleetCost struct {
	replicas int
	work     measure.Work
	use      measure.Use
	calls    float64   // a second, of all replicas and breakers
	push     []float64 // seconds from a command to a replica's hearing of it, sorted
	found    []float64 // seconds from a tier's death to a replica's hearing of it, sorted
	burnt    uint64    // calls to the dead tier
}

// TestTableFleets: replicas with ten breakers each at steady traffic, on one Redis, and what a model makes of it.
func TestTableFleets(t *testing.T) {
	var costs []fleetCost
	for _, replicas := range measure.Pick([]int{3}, []int{1, 5, 20, 50, 200, 500, 1000}) {
		t.Run(fmt.Sprint(replicas), func(t *testing.T) { costs = append(costs, measureFleet(t, replicas)) })
	}
	table := page.NewTable("replicas", "calls/s", "scripts/s", "CPU a script", "Redis, of a core", "commands/s", "to Redis", "from Redis",
		"replicas, of a core", "push p50", "p99", "the last", "dead tier known to all", "calls burnt", "others")
	var line page.Line
	for _, c := range costs {
		table.Row(c.cells()...)
		share := c.work.Share() * 100
		line.Points = append(line.Points, page.Point{X: float64(c.replicas), Y: share, Low: share, High: share})
	}
	largest := costs[len(costs)-1]
	page.Show(t, "fleets", fmt.Sprintf("%d breakers a replica, %d calls a second through each, at random; clients and server on this machine. Push: from an operator's "+
		"command to a replica's listener. Others: what processes that are no part of it used of the machine.\n\n%s\nWith %d replicas: %s.",
		tiers, callRate, table, largest.replicas, breakdown(largest.work)))
	page.Show(t, "fleets-model", model(costs)+flood(t))
	line.Name = "Redis"
	page.Draw(t, "fleet-redis.svg", page.Chart{
		Title: "What a fleet costs Redis (10 breakers a replica)", X: "replicas", Y: "% of one core", Lines: []page.Line{line},
	})
}

func measureFleet(t *testing.T, replicas int) fleetCost {
	t.Helper()
	srv := redistest.Start(t, "--maxclients", "10000")
	f := newFleet(t, onRedis(srv.URL()), replicas, tiers, store.Policy{})
	f.run(1)
	pass(measure.Pick(200*time.Millisecond, 4*time.Second))
	c := fleetCost{replicas: replicas}
	load, reading, calls := measure.ReadLoad(t, srv), measure.Read(), f.calls.Load()
	pass(measure.Pick(500*time.Millisecond, 8*time.Second))
	c.work = measure.ReadLoad(t, srv).Since(load)
	c.use = measure.Read().Since(reading, c.work.CPU)
	c.calls = float64(f.calls.Load()-calls) / c.use.Wall.Seconds()
	for i := range pushes() {
		c.push = append(c.push, f.push(t, tierName(i+1))...)
	}
	slices.Sort(c.push)
	f.down[0].Store(true)
	c.found = f.until(tierName(0), breaker.Open, time.Now())
	c.burnt = f.burnt.Load()
	return c
}

// push opens a breaker by a command and gives how long each replica took to hear of it.
func (f *fleet) push(t *testing.T, name string) []float64 {
	t.Helper()
	from := time.Now()
	_, err := f.members[0].store.Command(t.Context(), store.Command{Name: name, Action: store.Trip, By: "bench", Why: "to see how fast it is heard"})
	if err != nil {
		t.Fatal(err)
	}
	return f.until(name, breaker.Open, from)
}

func (c fleetCost) cells() []string {
	scripts, _ := c.work.Scripts()
	rate := func(bytes float64) string { return page.Number(c.work.PerSecond(bytes)/1024) + " KiB/s" }
	return []string{
		page.Number(float64(c.replicas)), page.Number(c.calls), page.Number(c.work.PerSecond(scripts)), seconds(priceOf(c.work).core),
		page.Percent(c.work.Share()), page.Number(c.work.PerSecond(c.work.Count())), rate(c.work.In), rate(c.work.Out),
		page.Percent(c.use.Own.Seconds() / c.use.Wall.Seconds()), seconds(measure.Quantile(c.push, 0.5)),
		seconds(measure.Quantile(c.push, 0.99)), last(c.push, c.replicas*pushes()), last(c.found, c.replicas),
		page.Number(float64(c.burnt)), page.Percent(c.use.Noise()),
	}
}

// pushes is how many commands are given to see how fast they are heard.
func pushes() int { return measure.Pick(1, 3) }

// last is when the last of so many replicas heard, or how many did.
func last(heard []float64, of int) string {
	if len(heard) < of {
		return fmt.Sprintf("%d of %d heard", len(heard), of)
	}
	return seconds(measure.Quantile(heard, 1))
}

func seconds(s float64) string { return page.Duration(time.Duration(s * float64(time.Second))) }

// breakdown names what takes a server's time, the dearest first. A command's time is that on the clock, so that it is longer
// than the CPU's if the machine is busy; a script's includes its commands.
func breakdown(w measure.Work) string {
	names := make([]string, 0, len(w.Commands))
	for name := range w.Commands {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return int(w.Commands[b].Micros - w.Commands[a].Micros) })
	var parts []string
	for _, name := range names[:min(len(names), 5)] {
		c := w.Commands[name]
		parts = append(parts, fmt.Sprintf("%s %s/s x %s µs", name, page.Number(w.PerSecond(c.Calls)), page.Number(c.Micros/c.Calls)))
	}
	return strings.Join(parts, ", ")
}

// model holds the sizing model to what was measured, with the price of a script from the fleet that ran most of them, and
// plans other fleets by it.
func model(costs []fleetCost) string {
	dearest := slices.MaxFunc(costs, func(a, b fleetCost) int {
		x, _ := a.work.Scripts()
		y, _ := b.work.Scripts()
		return int(x - y)
	})
	p := priceOf(dearest.work)
	check := page.NewTable("replicas", "scripts/s by the model", "measured", "Redis by the model", "measured", "to Redis by the model", "measured")
	for _, c := range costs {
		by := plan{float64(c.replicas), tiers, callRate, budget}.scripts()
		n, _ := c.work.Scripts()
		check.Row(page.Number(float64(c.replicas)), page.Number(by), page.Number(c.work.PerSecond(n)), page.Percent(by*p.core),
			page.Percent(c.work.Share()), page.Number(by*p.in/1024)+" KiB/s", page.Number(c.work.PerSecond(c.work.In)/1024)+" KiB/s")
	}
	ahead := page.NewTable("replicas", "breakers", "calls/s through each", "budget", "outcomes wait", "scripts/s", "Redis, of a core", "to Redis", "from Redis")
	for _, f := range []plan{
		{20, 10, 100, 500}, {20, 100, 10, 500}, {200, 10, 10, 500}, {200, 50, 10, 500}, {200, 50, 10, 100}, {1000, 10, 10, 500}, {1000, 50, 10, 500}, {5000, 10, 1, 500},
	} {
		n := f.scripts()
		ahead.Row(page.Number(f.replicas), page.Number(f.breakers), page.Number(f.calls), page.Number(f.budget), seconds(f.wait()), page.Number(n),
			page.Percent(n*p.core), page.Number(n*p.in/1024)+" KiB/s", page.Number(n*p.out/1024)+" KiB/s")
	}
	return fmt.Sprintf("A script costs %s of CPU, %s bytes to Redis and %s from it (measured with %d replicas).\n\n%s\nOther fleets by the model:\n\n%s",
		seconds(p.core), page.Number(p.in), page.Number(p.out), dearest.replicas, check, ahead)
}

// flood sends reports as fast as one server takes them, and says where that ends.
func flood(t *testing.T) string {
	t.Helper()
	srv := redistest.Start(t)
	before := measure.ReadLoad(t, srv)
	var senders sync.WaitGroup
	end := time.Now().Add(measure.Pick(200*time.Millisecond, 4*time.Second))
	for i := range 4 {
		s, err := redisstore.Open(srv.URL(), redisstore.WithTimeout(30*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		senders.Go(func() {
			d := driver{store: s, policy: store.FleetPolicy(), replicas: 20, runs: successes, prefix: fmt.Sprintf("flood-%d", i)}
			for time.Now().Before(end) {
				d.round(t)
			}
		})
	}
	senders.Wait()
	work := measure.ReadLoad(t, srv).Since(before)
	n, _ := work.Scripts()
	return fmt.Sprintf("\nSent as fast as the server answers, beside its clients on the same machine: %s scripts/s at %s of a core, %s of CPU each; a core of its own "+
		"ends at %s scripts/s.", page.Number(work.PerSecond(n)), page.Percent(work.Share()), seconds(priceOf(work).core), page.Number(1/priceOf(work).core))
}
