package retry

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

func seeded() func(uint64) uint64 { return rand.New(rand.NewPCG(1, 2)).Uint64N }

// chiSquared sorts n draws from [from, from+cells) into their cells and returns Pearson's statistic against equal cells.
func chiSquared(t *testing.T, n int, from, cells time.Duration, draw func() time.Duration) float64 {
	t.Helper()
	seen := make([]int, cells)
	for range n {
		d := draw()
		if d < from || d >= from+cells {
			t.Fatalf("drew %d, want one of [%d, %d)", d, from, from+cells)
		}
		seen[d-from]++
	}
	expected, sum := float64(n)/float64(cells), 0.0
	for _, k := range seen {
		sum += (float64(k) - expected) * (float64(k) - expected) / expected
	}
	return sum
}

// The seed is fixed, so the outcome is too. 40 cells have 39 degrees of freedom: 99.9 % of fair draws are below 72.1.
func TestJitterIsUniformOverItsInterval(t *testing.T) {
	const n, bound = 400_000, 72.1
	for _, c := range []struct {
		jitter        Jitter
		backoff       time.Duration
		from, through time.Duration
	}{
		{FullJitter, 39, 0, 39},
		{EqualJitter, 78, 39, 78},
		{EqualJitter, 79, 40, 79},
	} {
		draw := seeded()
		x := chiSquared(t, n, c.from, c.through-c.from+1, func() time.Duration { return c.jitter.spread(c.backoff, draw) })
		if x > bound {
			t.Errorf("%v of %d: chi squared %.1f, want at most %.1f", c.jitter, c.backoff, x, bound)
		}
	}
}

func TestJitterStaysInItsIntervalAtTheExtremes(t *testing.T) {
	draw := seeded()
	for _, d := range []time.Duration{1, 2, 3, time.Second, math.MaxInt64 - 1, math.MaxInt64} {
		for range 1000 {
			if w := FullJitter.spread(d, draw); w < 0 || w > d {
				t.Fatalf("full of %d: %d", d, w)
			}
			if w := EqualJitter.spread(d, draw); w < d-d/2 || w > d {
				t.Fatalf("equal of %d: %d", d, w)
			}
			if w := NoJitter.spread(d, draw); w != d {
				t.Fatalf("none of %d: %d", d, w)
			}
		}
	}
}

func TestRetrierDrawsItsWaitsFromItsJitter(t *testing.T) {
	const waits = 20_000
	for jitter, mean := range map[Jitter]float64{FullJitter: 0.5, EqualJitter: 0.75, NoJitter: 1} {
		r, err := New(Policy{Delay: time.Second, Jitter: jitter})
		if err != nil {
			t.Fatal(err)
		}
		r.draw = seeded()
		var sum time.Duration
		for range waits {
			sum += r.policy.Jitter.spread(r.policy.backoff(0), r.draw)
		}
		// The standard error of the mean is at most 1 s/sqrt(12*waits), 2 ms.
		if got := (sum / waits).Seconds(); math.Abs(got-mean) > 0.01 {
			t.Errorf("%v: mean wait %.3f s, want %.2f", jitter, got, mean)
		}
	}
}

func TestJitterHasATextForm(t *testing.T) {
	for j, want := range map[Jitter]string{FullJitter: "full", EqualJitter: "equal", NoJitter: "none"} {
		text, err := j.MarshalText()
		if err != nil || string(text) != want || j.String() != want {
			t.Errorf("%d: MarshalText %q, %v; String %q; want %q", j, text, err, j, want)
		}
		var back Jitter
		if err := back.UnmarshalText(text); err != nil || back != j {
			t.Errorf("%q read as %v, %v", text, back, err)
		}
	}
	if _, err := Jitter(3).MarshalText(); err == nil {
		t.Error("a number that is not a Jitter has a text")
	}
}

func FuzzJitterText(f *testing.F) {
	for _, s := range []string{"full", "equal", "none", "", "Full", "full ", "\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		j := Jitter(77)
		if err := j.UnmarshalText(text); err != nil {
			if j != 77 {
				t.Errorf("%q was refused, but changed the value to %v", text, j)
			}
			return
		}
		if back, err := j.MarshalText(); err != nil || !bytes.Equal(back, text) {
			t.Errorf("%q read as %v, written as %q, %v", text, j, back, err)
		}
	})
}

func FuzzPolicy(f *testing.F) {
	f.Add(3, int64(time.Second), int64(time.Minute), int64(0), 2.0, uint8(0), int64(0), int64(0), 1)
	f.Add(-1, int64(-1), int64(-1), int64(-1), math.NaN(), uint8(200), int64(-1), int64(-1), -1)
	f.Add(math.MaxInt, int64(math.MaxInt64), int64(math.MaxInt64), int64(1), math.MaxFloat64, uint8(1), int64(1), int64(1), math.MaxInt)
	f.Add(1, int64(1), int64(math.MaxInt64), int64(1), 1.0000001, uint8(2), int64(1), int64(1), math.MaxInt)
	f.Fuzz(func(t *testing.T, attempts int, delay, maxDelay, maxAfter int64, multiplier float64, jitter uint8, timeout, elapsed int64, n int) {
		p := Policy{
			Attempts: attempts, Delay: time.Duration(delay), MaxDelay: time.Duration(maxDelay), MaxRetryAfter: time.Duration(maxAfter),
			Multiplier: multiplier, Jitter: Jitter(jitter), AttemptTimeout: time.Duration(timeout), MaxElapsed: time.Duration(elapsed),
		}
		r, err := New(p)
		if err != nil {
			if e, ok := errors.AsType[*PolicyError](err); !ok || e.Field == "" || e.Value == "" || e.Range == "" {
				t.Fatalf("refused with %#v", err)
			}
			return
		}
		p = r.policy
		if p.Attempts < 1 || p.Delay <= 0 || p.MaxDelay < p.Delay || p.MaxRetryAfter <= 0 || p.Multiplier < 1 {
			t.Fatalf("accepted: %+v", p)
		}
		n &= math.MaxInt
		b, next := p.backoff(n), p.backoff(n/2)
		if b < p.Delay || b > p.MaxDelay || next > b {
			t.Fatalf("%+v: backoff %d is %d, backoff %d is %d", p, n, b, n/2, next)
		}
		if w := p.Jitter.spread(b, r.draw); w < 0 || w > b {
			t.Fatalf("%+v: drew %d from %d", p, w, b)
		}
		if w := p.Jitter.above(b/2, b, r.draw); w < 0 || w > b/4+1 {
			t.Fatalf("%+v: drew %d above %d", p, w, b/2)
		}
	})
}
