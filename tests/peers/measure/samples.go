package measure

import (
	"slices"
)

// NoiseBound is the share of the machine above which others disturb a sample.
const NoiseBound = 0.15

// Samples are measurements of one thing, each with how much others disturbed it. The zero value is ready to use.
type Samples struct{ all []sample }

type sample struct{ value, noise float64 }

// Add takes a measurement and the share of the machine that others used meanwhile.
func (s *Samples) Add(value, noise float64) { s.all = append(s.all, sample{value, noise}) }

// Spread is where measurements lie.
type Spread struct {
	Median, P10, P90 float64
	Kept, Dropped    int
	Noisy            bool // fewer than a third were quiet, so that the quietest third was taken
}

// Spread drops the samples that others disturbed, but keeps at least the quietest third.
func (s *Samples) Spread() Spread {
	if len(s.all) == 0 {
		return Spread{}
	}
	byNoise := slices.Clone(s.all)
	slices.SortFunc(byNoise, func(a, b sample) int {
		switch {
		case a.noise < b.noise:
			return -1
		case a.noise > b.noise:
			return 1
		}
		return 0
	})
	quiet := 0
	for quiet < len(byNoise) && byNoise[quiet].noise <= NoiseBound {
		quiet++
	}
	least := (len(byNoise) + 2) / 3
	kept := max(quiet, least)
	values := make([]float64, kept)
	for i := range values {
		values[i] = byNoise[i].value
	}
	slices.Sort(values)
	return Spread{
		Median: Quantile(values, 0.5), P10: Quantile(values, 0.1), P90: Quantile(values, 0.9),
		Kept: kept, Dropped: len(byNoise) - kept, Noisy: quiet < least,
	}
}

// Quantile is the value below which that share of the sorted values lies; 0 of none.
func Quantile(sorted []float64, share float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	at := share * float64(len(sorted)-1)
	low := int(at)
	if low+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[low] + (at-float64(low))*(sorted[low+1]-sorted[low])
}

// Median is the middle of values, whatever their order; 0 of none.
func Median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return Quantile(sorted, 0.5)
}
