package limits_test

import (
	"testing"
	"time"

	"github.com/commontrip/commontrip/internal/limits"
	"github.com/commontrip/commontrip/store"
)

// TestNoReportOutlivesTheMemoryOfItsNumber: what is sent again within MaxResend, and taken within TooLate after that, comes
// while the roster knows its Seq, which is for one slice of time at least.
func TestNoReportOutlivesTheMemoryOfItsNumber(t *testing.T) {
	if longest := store.MaxResend.Milliseconds() + limits.TooLate; longest > limits.SliceFor {
		t.Errorf("a report may come %d ms after its first sending; the roster knows it for %d ms", longest, limits.SliceFor)
	}
}

// TestTheBoundsOfAPolicyAreThoseOfPackageStore: store imports nothing, and spells them itself.
func TestTheBoundsOfAPolicyAreThoseOfPackageStore(t *testing.T) {
	day := limits.Day * time.Millisecond
	for name, bound := range map[string]struct{ most, more store.Policy }{
		"WindowCalls": {store.Policy{WindowCalls: limits.MaxWindowCalls}, store.Policy{WindowCalls: limits.MaxWindowCalls + 1}},
		"Reporters":   {store.Policy{Reporters: limits.MaxReporters}, store.Policy{Reporters: limits.MaxReporters + 1}},
		"Probes":      {store.Policy{Probes: limits.MaxProbes}, store.Policy{Probes: limits.MaxProbes + 1}},
		"WindowTime":  {store.Policy{WindowTime: day}, store.Policy{WindowTime: day + limits.Buckets*time.Millisecond}},
		"OpenFor":     {store.Policy{OpenFor: day}, store.Policy{OpenFor: day + time.Millisecond}},
	} {
		if err := bound.most.Validate(); err != nil {
			t.Errorf("%s: the greatest value is refused: %v", name, err)
		}
		if bound.more.Validate() == nil {
			t.Errorf("%s: more than the greatest value is accepted", name)
		}
	}
}
