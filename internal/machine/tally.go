package machine

import "github.com/commontrip/commontrip/store"

// mark is what the window keeps of a call, in two bits.
type mark uint8

const (
	markFailed mark = 1 << iota
	markSlow
)

// markOf is what the window keeps of each outcome of a run.
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

// tally counts a window.
type tally struct{ calls, failures, slow int64 }

// tallyOf is the tally of one call.
func tallyOf(kind mark) tally {
	return tally{1, int64(kind & markFailed), int64(kind & markSlow >> 1)}
}

// add adds another tally.
func (t *tally) add(o tally) {
	t.calls += o.calls
	t.failures += o.failures
	t.slow += o.slow
}
