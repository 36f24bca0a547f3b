package storetest

import (
	"strings"
	"testing"
	"time"

	"github.com/commontrip/commontrip/store"
)

func TestADifferenceIsNamed(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	snapshot := store.Snapshot{Name: "tier", RetryIn: time.Minute, Since: at, Errors: []store.ErrorCount{{Label: "timeout", Count: 3}}}
	other := snapshot
	other.RetryIn, other.Policy.Probes = time.Second, 4
	third := snapshot
	third.Since, third.Errors = at.Add(time.Hour), []store.ErrorCount{{Label: "timeout", Count: 4}}
	long := strings.Repeat("x", 100)
	for want, check := range map[string]func(r *recorder){
		"s:\n  .RetryIn: got  1m0s\n  .RetryIn: want 1s\n  .Policy.Probes: got  0\n  .Policy.Probes: want 4":                                                     func(r *recorder) { same(r, "s", snapshot, other) },
		"s:\n  .Since: got  2026-01-01 00:00:00 +0000 UTC\n  .Since: want 2026-01-01 01:00:00 +0000 UTC\n  .Errors[0].Count: got  3\n  .Errors[0].Count: want 4": func(r *recorder) { same(r, "s", &snapshot, &third) },
		"s:\n  [1]: got  2\n  [1]: want true": func(r *recorder) { same(r, "s", []any{1, 2}, []any{1, true}) },
		"s:\n  got  []\n  want [1]":           func(r *recorder) { same(r, "s", nil, []int{1}) },
		"s:\n  got  <nil>\n  want 1":          func(r *recorder) { same[any](r, "s", nil, 1) },
		"s:\n  got  open\n  want closed":      func(r *recorder) { same(r, "s", store.Open, store.Closed) },
		"s:\n  got  ..." + long[:30] + "a" + long[:30] + "...\n  want ..." + long[:30] + "bc" + long[:30] + "...": func(r *recorder) { same(r, "s", long+"a"+long, long+"bc"+long) },
	} {
		r := &recorder{TB: t}
		check(r)
		if got := strings.Join(r.log, ""); got != want {
			t.Errorf("it says\n%s\nwant\n%s", got, want)
		}
	}
	r := &recorder{TB: t}
	if same(r, "s", snapshot, snapshot); r.failed {
		t.Error("what is the same differs")
	}
}
