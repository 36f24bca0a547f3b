package memorystore_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

func TestTombstonesAreSweptAsNamesComeAndGo(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	s := memorystore.New(memorystore.WithClock(func() time.Time { return now }))
	defer s.Close()
	ctx := context.Background()
	const hours, perHour = 150, 10
	for hour := range hours {
		for i := range perHour {
			name := fmt.Sprintf("pod-%d-%d", hour, i)
			s.Sync(ctx, []store.Report{report(name, "web-1", 1, ok(1))})
			if err := s.Remove(ctx, name); err != nil {
				t.Fatal(err)
			}
		}
		now = now.Add(time.Hour)
	}
	if got, limit := memorystore.Entries(s), 49*perHour; got > limit {
		t.Errorf("%d tombstones are kept, want at most two days': %d", got, limit)
	}
	if got := memorystore.Tombstones(s); got != memorystore.Entries(s) {
		t.Errorf("%d of %d tombstones wait to be swept", got, memorystore.Entries(s))
	}
	if got, _ := s.Read(ctx); len(got) != 0 {
		t.Errorf("removed names are shown: %v", got)
	}
}

func TestANameRemovedManyTimesHasOneTombstone(t *testing.T) {
	s := memorystore.New()
	defer s.Close()
	ctx := context.Background()
	for i := range uint64(20) {
		result := s.Sync(ctx, []store.Report{report("tier", "web-1", i+1, ok(1))})[0]
		if result.Err != nil {
			t.Fatal(result.Err)
		}
		_ = s.Remove(ctx, "tier")
		_ = s.Remove(ctx, "tier")
	}
	if got := memorystore.Tombstones(s); got != 1 {
		t.Errorf("%d tombstones wait to be swept", got)
	}
}

func TestABreakerThatCameBackIsNotSwept(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	s := memorystore.New(memorystore.WithClock(func() time.Time { return now }))
	defer s.Close()
	ctx := context.Background()
	s.Sync(ctx, []store.Report{report("tier", "web-1", 1, ok(1))})
	_ = s.Remove(ctx, "tier")
	s.Sync(ctx, []store.Report{report("tier", "web-1", 1, ok(1))})
	now = now.Add(96 * time.Hour)
	_ = s.Remove(ctx, "nobody") // sweeps, as a new name does
	s.Sync(ctx, []store.Report{report("other", "web-1", 1, ok(1))})
	if got, _ := s.Read(ctx, "tier"); len(got) != 1 {
		t.Error("it was swept")
	}
	if got := memorystore.Tombstones(s); got != 0 {
		t.Errorf("%d tombstones wait to be swept", got)
	}
}

func TestAForgottenTombstoneAnswersAsNothing(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	s := memorystore.New(memorystore.WithClock(func() time.Time { return now }))
	defer s.Close()
	ctx := context.Background()
	s.Sync(ctx, []store.Report{report("tier", "web-1", 1, ok(1))})
	_ = s.Remove(ctx, "tier")
	now = now.Add(24 * time.Hour)
	got, err := s.Settle(ctx, store.Settlement{Lease: store.Lease{Name: "tier", ID: "1.1"}, Replica: "web-1", Outcome: store.Success})
	if err != nil || got.Snapshot.Generation != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
	again := s.Sync(ctx, []store.Report{report("tier", "web-1", 1)})[0]
	if again.Err != nil || again.Snapshot.Generation != 0 {
		t.Errorf("got %+v", again)
	}
}

// TestATombstoneThatIsAskedAboutIsKept: its day begins again with each request, and it is swept after the last.
func TestATombstoneThatIsAskedAboutIsKept(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	s := memorystore.New(memorystore.WithClock(func() time.Time { return now }))
	defer s.Close()
	ctx := context.Background()
	s.Sync(ctx, []store.Report{report("tier", "web-1", 1, ok(1))})
	_ = s.Remove(ctx, "tier")
	for range 5 {
		now = now.Add(20 * time.Hour)
		s.Sync(ctx, []store.Report{report("tier", "web-1", 2)})
		_ = s.Remove(ctx, "nobody")
		if n := memorystore.Entries(s); n != 1 {
			t.Fatalf("%d entries", n)
		}
	}
	now = now.Add(96 * time.Hour)
	_ = s.Remove(ctx, "nobody")
	if n := memorystore.Entries(s); n != 0 {
		t.Errorf("%d entries are kept", n)
	}
}
