package machine

import "github.com/commontrip/commontrip/store"

// judgeRuns counts a report's refusals and takes its outcomes one by one, in the order in which they came.
func (m *Machine) judgeRuns(s script, r *store.Report, who *replica) {
	if r.Rejected > 0 {
		add(&m.counters().Rejected, r.Rejected)
	}
	for i := range r.Runs {
		run := &r.Runs[i]
		switch n := uint64(run.Count); {
		case r.Generation != m.generation || run.Age > r.MaxAge:
			add(&m.counters().Late, n)
		case run.Outcome == store.Ignored:
			add(&m.counters().Ignored, n)
		case m.mode != store.Auto:
			m.tell(run, n, who)
		case run.Outcome == store.Success && !run.Slow:
			m.tell(run, n, who)
			m.pass(s, millis(run.Age), run.Count)
		default:
			m.judgeRun(s, r.Generation, run, who)
		}
	}
}

// judgeRun judges after each adverse outcome. What follows the one that trips is of an older generation: late.
func (m *Machine) judgeRun(s script, generation uint64, run *store.Run, who *replica) {
	kind := markOf(run)
	for i := range run.Count {
		if m.generation != generation {
			add(&m.counters().Late, uint64(run.Count-i))
			return
		}
		m.tell(run, 1, who)
		if kind&markFailed != 0 {
			m.label(run.Label)
		}
		m.hurt(s, millis(run.Age), kind)
		if m.state == store.Closed {
			m.judge(s)
		}
	}
}

// tell counts calls in the totals and for their replica.
func (m *Machine) tell(run *store.Run, n uint64, who *replica) {
	totals := m.counters()
	add(&totals.Calls, n)
	add(&who.calls, n)
	if run.Outcome == store.Failure {
		add(&totals.Failures, n)
		add(&who.failures, n)
	}
	if run.Slow {
		add(&totals.Slow, n)
	}
}

func markOf(run *store.Run) mark {
	var kind mark
	if run.Outcome == store.Failure {
		kind |= markFailed
	}
	if run.Slow {
		kind |= markSlow
	}
	return kind
}
