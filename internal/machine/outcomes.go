package machine

import "github.com/commontrip/commontrip/store"

// endStreak ends the failures in a row.
func (w *window) endStreak() { w.streak, w.streaks = 0, w.streaks[:0] }

// addSuccesses enters n successes that were not slow.
func (m *Machine) addSuccesses(req request, n int, age int64) {
	w := m.currentWindow()
	w.endStreak()
	w.arrivals += uint64(n)
	if width := m.policyInForce().bucket(); width > 0 {
		w.times.add(bucketOf(req.at-age, width), bucketOf(req.at, width), tally{calls: int64(n)})
		return
	}
	w.calls.pushSuccesses(n)
}

// addOne enters a failure or a slow call. One that its caller gave up says nothing about the streak. Nor does a failure that is
// older than the window of time, and one whose predecessors have all left it begins another streak.
func (m *Machine) addOne(req request, outcome store.Outcome, kind mark, age int64) {
	w, failed := m.currentWindow(), kind&markFailed != 0
	w.arrivals++
	at := place{arrival: w.arrivals}
	// mutant: given-up = if kind&markFailed == 0 {
	if outcome == store.Success {
		w.endStreak()
	}
	if width := m.policyInForce().bucket(); width > 0 {
		newest := bucketOf(req.at, width)
		at.bucket = bucketOf(req.at-age, width)
		// mutant: begins
		begins := failed && w.times.tally(newest).failures == 0
		if !w.times.add(at.bucket, newest, tallyOf(kind)) {
			return
		}
		if begins {
			w.endStreak()
		}
	} else {
		w.calls.push(kind)
	}
	if failed {
		if w.streak == 0 {
			w.streakFrom = req.at
		}
		w.streak++
		w.streaks.touch(req.from, at)
		w.failing.touch(req.from, at)
	}
	if kind&markSlow != 0 {
		w.slow.touch(req.from, at)
	}
}

// addAdverse enters the failures or slow calls of a run, each judged while the machine is closed. It returns how many
// were taken: those after one that trips belong to an older generation.
func (m *Machine) addAdverse(req request, run *store.Run) (taken int) {
	kind := markOf(run)
	for i := range run.Count {
		if kind&markFailed != 0 {
			m.addLabels(run.Label, 1)
		}
		m.addOne(req, run.Outcome, kind, millis(run.Age))
		// mutant: judged
		if m.state != store.Closed {
			continue
		}
		if reason, witnesses := m.judge(req); reason != "" {
			m.open(req, change{reason: reason, cause: req.from, witnesses: witnesses})
			return i + 1
		}
	}
	return run.Count
}

// takeRuns takes a report's outcomes one by one, in the order in which they came.
func (m *Machine) takeRuns(req request, r *store.Report, from *replica) {
	for i := range r.Runs {
		run := &r.Runs[i]
		taken := run.Count
		switch {
		// mutant: late
		case r.Generation != m.generation || run.Age > r.MaxAge:
			taken = 0
		// mutant: ignored = case run.Outcome == store.Ignored && !run.Slow: m.currentWindow().endStreak()
		case run.Outcome == store.Ignored && !run.Slow || m.mode != store.Auto: // they go to the totals only
		// mutant: success
		case run.Outcome == store.Success && !run.Slow:
			m.addSuccesses(req, run.Count, millis(run.Age))
		default:
			taken = m.addAdverse(req, run)
		}
		if taken > 0 {
			m.count(run.Outcome, run.Slow, uint64(taken), from)
		}
		if late := run.Count - taken; late > 0 {
			// mutant: rest = add(&m.counters().Calls, uint64(late))
			add(&m.counters().Late, uint64(late))
		}
	}
}
