package measure

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestAHistogramIsAsExactAsItSays(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var h, other Histogram
	var all []float64
	for i := range 10_000 {
		d := time.Duration(math.Exp(rng.Float64() * 20))
		all = append(all, float64(d))
		if i%2 == 0 {
			h.Add(d)
		} else {
			other.Add(d)
		}
	}
	h.Merge(&other)
	slices.Sort(all)
	for _, share := range []float64{0.01, 0.5, 0.99} {
		want, got := Quantile(all, share), float64(h.Quantile(share))
		if got < want*0.99-1 || got > want*1.07+1 {
			t.Errorf("quantile %g is %g, want %g to within a sixteenth", share, got, want)
		}
	}
	if h.Most() != time.Duration(all[len(all)-1]) || h.Quantile(1) != h.Most() {
		t.Errorf("the largest is %v, want %v", h.Most(), time.Duration(all[len(all)-1]))
	}
	h.Add(math.MaxInt64)
	h.Add(-1)
}

func TestDisturbedSamplesAreDropped(t *testing.T) {
	var s Samples
	for i := range 9 {
		s.Add(float64(10+i), 0)
		s.Add(1000, 0.5)
	}
	if got := s.Spread(); got.Median != 14 || got.Kept != 9 || got.Dropped != 9 || got.Noisy {
		t.Errorf("the spread is %+v, want the quiet nine around 14", got)
	}
	var noisy Samples
	for i := range 9 {
		noisy.Add(float64(i), 0.2+float64(i)/100)
	}
	if got := noisy.Spread(); got.Median != 1 || got.Kept != 3 || !got.Noisy {
		t.Errorf("the spread is %+v, want the quietest three around 1", got)
	}
}

// Who burns a processor shows as own use, or as noise if it is another process.
func TestOwnWorkIsNoNoise(t *testing.T) {
	before := Read()
	for end := time.Now().Add(100 * time.Millisecond); time.Now().Before(end); {
	}
	use := Read().Since(before, 0)
	if use.Own <= 0 || use.Wall < 100*time.Millisecond {
		t.Errorf("after 100 ms of work the use is %+v", use)
	}
	with := Read().Since(before, time.Hour)
	if with.Noise() != 0 {
		t.Errorf("with every other process part of the measurement the noise is %g, want 0", with.Noise())
	}
}
