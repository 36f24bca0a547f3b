package inprocess

import (
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/commontrip/commontrip/tests/peers/measure"
)

// timed is a loop with what was measured of it.
type timed struct {
	run      loop
	n        int // calls a sample
	allocs   float64
	serial   measure.Samples // ns a call, on one core
	parallel measure.Samples // ns a call, as each core sees it while all call
}

func newTimed(run loop) *timed {
	t := &timed{run: run, n: 1}
	sample := measure.Pick(200*time.Microsecond, 60*time.Millisecond)
	for {
		begun := time.Now()
		run(t.n)
		if took := time.Since(begun); took >= sample/4 {
			t.n = max(int(float64(t.n)*float64(sample)/float64(took)), 1)
			break
		}
		t.n *= 2
	}
	t.allocs = allocations(run, min(t.n, 1000))
	return t
}

func allocations(run loop, n int) float64 {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	run(n)
	runtime.ReadMemStats(&after)
	return float64(int(float64(after.Mallocs-before.Mallocs)/float64(n)*10)) / 10
}

func (t *timed) sampleSerial() {
	runtime.GC()
	before := measure.Read()
	begun := time.Now()
	t.run(t.n)
	took := time.Since(begun)
	t.serial.Add(float64(took.Nanoseconds())/float64(t.n), noise(before, 1))
}

func (t *timed) sampleParallel() {
	runtime.GC()
	before := measure.Read()
	begun := time.Now()
	together(func() { t.run(t.n) })
	took := time.Since(begun)
	t.parallel.Add(float64(took.Nanoseconds())/float64(t.n), noise(before, runtime.GOMAXPROCS(0)))
}

// noise is what others took: of the machine by its own account, or of the cores that this process would have used.
func noise(before measure.Reading, cores int) float64 {
	use := measure.Read().Since(before, 0)
	return max(use.Noise(), 1-use.Own.Seconds()/(use.Wall.Seconds()*float64(cores)))
}

// interleave samples each in turn, in an order drawn again each round, so that what disturbs the machine for a while disturbs
// all alike.
func interleave(all []*timed, rounds int) {
	for range rounds {
		for _, i := range rand.Perm(len(all)) {
			all[i].sampleSerial()
			all[i].sampleParallel()
		}
	}
}
