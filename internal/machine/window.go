package machine

import "github.com/commontrip/commontrip/store"

// window is what the rules look at: the newest calls, or those of the newest time; and the streak, which is independent
// of either. It is made with its first outcome.
type window struct {
	calls    ring     // a window of calls
	times    timeline // a window of time
	arrivals uint64   // outcomes that came, in order

	streak                 int
	streakFrom             int64 // when its first failure arrived
	failing, slow, streaks witnesses
}

// mark is what the window keeps of a call, in two bits.
type mark uint8

const (
	markFailed mark = 1 << iota
	markSlow
)

// recent is the window to enter an outcome into.
func (m *Machine) recent() *window {
	if m.window == nil {
		m.window = &window{}
		if n := m.policy().windowCalls; n > 0 {
			m.window.calls.resize(int(n))
		}
	}
	return m.window
}

// pass enters n successes that were not slow.
func (m *Machine) pass(s script, age int64, n int) {
	w := m.recent()
	w.endStreak()
	w.arrivals += uint64(n)
	if width := m.policy().bucket(); width > 0 {
		w.times.add(floorDiv(s.at-age, width), s.at/width, tally{calls: int64(n)})
		return
	}
	w.calls.pass(n)
}

// hurt enters a failure or a slow success.
func (m *Machine) hurt(s script, age int64, kind mark) {
	w := m.recent()
	w.arrivals++
	at := place{arrival: w.arrivals}
	if kind&markFailed != 0 {
		if w.streak == 0 {
			w.streakFrom = s.at
		}
		w.streak++
		w.streaks.see(s.who, at)
	} else {
		w.endStreak()
	}
	if width := m.policy().bucket(); width > 0 {
		at.bucket = floorDiv(s.at-age, width)
		if !w.times.add(at.bucket, s.at/width, one(kind)) {
			return
		}
	} else {
		w.calls.push(kind)
	}
	if kind&markFailed != 0 {
		w.failing.see(s.who, at)
	}
	if kind&markSlow != 0 {
		w.slow.see(s.who, at)
	}
}

func (w *window) endStreak() { w.streak, w.streaks = 0, w.streaks[:0] }

// tally counts a window.
type tally struct{ calls, failures, slow int64 }

func one(kind mark) tally {
	return tally{1, int64(kind & markFailed), int64(kind & markSlow >> 1)}
}

func (t *tally) add(o tally) {
	t.calls += o.calls
	t.failures += o.failures
	t.slow += o.slow
}

// count gives the window's tally at a time, and the least place that is in it.
func (w *window) count(at, width int64) (tally, place) {
	if width > 0 {
		return w.times.tally(at / width), place{bucket: at/width - bucketCount + 1}
	}
	t := w.calls.tally()
	return t, place{arrival: w.arrivals - uint64(t.calls) + 1}
}

// tally is the window as shown.
func (m *Machine) tally(at int64) store.Tally {
	if m.window == nil {
		return store.Tally{}
	}
	t, _ := m.window.count(at, m.policy().bucket())
	return store.Tally{
		Calls: int(t.calls), Failures: int(t.failures), Slow: int(t.slow), Consecutive: m.window.streak,
	}
}
