package shared

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/commontrip/commontrip/tests/peers/measure"
	"github.com/commontrip/commontrip/tests/peers/page"
	"github.com/commontrip/commontrip/tests/redistest"
)

func TestMain(m *testing.M) {
	redis.SetLogger(quiet{})
	m.Run()
}

// quiet keeps what clients log of a busy machine out of the tables; what matters is in their errors.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

// shape is who calls what.
type shape struct {
	callers, replicas int
	work              time.Duration
}

func (s shape) String() string {
	return fmt.Sprintf("%d, %d, %d ms", s.callers, s.replicas, s.work.Milliseconds())
}

var shapes = []shape{
	{1, 1, 0},
	{8, 1, 0},
	{8, 4, 0},
	{64, 1, 0},
	{64, 4, 0},
	{1, 1, 5 * time.Millisecond},
	{8, 1, 5 * time.Millisecond},
	{8, 4, 5 * time.Millisecond},
	{64, 1, 5 * time.Millisecond},
	{64, 4, 5 * time.Millisecond},
}

// busiest is the shape that the aims are about.
var busiest = shape{64, 4, 5 * time.Millisecond}

// cell is what one contender did in one shape.
type cell struct {
	contender
	srv *redistest.Server
	replicas
	load       // of all rounds
	rates      measure.Samples
	shares     measure.Samples // of the unguarded rate in the same round
	own, redis time.Duration
	commands   float64
	made       uint64 // calls, those of no round included
}

// rate is calls a second.
func (c *cell) rate() float64 { return c.rates.Spread().Median }

// share is how much of the unguarded rate of the same round was reached.
func (c *cell) share() measure.Spread { return c.shares.Spread() }

// TestTableShared: what a shared breaker costs a call.
func TestTableShared(t *testing.T) {
	table := page.NewTable("callers, Managers, work", "of", "calls/s", "of the unguarded", "added p50", "p99", "largest",
		"client's CPU a call", "Redis's", "commands a call", "outcomes missing", "errors")
	var aims []*cell
	for _, s := range measure.Pick(shapes[len(shapes)-1:], shapes) {
		t.Run(s.String(), func(t *testing.T) {
			cells := measureShape(t, s)
			for i, c := range cells {
				first := ""
				if i == 0 {
					first = s.String()
				}
				table.Row(c.row(t, first)...)
			}
			if s == busiest {
				aims = cells
			}
		})
	}
	page.Show(t, "shared", "One Redis for each contender, rounds in turn, median of the rounds. Added: what a call took beyond its work.\n\n"+table.String())
	page.Show(t, "shared-targets", targets(aims))
}

func measureShape(t *testing.T, s shape) []*cell {
	t.Helper()
	var cells []*cell
	for _, c := range contenders() {
		srv := redistest.Start(t)
		cells = append(cells, &cell{contender: c, srv: srv, replicas: c.open(t, srv, s.replicas)})
	}
	for _, c := range cells {
		c.warm(s)
	}
	rounds := 3
	if s == busiest {
		rounds = 15
	}
	for range measure.Pick(1, rounds) {
		var unguarded float64
		for i, c := range cells {
			rate, noise := c.round(t, s)
			if i == 0 {
				unguarded = rate
			}
			c.shares.Add(rate/unguarded, noise)
		}
	}
	return cells
}

func (c *cell) warm(s shape) {
	l := push(c.guards, s.callers, s.work, measure.Pick(20*time.Millisecond, 200*time.Millisecond))
	c.made += l.calls
}

func (c *cell) round(t *testing.T, s shape) (rate, noise float64) {
	t.Helper()
	load, reading := measure.ReadLoad(t, c.srv), measure.Read()
	l := push(c.guards, s.callers, s.work, measure.Pick(100*time.Millisecond, 700*time.Millisecond))
	work := measure.ReadLoad(t, c.srv).Since(load)
	use := measure.Read().Since(reading, work.CPU)
	rate, noise = float64(l.calls)/l.wall.Seconds(), use.Noise()
	c.rates.Add(rate, noise)
	c.add(l)
	c.made += l.calls
	c.own, c.redis, c.commands = c.own+use.Own, c.redis+work.CPU, c.commands+work.Count()
	return rate, noise
}

func (c *cell) row(t *testing.T, first string) []string {
	t.Helper()
	missing := "-"
	if c.counted != nil {
		n := c.counted(t)
		missing = page.Percent(float64(int64(c.made)-int64(n)) / float64(c.made))
	}
	calls := float64(max(c.calls, 1))
	each := func(d time.Duration) string { return page.Duration(time.Duration(float64(d) / calls)) }
	return []string{
		first, c.name, page.Number(c.rate()), page.Percent(c.share().Median), page.Duration(c.added.Quantile(0.5)),
		page.Duration(c.added.Quantile(0.99)), page.Duration(c.added.Most()), each(c.own), each(c.redis),
		page.Number(c.commands / calls), missing, page.Number(float64(c.failed)),
	}
}

// targets holds the busiest shape to what was aimed at.
func targets(cells []*cell) string {
	of := func(name string) *cell {
		return cells[slices.IndexFunc(cells, func(c *cell) bool { return c.name == name })]
	}
	ours, table := of(commontrip), page.NewTable("aimed at, with 64 callers, 4 Managers, 5 ms of work", "measured")
	share := ours.share()
	table.Row("at least 95 % of the unguarded rate", fmt.Sprintf("%s (%s to %s, 10th to 90th percentile of %d rounds)", page.Percent(share.Median),
		page.Percent(share.P10), page.Percent(share.P90), share.Kept))
	table.Row("at least 50 times gobreaker's distributed breaker", page.Number(ours.rate()/of(distributed).rate())+" times")
	table.Row("added p99 at most 50 µs", fmt.Sprintf("%s; of no guard at all %s", page.Duration(ours.added.Quantile(0.99)),
		page.Duration(of(noGuard).added.Quantile(0.99))))
	return table.String()
}

// TestTableTrips: how many calls run when all of them fail and five should be enough.
func TestTableTrips(t *testing.T) {
	table := page.NewTable("callers, Managers, work", "of", "calls that ran, median", "most", "did not open within "+giveUp.String())
	for _, s := range measure.Pick([]shape{{8, 4, 0}, busiest}, []shape{{1, 1, 0}, {8, 4, 0}, {8, 4, 5 * time.Millisecond}, {64, 1, 5 * time.Millisecond}, busiest}) {
		for i, c := range openers() {
			first := ""
			if i == 0 {
				first = s.String()
			}
			var ran []float64
			late := 0
			for range measure.Pick(1, 5) {
				t.Run(c.name, func(t *testing.T) {
					r := c.open(t, redistest.Start(t), s.replicas)
					n, tripped := trip(r.guards, s.callers, s.work, giveUp)
					ran = append(ran, float64(n))
					if !tripped {
						late++
					}
				})
			}
			table.Row(first, c.name, page.Number(measure.Median(ran)), page.Number(slices.Max(ran)), fmt.Sprintf("%d of %d", late, len(ran)))
		}
	}
	page.Show(t, "shared-trips", "Aimed at: at most callers + 10 calls.\n\n"+table.String())
}

const giveUp = 5 * time.Second

// TestTableRefusals: what a refusal costs while the shared breaker is open.
func TestTableRefusals(t *testing.T) {
	table := page.NewTable("callers, Managers", "of", "refusals/s", "p50", "p99", "largest", "commands a refusal")
	rates := map[string]float64{}
	for _, s := range measure.Pick([]shape{{64, 4, 0}}, []shape{{1, 1, 0}, {64, 4, 0}}) {
		for i, c := range openers() {
			first := ""
			if i == 0 {
				first = fmt.Sprintf("%d, %d", s.callers, s.replicas)
			}
			t.Run(c.name, func(t *testing.T) {
				srv := redistest.Start(t)
				r := c.open(t, srv, s.replicas)
				for range 100 { // one caller, so that it opens whoever shares it
					if _, tripped := trip(r.guards, 1, 0, giveUp); tripped {
						break
					}
				}
				load := measure.ReadLoad(t, srv)
				l := push(r.guards, s.callers, 0, measure.Pick(100*time.Millisecond, 2*time.Second))
				work := measure.ReadLoad(t, srv).Since(load)
				refused := float64(max(l.refused, 1))
				rates[c.name] = refused / l.wall.Seconds()
				table.Row(first, c.name, page.Number(rates[c.name]), page.Duration(l.added.Quantile(0.5)), page.Duration(l.added.Quantile(0.99)),
					page.Duration(l.added.Most()), page.Number(work.Count()/refused))
			})
		}
	}
	page.Show(t, "shared-refusals", fmt.Sprintf("Aimed at: no I/O, and at least 10 000 times gobreaker's; measured with 64 callers: %s times.\n\n%s",
		page.Number(rates[commontrip]/rates[distributed]), table))
}
