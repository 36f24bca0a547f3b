package machine

import (
	"github.com/commontrip/commontrip/internal/limits"
	"github.com/commontrip/commontrip/store"
)

// window is what the rules look at: the newest calls, or those of the newest time; and the streak, which is independent
// of either. It is made with its first outcome.
type window struct {
	calls    ring     // a window of calls
	times    timeline // a window of time
	arrivals uint64   // outcomes that came, in order

	streak     int   // failures in a row; of a window of time those that entered it, whether they have left it or not
	streakFrom int64 // when the first of them arrived

	failing, slow, streaks witnesses // the replicas behind failures, slow calls and the streak
}

// emptyWindow forgets window and streak.
func (m *Machine) emptyWindow() { m.window = nil }

// bucketOf is the bucket of a window of time in which machine time t lies; width is the length of one.
func bucketOf(t, width int64) int64 {
	bucket := t / width
	if t%width < 0 { // rounds down below zero, too
		bucket--
	}
	return bucket
}

// countedStreak is the streak that the rules see. A window of time, which t sums, lets go of failures that are older.
func (w *window) countedStreak(t tally, width int64) int {
	if width > 0 {
		// mutant: ages
		return min(w.streak, int(t.failures))
	}
	return w.streak
}

// currentWindow is the window for another outcome. It makes one if there is none.
func (m *Machine) currentWindow() *window {
	if m.window == nil {
		m.window = &window{}
		if n := m.policyInForce().windowCalls; n > 0 {
			m.window.calls.resize(int(n))
		}
	}
	return m.window
}

// sum gives the window's tally at a time, and the least place that is in it. width is that of a bucket, 0 for a window of
// calls.
func (w *window) sum(at, width int64) (tally, place) {
	if width > 0 {
		newest := bucketOf(at, width)
		return w.times.tally(newest), place{bucket: newest - limits.Buckets + 1}
	}
	t := w.calls.tally()
	return t, place{arrival: w.arrivals - uint64(t.calls) + 1}
}

// tally is the window as a snapshot shows it.
func (m *Machine) tally(at int64) store.Tally {
	if m.window == nil {
		return store.Tally{}
	}
	width := m.policyInForce().bucket()
	t, _ := m.window.sum(at, width)
	return store.Tally{
		Calls: int(t.calls), Failures: int(t.failures), Slow: int(t.slow), Consecutive: m.window.countedStreak(t, width),
	}
}
