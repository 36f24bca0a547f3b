package breaker

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

// Of two claims that are answered after their calls have gone the second lease is kept for the next call. The first must
// not hold its place until it ends.
func TestASecondParkedLeaseGivesTheFirstBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memorystore.New()
		m, err := NewManager(s)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close(context.Background())
		b, err := m.Register(t.Context(), "tier", WithPolicy(store.Policy{ConsecutiveFailures: 1, Probes: 2, ProbeLease: time.Hour}))
		if err != nil {
			t.Fatal(err)
		}
		_ = b.Run(t.Context(), func(context.Context) error { return errors.New("the tier failed") })
		time.Sleep(b.Status().RetryAfter)
		var leases [2]*lease
		for i := range leases {
			for tries := 0; leases[i] == nil && tries < 3; tries++ { // the first claim moves the breaker, and makes another epoch
				a := b.current()
				leases[i], _, _ = a.probes.claimFleet(t.Context(), a)
			}
			if leases[i] == nil {
				t.Fatal("no lease")
			}
		}
		for _, l := range leases {
			b.current().probes.park(l)
		}
		synctest.Wait()
		held, err := s.Read(t.Context(), "tier")
		if err != nil || held[0].Probing != 1 {
			t.Fatalf("%d places are held, %v; want that of the parked lease alone", held[0].Probing, err)
		}
	})
}
