package machine

import "time"

const (
	day         = int64(24 * time.Hour / time.Millisecond)
	sliceFor    = int64(30_000) // the roster counts replicas in slices of this length
	conflictFor = int64(60_000) // a difference of policies is shown for so long after it was last reported
)

// moment is machine time: at never goes back, and at - off is the store's clock.
type moment struct{ at, off int64 }

// moment carries a clock that stepped back on from where machine time was: the step costs the time in which no script
// ran, and lengthens no deadline beyond that.
func (m *Machine) moment(now int64) moment {
	at := max(m.at, now+m.off)
	return moment{at: at, off: at - now}
}

// script starts a request. It changes nothing that a refused one must leave.
func (m *Machine) script(now int64, name, who string) script {
	m.written, m.made = 0, 0
	return script{moment: m.moment(now), name: name, who: who}
}

// keep is what every accepted request stores.
func (m *Machine) keep(s script) { m.at, m.off = s.at, s.off }

// date is machine time as the store's clock shows it.
func (t moment) date(at int64) time.Time { return time.UnixMilli(at - t.off).UTC() }

func (t moment) slice() int64 { return t.at / sliceFor }

// left is the time until end, 0 where it is over.
func (t moment) left(end int64) time.Duration {
	return time.Duration(max(end-t.at, 0)) * time.Millisecond
}

func millis(d time.Duration) int64 { return int64(d / time.Millisecond) }

func duration(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }

// floorDiv rounds down, below zero too.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
