package retry

import (
	"math"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	budgetSlices   = 10 // of a second each: how long a call pays for extra attempts
	millionth      = 1_000_000
	maxBudgetRatio = 100
	maxBudgetRate  = 1_000_000
	wholeToken     = int64(time.Second) // in parts that one extra attempt a second brings in a nanosecond
)

// Budget bounds the extra attempts of all retriers that share it, so that an outage is not answered with a multiple of
// the ordinary load. It never refuses a first attempt. It is made by [NewBudget]; the zero Budget allows no extra
// attempt.
//
// An extra attempt is paid for from one of two pots, the first that can:
//
//   - the calls': in a window of the last ten seconds (this one and the nine before), the extra attempts paid from this
//     pot are at most ratio times the calls that began in it. What calls have earned is thus gone after ten seconds: a
//     long quiet time saves up no storm.
//   - the clock's: a token bucket that fills at perSecond tokens a second and holds perSecond; it is full at first. It
//     lets a service with little traffic retry at all.
//
// At any one moment extra attempts are therefore at most ratio * calls + perSecond, and over a time of t seconds at
// most ratio * calls + perSecond * (t + 1), the calls of the ten seconds before it included. A call counts when its first attempt starts, an extra attempt when it is
// decided on, before its wait; if the caller gives up during the wait it stays counted.
//
// A Budget is safe for concurrent use. A call that needs no retry costs it one atomic write.
type Budget struct {
	ratio     uint64 // millionths of an extra attempt a call
	perSecond int64
	calls     window

	mu     sync.Mutex
	extra  window // paid from the calls' pot; written under mu
	tokens int64  // the clock's pot, in parts of wholeToken
	filled time.Duration
	latest time.Duration // the newest reading of the clock
}

// NewBudget returns a budget of ratio extra attempts a call (0 to 100; 0.1 is one in ten calls; kept in millionths) and
// perSecond extra attempts a second beside them (0 to 1 000 000). A bad value gives a *[PolicyError].
func NewBudget(ratio float64, perSecond int) (*Budget, error) {
	if !(ratio >= 0 && ratio <= maxBudgetRatio) { // so written, it refuses NaN
		return nil, refuse("ratio", strconv.FormatFloat(ratio, 'g', -1, 64), "0 to 100")
	}
	if perSecond < 0 || perSecond > maxBudgetRate {
		return nil, refuse("perSecond", strconv.Itoa(perSecond), "0 to 1000000")
	}
	began := now()
	return &Budget{
		ratio:     uint64(math.Round(ratio * millionth)),
		perSecond: int64(perSecond),
		tokens:    int64(perSecond) * wholeToken,
		filled:    began,
		latest:    began,
	}, nil
}

// called counts a call that begins at now.
func (b *Budget) called(now time.Duration) { b.calls.add(second(now)) }

// pay pays for one extra attempt, or reports that the budget is spent. It reads the clock under the lock: callers that read
// it before would come in another order than their readings, and each step back and forth would credit time again.
func (b *Budget) pay() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.payAt(now())
}

// take is pay for a reading of the clock that may be late.
func (b *Budget) take(now time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.payAt(now)
}

// payAt is called with mu held.
func (b *Budget) payAt(now time.Duration) bool {
	now = b.inOrder(now)
	s := second(now)
	// mutant: earned
	if (b.extra.sum(s)+1)*millionth <= b.calls.sum(s)*b.ratio {
		b.extra.add(s)
		return true
	}
	since := min(max(now-b.filled, 0), time.Second)
	b.filled = now
	b.tokens = min(b.tokens+int64(since)*b.perSecond, b.perSecond*wholeToken)
	// mutant: clock
	if b.tokens < wholeToken {
		return false
	}
	b.tokens -= wholeToken
	return true
}

// inOrder gives the newest reading instead of one that came late. One that is late by more than the window is taken for a
// clock that was put back, which neither gives nor takes.
func (b *Budget) inOrder(now time.Duration) time.Duration {
	if late := b.latest - now; late < 0 || late >= budgetSlices*time.Second {
		b.latest = now
	}
	return b.latest
}

func second(now time.Duration) uint32 { return uint32(now / time.Second) }

// window counts events in the last budgetSlices seconds. Each slice is one word, the second in its upper half and that
// second's count in its lower, so that adding needs no lock and an outdated slice is recognised by itself.
type window [budgetSlices]atomic.Uint64

func (w *window) add(second uint32) {
	slice := &w[second%budgetSlices]
	for {
		old := slice.Load()
		next := uint64(second)<<32 | 1
		switch held := uint32(old >> 32); {
		case held == second && uint32(old) == math.MaxUint32:
			return
		case held == second:
			next = old + 1
		case old != 0 && int32(held-second) > 0: // a caller that slept since it read the clock
			return
		}
		if slice.CompareAndSwap(old, next) {
			return
		}
	}
}

func (w *window) sum(second uint32) (n uint64) {
	for i := range w {
		v := w[i].Load()
		if second-uint32(v>>32) < budgetSlices {
			n += v & math.MaxUint32
		}
	}
	return n
}
