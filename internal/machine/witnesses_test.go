package machine

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/commontrip/commontrip/internal/limits"
)

// TestWitnessesAreTheSixteenNewestReplicas compares the bounded list with a map of all replicas.
func TestWitnessesAreTheSixteenNewestReplicas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w witnesses
		all := map[string]place{}
		timed := rapid.Bool().Draw(t, "timed")
		for arrival := range uint64(rapid.IntRange(1, 120).Draw(t, "outcomes")) {
			p := place{arrival: arrival + 1}
			if timed {
				p.bucket = int64(arrival/8) - rapid.Int64Range(0, 9).Draw(t, "age")
			}
			replica := fmt.Sprint("web-", rapid.IntRange(1, 24).Draw(t, "replica"))
			w.touch(replica, p)
			if known, ok := all[replica]; !ok || known.before(p) {
				all[replica] = p
			}
		}
		var want []witness
		for replica, p := range all {
			want = append(want, witness{replica, p})
		}
		newest := func(a, b witness) int {
			if b.place.before(a.place) {
				return -1
			}
			return 1
		}
		slices.SortFunc(want, newest)
		want = want[:min(len(want), limits.WitnessesKept)]
		slices.SortFunc(w, newest)
		if !slices.Equal([]witness(w), want) {
			t.Fatalf("got %v, want %v", w, want)
		}
		since := place{bucket: w[len(w)/2].place.bucket, arrival: w[len(w)/2].place.arrival}
		if got := w.since(since); got != len(w)/2+1 {
			t.Fatalf("%d of %v since %v", got, w, since)
		}
	})
}
