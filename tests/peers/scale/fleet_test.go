package scale

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/peers/measure"
	"github.com/commontrip/commontrip/tests/peers/page"
	"github.com/commontrip/commontrip/tests/redistest"
)

const tiers = 10

// fleetCost is what one fleet costs, and how fast it is.
type fleetCost struct {
	replicas int
	work     measure.Work
	use      measure.Use
	rate     float64   // calls a second, of all replicas and breakers
	push     []float64 // seconds from a command to the replicas' hearing of it, sorted
	found    []float64 // seconds from a tier's death to the replicas' hearing of it, sorted
	burnt    uint64    // calls to the dead tier
}

// TestTableFleets: replicas with ten breakers each at steady traffic, on one Redis.
func TestTableFleets(t *testing.T) {
	table := page.NewTable("replicas", "calls/s", "scripts/s", "in one script", "CPU a script", "Redis, of a core", "commands/s", "to Redis", "from Redis",
		"the replicas, of a core", "push p50", "push p99", "push, the last", "dead tier known to all", "calls burnt", "others")
	var points []page.Point
	for _, replicas := range measure.Pick([]int{3}, []int{1, 5, 20, 50, 200, 500, 1000}) {
		c := measureFleet(t, replicas)
		scripts, each := c.work.Scripts()
		table.Row(page.Number(float64(replicas)), page.Number(c.rate), page.Number(c.work.PerSecond(scripts)), page.Duration(each), page.Duration(time.Duration(float64(c.work.CPU)/scripts)),
			page.Percent(c.work.Share()), page.Number(c.work.PerSecond(c.work.Count())),
			page.Number(c.work.PerSecond(c.work.In)/1024)+" KiB/s", page.Number(c.work.PerSecond(c.work.Out)/1024)+" KiB/s",
			page.Percent(c.use.Own.Seconds()/c.use.Wall.Seconds()),
			seconds(measure.Quantile(c.push, 0.5)), seconds(measure.Quantile(c.push, 0.99)), seconds(measure.Quantile(c.push, 1)),
			seconds(measure.Quantile(c.found, 1)), page.Number(float64(c.burnt)), page.Percent(c.use.Noise()))
		points = append(points, page.Point{X: float64(replicas), Y: c.work.Share() * 100, Low: c.work.Share() * 100, High: c.work.Share() * 100})
		fmt.Printf("%d replicas: %s\n", replicas, breakdown(c.work))
	}
	page.Show(t, "fleets", fmt.Sprintf("%d breakers a replica, %g calls a second through each. Others is what processes that are not "+
		"part of this used of the machine.\n\n%s", tiers, callRate, table))
	page.Draw(t, "fleet-redis.svg", page.Chart{
		Title: "What a fleet costs Redis (10 breakers a replica)", X: "replicas", Y: "% of one Redis core",
		Lines: []page.Line{{Name: "Redis", Points: points}},
	})
}

const callRate = 10.0

func measureFleet(t *testing.T, replicas int) fleetCost {
	t.Helper()
	srv := redistest.Start(t, "--maxclients", "10000")
	f := newFleet(t, srv.URL(), replicas, tiers, store.Policy{})
	f.run(callRate)
	pass(measure.Pick(200*time.Millisecond, 4*time.Second))
	c := fleetCost{replicas: replicas}
	load, reading, calls := measure.ReadLoad(t, srv), measure.Read(), f.calls.Load()
	pass(measure.Pick(500*time.Millisecond, 8*time.Second))
	c.work = measure.ReadLoad(t, srv).Since(load)
	c.use = measure.Read().Since(reading, c.work.CPU)
	c.rate = float64(f.calls.Load()-calls) / c.use.Wall.Seconds()
	for i := range measure.Pick(1, 5) {
		c.push = append(c.push, f.push(t, tierName(i+1))...)
	}
	slices.Sort(c.push)
	f.down[0].Store(true)
	c.found = f.until(t, tierName(0), breaker.Open, time.Now())
	c.burnt = f.burnt.Load()
	slices.Sort(c.found)
	f.close()
	srv.Kill()
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
	return f.until(t, name, breaker.Open, from)
}

func seconds(s float64) string { return page.Duration(time.Duration(s * float64(time.Second))) }

// breakdown names what takes a server's time, the dearest first.
func breakdown(w measure.Work) string {
	names := make([]string, 0, len(w.Commands))
	for name := range w.Commands {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return int(w.Commands[b].Micros - w.Commands[a].Micros) })
	var b strings.Builder
	fmt.Fprintf(&b, "CPU %s", page.Percent(w.Share()))
	for _, name := range names {
		c := w.Commands[name]
		fmt.Fprintf(&b, "; %s %.0f/s x %.2f us = %s", name, w.PerSecond(c.Calls), c.Micros/c.Calls, page.Percent(c.Micros/1e6/w.Wall.Seconds()))
	}
	return b.String()
}
