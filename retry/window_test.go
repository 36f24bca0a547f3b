package retry

import (
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Over any stretch of time, whatever calls and retries come when, the promise in Budget's documentation holds.
func TestBudgetKeepsItsPromiseOverEveryHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ratio := float64(rapid.IntRange(0, 30).Draw(t, "tenths")) / 10
		perSecond := rapid.IntRange(0, 5).Draw(t, "perSecond")
		b, err := NewBudget(ratio, perSecond)
		if err != nil {
			t.Fatal(err)
		}
		start := b.filled
		at := start
		calls, extra := 0, 0
		type event struct {
			at    time.Duration
			extra bool
		}
		var history []event
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			at += time.Duration(rapid.SampledFrom([]int64{0, 0, 0, 1, 1e6, 3e8, 1e9, 25e8, 11e9}).Draw(t, "passes"))
			for range rapid.IntRange(0, 4).Draw(t, "calls") {
				b.called(at)
				history, calls = append(history, event{at: at}), calls+1
			}
			for range rapid.IntRange(0, 6).Draw(t, "retries") {
				if b.take(at) {
					history, extra = append(history, event{at, true}), extra+1
				}
			}
			if most := ratio*float64(calls) + float64(perSecond)*((at-start).Seconds()+1); float64(extra) > most+1e-6 {
				t.Fatalf("%d extra attempts for %d calls in %v", extra, calls, at-start)
			}
		}
		for i, first := range history { // each stretch, with the calls of the ten seconds before it
			calls, extra := 0, 0
			for _, e := range history {
				if !e.extra && e.at > first.at-budgetSlices*time.Second && e.at <= first.at {
					calls++
				}
			}
			for _, e := range history[i:] {
				if e.extra {
					extra++
				} else if e.at > first.at {
					calls++
				}
				if most := ratio*float64(calls) + float64(perSecond)*((e.at-first.at).Seconds()+1); float64(extra) > most+1e-6 {
					t.Fatalf("from %v to %v: %d extra attempts for %d calls", first.at-start, e.at-start, extra, calls)
				}
			}
		}
	})
}

func TestWindowForgetsWhatIsTooOldAndIgnoresWhatComesTooLate(t *testing.T) {
	var w window
	w.add(100)
	w.add(100)
	w.add(105)
	for second, want := range map[uint32]uint64{100: 2, 104: 2, 105: 3, 109: 3, 110: 1, 114: 1, 115: 0, 99: 0} {
		if got := w.sum(second); got != want {
			t.Errorf("in second %d: %d, want %d", second, got, want)
		}
	}
	w.add(95) // the slice now holds second 105
	if got := w.sum(105); got != 3 {
		t.Errorf("a late one moved the sum to %d", got)
	}
	w.add(110)
	if got := w.sum(110); got != 2 {
		t.Errorf("the slice of second 100 was not reused: %d", got)
	}
}

// A clock read as negative, as it is in the virtual time of testing/synctest, once made every event look late to an empty slice.
func TestWindowCountsInEverySecond(t *testing.T) {
	for _, second := range []uint32{0, 1, 1 << 31, math.MaxUint32} {
		var w window
		w.add(second)
		if got := w.sum(second); got != 1 {
			t.Errorf("second %d: %d", second, got)
		}
	}
}

func TestWindowsCountStopsAtItsLargest(t *testing.T) {
	var w window
	w[3].Store(13<<32 | math.MaxUint32)
	w.add(13)
	if got := w.sum(13); got != math.MaxUint32 {
		t.Errorf("count %d", got)
	}
}

// Callers read the clock and then wait for the lock. A reading that came late set the pot's time back, and the next one
// credited the time between the two again: 21 275 extra attempts in 4.2 s, and 5 242 were promised.
func TestReadingsOutOfOrderCreditNoTimeTwice(t *testing.T) {
	for _, late := range []time.Duration{1, time.Millisecond, 999 * time.Millisecond, time.Second, 9 * time.Second} {
		b, err := NewBudget(0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		at, taken := b.filled+time.Minute, 0
		for range 5000 {
			for _, reading := range []time.Duration{at, at - late} {
				if b.take(reading) {
					taken++
				}
			}
		}
		if taken != 1000 {
			t.Errorf("late by %v: %d extra attempts in one instant, want the 1000 of a full pot", late, taken)
		}
	}
}

func TestReadingsOutOfOrderAreCountedInTheWindow(t *testing.T) {
	b, err := NewBudget(1, 0)
	if err != nil {
		t.Fatal(err)
	}
	at, taken := b.filled+time.Minute, 0
	for range 10 {
		b.called(at)
	}
	for range 30 {
		for _, reading := range []time.Duration{at + time.Second, at, at - 9*time.Second} {
			if b.take(reading) {
				taken++
			}
		}
	}
	if taken != 10 {
		t.Errorf("%d extra attempts for 10 calls", taken)
	}
}

func TestClockThatGoesBackNeitherGivesNorTakes(t *testing.T) {
	b, err := NewBudget(0, 2)
	if err != nil {
		t.Fatal(err)
	}
	at := b.filled
	for _, step := range []struct {
		moves time.Duration
		want  bool
	}{
		{0, true}, {-time.Hour, true}, {-time.Hour, false}, {-time.Hour, false}, {500 * time.Millisecond, true}, {0, false},
	} {
		at += step.moves
		if got := b.take(at); got != step.want {
			t.Errorf("after a step of %v: %v, want %v", step.moves, got, step.want)
		}
	}
}

func TestRatioIsRoundedToMillionthsAndNotCut(t *testing.T) {
	b, err := NewBudget(2.01, 0) // a million of which are 2009999.9999999998
	if err != nil {
		t.Fatal(err)
	}
	taken := 0
	for range 100 {
		b.called(b.filled)
	}
	for b.take(b.filled) {
		taken++
	}
	if taken != 201 {
		t.Errorf("a hundred calls paid for %d extra attempts, want 201", taken)
	}
}

func TestNothingIsLostOrGivenTwiceWhereManyCallersMeet(t *testing.T) {
	const callers, each, takes = 8, 100_000, 5000
	ratio, err := NewBudget(0.01, 0)
	if err != nil {
		t.Fatal(err)
	}
	rate, err := NewBudget(0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	at := max(ratio.filled, rate.filled)
	ratio.filled, rate.filled = at, at
	var fromCalls, fromClock atomic.Int64
	var called, taken sync.WaitGroup
	for range callers {
		called.Go(func() {
			for range each {
				ratio.called(at)
			}
		})
	}
	called.Wait()
	for range callers {
		taken.Go(func() {
			for range takes {
				if ratio.take(at) {
					fromCalls.Add(1)
				}
				if rate.take(at) {
					fromClock.Add(1)
				}
			}
		})
	}
	taken.Wait()
	if got := ratio.calls.sum(second(at)); got != callers*each {
		t.Errorf("%d calls counted, want %d", got, callers*each)
	}
	if fromCalls.Load() != callers*each/100 || fromClock.Load() != 1000 {
		t.Errorf("paid for %d and %d extra attempts, want %d and 1000", fromCalls.Load(), fromClock.Load(), callers*each/100)
	}
}

func TestNoQuietTimeOverflowsTheBudget(t *testing.T) {
	b, err := NewBudget(0, maxBudgetRate)
	if err != nil {
		t.Fatal(err)
	}
	at := b.filled
	for quiet := time.Second; quiet < math.MaxInt64/4; quiet *= 2 {
		at += quiet
		if !b.take(at) || b.tokens != (maxBudgetRate-1)*wholeToken {
			t.Fatalf("after %v it holds %d", quiet, b.tokens)
		}
	}
}
