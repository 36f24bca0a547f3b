package machine

import (
	"testing"

	"github.com/commontrip/commontrip/store"
	"pgregory.net/rapid"
)

// TestTheRingIsTheNewestCalls compares the packed ring with a plain list.
func TestTheRingIsTheNewestCalls(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 70).Draw(t, "size")
		var r ring
		r.resize(size)
		var list []mark
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				m := mark(rapid.IntRange(0, 3).Draw(t, "mark"))
				r.push(m)
				list = append(list, m)
			},
			"pass": func(t *rapid.T) {
				n := rapid.IntRange(1, 2*size).Draw(t, "n")
				r.pushSuccesses(n)
				list = append(list, make([]mark, n)...)
			},
			"resize": func(t *rapid.T) {
				size = rapid.IntRange(1, 70).Draw(t, "size")
				r.resize(size)
			},
			"": func(t *rapid.T) {
				list = list[max(len(list)-size, 0):]
				var want tally
				for _, m := range list {
					want.add(tallyOf(m))
				}
				if got := r.tally(); got != want {
					t.Fatalf("got %+v, want %+v", got, want)
				}
			},
		})
	})
}

// TestTheTimelineHoldsTenBuckets compares the buckets with a plain list of what came when.
func TestTheTimelineHoldsTenBuckets(t *testing.T) {
	type event struct {
		at int64
		tally
	}
	rapid.Check(t, func(t *rapid.T) {
		width := rapid.Int64Range(1, 7).Draw(t, "width")
		now := rapid.Int64Range(0, 200).Draw(t, "now")
		var l timeline
		var list []event
		t.Repeat(map[string]func(*rapid.T){
			"count": func(t *rapid.T) {
				age := rapid.Int64Range(0, 15*width).Draw(t, "age")
				n := tally{rapid.Int64Range(1, 9).Draw(t, "calls"), rapid.Int64Range(0, 9).Draw(t, "failures"), rapid.Int64Range(0, 9).Draw(t, "slow")}
				in := l.add(bucketOf(now-age, width), now/width, n)
				if want := bucketOf(now-age, width) > now/width-10; in != want {
					t.Fatalf("in the window: got %v, want %v", in, want)
				}
				list = append(list, event{now - age, n})
			},
			"wait": func(t *rapid.T) { now += rapid.Int64Range(0, 12*width).Draw(t, "ms") },
			"": func(t *rapid.T) {
				var want tally
				for _, e := range list {
					if first := (now/width - 9) * width; e.at >= first {
						want.add(e.tally)
					}
				}
				if got := l.tally(now / width); got != want {
					t.Fatalf("at %d: got %+v, want %+v", now, got, want)
				}
			},
		})
	})
}

func TestARunOfAMillionSuccessesIsAMillionSuccesses(t *testing.T) {
	for _, policy := range []store.Policy{{WindowCalls: 7}, {WindowCalls: 10_000}, {WindowTime: 1e9}} {
		r := newRig(t, policy)
		r.report("web-1", run(failure, 4))
		got := r.report("web-1", run(success, 1_000_000)).Snapshot
		want := store.Tally{Calls: policy.WindowCalls}
		if policy.WindowTime > 0 {
			want = store.Tally{Calls: 1_000_004, Failures: 4}
		}
		equal(t, "window", got.Window, want)
	}
}
