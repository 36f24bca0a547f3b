package scale

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/commontrip/commontrip/tests/peers/measure"
	"github.com/commontrip/commontrip/tests/peers/page"
)

// side is what several seeds gave.
type side struct{ burnt, after []float64 }

// TestTableDetection: how many calls a failing tier burns and how long until all know, with one shared verdict and with as
// many separate breakers under the same policy. Simulated, in virtual time.
func TestTableDetection(t *testing.T) {
	table := page.NewTable("the tier", "replicas", "calls burnt, shared", "calls burnt, separate", "fewer by",
		"known to all, shared", "known to all, separate")
	var burnt, after []page.Line
	for color, fault := range []struct {
		name  string
		share float64
	}{{"dead", 1}, {"60 % failing", 0.6}} {
		lines := newLines(fault.name, color)
		for _, replicas := range measure.Pick([]int{3, 20}, []int{3, 20, 200, 1000}) {
			shared, separate := seeds(t, replicas, fault.share, true), seeds(t, replicas, fault.share, false)
			table.Row(fault.name, page.Number(float64(replicas)), span(shared.burnt, page.Number), span(separate.burnt, page.Number),
				page.Number(measure.Median(separate.burnt)/measure.Median(shared.burnt))+" times",
				span(shared.after, seconds), span(separate.after, seconds))
			lines.add(float64(replicas), shared, separate)
		}
		burnt, after = append(burnt, lines.burnt[:]...), append(after, lines.after[:]...)
	}
	page.Show(t, "detection", fmt.Sprintf("%d calls a second a replica, the default policy of a fleet, windows full of good calls before; median "+
		"(least–most) of %d seeds, in virtual time.\n\n%s", int(callRate), seedCount(), table))
	page.Draw(t, "detection-burnt.svg", page.Chart{
		Title: "Failing calls that ran before every replica refused", X: "replicas", Y: "failing calls", Lines: burnt,
	})
	page.Draw(t, "detection-time.svg", page.Chart{
		Title: "Time until every replica refused", X: "replicas", Y: "time", Lines: after, YNumber: seconds,
	})
}

func seedCount() int { return measure.Pick(1, 5) }

func seeds(t *testing.T, replicas int, share float64, shared bool) (s side) {
	t.Helper()
	for seed := range seedCount() {
		synctest.Test(t, func(t *testing.T) {
			d := detect(t, replicas, share, shared, uint64(seed+1))
			s.burnt, s.after = append(s.burnt, d.burnt), append(s.after, d.after)
		})
	}
	return s
}

// faultLines are the lines of one fault: shared first, then separate.
type faultLines struct{ burnt, after [2]page.Line }

func newLines(fault string, color int) (l faultLines) {
	for i, how := range []string{"shared", "separate"} {
		l.burnt[i] = page.Line{Name: fault + ", " + how, Dashed: i == 1, Color: color}
		l.after[i] = l.burnt[i]
	}
	return l
}

func (l *faultLines) add(replicas float64, shared, separate side) {
	for i, s := range []side{shared, separate} {
		l.burnt[i].Points = append(l.burnt[i].Points, pointOf(replicas, s.burnt))
		l.after[i].Points = append(l.after[i].Points, pointOf(replicas, s.after))
	}
}

func pointOf(x float64, values []float64) page.Point {
	return page.Point{X: x, Y: measure.Median(values), Low: slices.Min(values), High: slices.Max(values)}
}

func span(values []float64, write func(float64) string) string {
	return fmt.Sprintf("%s (%s–%s)", write(measure.Median(values)), write(slices.Min(values)), write(slices.Max(values)))
}
