package dashboard

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// TestTheRateIsRightWhereverTheReportsOfTheReplicasFall: replicas report each 9 to 10 s, at moments that no one chose; those
// of a fleet that began as one come together.
func TestTheRateIsRightWhereverTheReportsOfTheReplicasFall(t *testing.T) {
	for seed := range uint64(1000) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		n, together := 1+rnd.IntN(20), rnd.IntN(2) == 0
		begin := time.Unix(1_000_000, 0)
		last := make([]time.Time, n) // reported
		due := make([]time.Time, n)
		for i := range n {
			ago := time.Duration(rnd.Int64N(int64(9 * time.Second)))
			if together {
				ago = time.Duration(rnd.Int64N(int64(2 * time.Second)))
			}
			last[i] = begin.Add(-ago)
			due[i] = last[i].Add(9*time.Second + time.Duration(rnd.Int64N(int64(time.Second))))
		}
		report := func(i int, at time.Time) float64 {
			calls := at.Sub(last[i]).Seconds() // one a second
			last[i], due[i] = at, at.Add(9*time.Second+time.Duration(rnd.Int64N(int64(time.Second))))
			return calls
		}
		of := fmt.Sprintf("%d replicas, together %v, seed %d", n, together, seed)
		var r refusals
		read, reported := begin, 0.0
		for second := 1; second <= 70; second++ {
			now := begin.Add(time.Duration(second) * time.Second)
			calls := 0.0
			for i := range n {
				if !due[i].After(now) {
					calls += report(i, due[i])
				}
			}
			rare := second <= 58
			if second == 59 { // closed: all report
				for i := range n {
					calls += report(i, now)
					due[i] = now.Add(time.Hour)
				}
			}
			got, least := r.rate(calls, read, now, rare)/float64(n), 0.75
			if second <= 20 { // an average of a few seconds
				least = 0.5
			}
			reported += calls
			switch {
			case second <= 11:
				if second <= 9 && reported > 0 && got <= 0 || got > 1.25 { // until then no report is over
					t.Errorf("%s: after %d s, of which %v calls are told, it is %.2f of the truth", of, second, reported, got)
				}
			case rare && (got < least || got > 1.25):
				t.Errorf("%s: after %d s it is %.2f of the truth", of, second, got)
			case second < 70 && got > 1.5:
				t.Errorf("%s: %d s after it closed it is %.2f of the truth", of, second-59, got)
			case second == 70 && got != 0:
				t.Errorf("%s: 11 s after it closed it is %.2f of the truth", of, got)
			}
			read = now
		}
	}
}
