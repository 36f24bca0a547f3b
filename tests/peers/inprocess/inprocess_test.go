package inprocess

import (
	"fmt"
	"os/exec"
	"runtime"
	"testing"

	"github.com/commontrip/commontrip/tests/peers/measure"
	"github.com/commontrip/commontrip/tests/peers/page"
	"github.com/commontrip/commontrip/tests/redistest"
)

// row is a contender with what was measured of it.
type row struct {
	contender
	closedTime, openTime *timed // openTime is nil if there is no open
}

func contenders(t testing.TB) []contender {
	url := ""
	if _, err := exec.LookPath("redis-server"); err == nil {
		url = redistest.Start(t).URL()
	}
	out := floors()
	out = append(out, ours(t, url)...)
	out = append(out, others()...)
	out = append(out, compositions(t)...)
	var sorted []contender
	for _, call := range []string{byValue, byError, twoSteps, layers} {
		for _, c := range out {
			if c.call == call {
				sorted = append(sorted, c)
			}
		}
	}
	return sorted
}

// TestTableCalls: what a call costs, closed and open, on one core and on all.
func TestTableCalls(t *testing.T) {
	var rows []row
	var all []*timed
	for _, c := range contenders(t) {
		r := row{contender: c, closedTime: newTimed(c.closed)}
		all = append(all, r.closedTime)
		if c.open != nil {
			r.openTime = newTimed(c.open)
			all = append(all, r.openTime)
		}
		rows = append(rows, r)
	}
	before := measure.Read()
	interleave(all, measure.Pick(2, 15))
	use := measure.Read().Since(before, 0)

	table := page.NewTable("a call", "of", "closed", "closed, all cores", "allocations", "open", "open, all cores", "allocations")
	dropped, kept, last := 0, 0, ""
	for _, r := range rows {
		cells := []string{"", r.name, spread(&r.closedTime.serial), spread(&r.closedTime.parallel), page.Number(r.closedTime.allocs)}
		if r.call != last {
			cells[0], last = r.call, r.call
		}
		if r.openTime != nil {
			cells = append(cells, spread(&r.openTime.serial), spread(&r.openTime.parallel), page.Number(r.openTime.allocs))
		}
		table.Row(cells...)
	}
	for _, timed := range all {
		for _, s := range []measure.Spread{timed.serial.Spread(), timed.parallel.Spread()} {
			dropped, kept = dropped+s.Dropped, kept+s.Kept
		}
	}
	page.Show(t, "calls", fmt.Sprintf("Nanoseconds a call, around a function that does nothing; on all cores: as each of the %d sees it. Median (10th to 90th "+
		"percentile) of the quiet samples, %d kept and %d dropped; ~ if fewer than a third were quiet. Others used %s of the machine.\n\n%s",
		runtime.GOMAXPROCS(0), kept, dropped, page.Percent(use.Noise()), table))
	page.Show(t, "calls-targets", targets(rows))
}

func spread(samples *measure.Samples) string {
	s := samples.Spread()
	mark := ""
	if s.Noisy {
		mark = "~"
	}
	return fmt.Sprintf("%s%s (%s–%s)", mark, page.Number(s.Median), page.Number(s.P10), page.Number(s.P90))
}

// targets holds the run to what was aimed at.
func targets(rows []row) string {
	of := func(call, name string) *timed {
		for _, r := range rows {
			if r.call == call && r.name == name {
				return r.closedTime
			}
		}
		return newTimed(func(int) {})
	}
	median := func(s *measure.Samples) float64 { return s.Spread().Median }
	closed, shared := of(byValue, "commontrip"), of(byValue, "commontrip, shared by Redis")
	rolling, permit := of(byValue, "gobreaker, rolling window"), of(twoSteps, "failsafe-go, a permit")
	chain, theirs := of(layers, "commontrip"), of(layers, "failsafe-go")
	table := page.NewTable("aimed at", "measured")
	table.Row("closed call at least 6 times faster than gobreaker's, rolling", ratio(median(&rolling.serial), median(&closed.serial)))
	table.Row("faster than failsafe-go's bare permit", ratio(median(&permit.serial), median(&closed.serial)))
	table.Row("no allocation", page.Number(closed.allocs))
	table.Row("on all cores no slower a call than on one", ratio(median(&closed.serial), median(&closed.parallel)))
	table.Row("shared by Redis within 20 % of alone", page.Percent(median(&shared.serial)/median(&closed.serial)-1)+" more")
	table.Row("three layers at least 3 times faster than failsafe-go's", ratio(median(&theirs.serial), median(&chain.serial)))
	table.Row("with a third of the allocations at most", fmt.Sprintf("%s against %s", page.Number(chain.allocs), page.Number(theirs.allocs)))
	return table.String()
}

func ratio(a, b float64) string { return page.Number(a/b) + " times" }

// TestTableHeap: what a breaker weighs.
func TestTableHeap(t *testing.T) {
	table := page.NewTable("bytes of heap a breaker", "idle", "after traffic on all cores")
	for _, m := range makers(t) {
		idle, used := weigh(m.make, measure.Pick(100, 10_000), measure.Pick(10, 500))
		table.Row(m.name, page.Number(idle), page.Number(used))
	}
	page.Show(t, "heap", table.String())
}

// BenchmarkClosed is a call around a function that does nothing.
func BenchmarkClosed(b *testing.B) {
	for _, c := range contenders(b) {
		b.Run(c.call+"/"+c.name, func(b *testing.B) {
			b.ReportAllocs()
			c.closed(b.N)
		})
	}
}

// BenchmarkOpen is a refusal.
func BenchmarkOpen(b *testing.B) {
	for _, c := range contenders(b) {
		if c.open == nil {
			continue
		}
		b.Run(c.call+"/"+c.name, func(b *testing.B) {
			b.ReportAllocs()
			c.open(b.N)
		})
	}
}
