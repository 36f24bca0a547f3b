package measure

import (
	"math/bits"
	"time"
)

// Histogram counts durations in buckets of which each is at most a sixteenth wide. It is for one goroutine; Merge joins
// those of many. The zero value is ready to use.
type Histogram struct {
	counts [1024]uint64
	total  uint64
	most   time.Duration
}

const fine = 4 // bits of a bucket's precision

// Add counts one duration; a negative one counts as 0.
func (h *Histogram) Add(d time.Duration) {
	d = max(d, 0)
	h.counts[bucket(uint64(d))]++
	h.total++
	h.most = max(h.most, d)
}

func bucket(n uint64) int {
	if n < 1<<(fine+1) {
		return int(n)
	}
	shift := bits.Len64(n) - fine - 1
	return shift<<fine + int(n>>shift)
}

// upper is the largest duration of a bucket.
func upper(i int) time.Duration {
	if i < 1<<(fine+1) {
		return time.Duration(i)
	}
	shift := i>>fine - 1
	return time.Duration((uint64(i)-uint64(shift)<<fine+1)<<shift - 1)
}

// Merge adds what another one has counted.
func (h *Histogram) Merge(other *Histogram) {
	for i, n := range &other.counts {
		h.counts[i] += n
	}
	h.total += other.total
	h.most = max(h.most, other.most)
}

// Quantile is the duration below which that share lies; 0 of none.
func (h *Histogram) Quantile(share float64) time.Duration {
	want := uint64(share * float64(h.total))
	var seen uint64
	for i, n := range &h.counts {
		if seen += n; n > 0 && seen >= want {
			return min(upper(i), h.most)
		}
	}
	return h.most
}

// Most is the largest duration.
func (h *Histogram) Most() time.Duration { return h.most }
