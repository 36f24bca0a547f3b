package machine

const bucketCount = 10

// timeline counts calls in tenths of a window of time. Bucket i holds the time from i to i+1 widths; the window is the
// bucket of now and the nine before. A bucket that has left the window is overwritten when its place is needed.
type timeline struct{ slots *[bucketCount]bucket }

type bucket struct {
	index int64
	tally
}

// add counts into a bucket, and reports whether it is in the window whose newest one is head.
func (l *timeline) add(index, head int64, t tally) bool {
	if index <= head-bucketCount {
		return false
	}
	if l.slots == nil {
		l.slots = new([bucketCount]bucket)
	}
	slot := &l.slots[((index%bucketCount)+bucketCount)%bucketCount]
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
		// mutant: buckets
		if slot := &l.slots[i]; slot.index > head-bucketCount && slot.index <= head {
			sum.add(slot.tally)
		}
	}
	return sum
}
