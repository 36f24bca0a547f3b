package machine

import "github.com/commontrip/commontrip/internal/limits"

// timeline counts calls in tenths of a window of time. Bucket i holds the time from i to i+1 widths; the window is the
// bucket of now and the nine before. A bucket that has left the window is overwritten when its place is needed.
type timeline struct{ slots *[limits.Buckets]bucket }

// bucket is one of them; index is its number.
type bucket struct {
	index int64
	tally
}

// add counts into a bucket, and reports whether it is in the window whose newest one is head.
func (l *timeline) add(index, head int64, t tally) bool {
	if index <= head-limits.Buckets {
		return false
	}
	if l.slots == nil {
		l.slots = new([limits.Buckets]bucket)
	}
	slot := &l.slots[((index%limits.Buckets)+limits.Buckets)%limits.Buckets]
	if slot.index != index {
		*slot = bucket{index: index}
	}
	slot.add(t)
	return true
}

// tally sums the window whose newest bucket is head.
func (l *timeline) tally(head int64) tally {
	var sum tally
	if l.slots == nil {
		return sum
	}
	for i := range l.slots {
		// mutant: oldest
		if slot := &l.slots[i]; slot.index > head-limits.Buckets && slot.index <= head {
			sum.add(slot.tally)
		}
	}
	return sum
}
