package memorystore_test

import (
	"context"
	"fmt"
	"time"

	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

func Example() {
	ctx := context.Background()
	s := memorystore.New()
	defer s.Close()

	result := s.Sync(ctx, []store.Report{{
		Name: "users-api", Replica: "web-1#a1b2", Seq: 1, MaxAge: 3 * time.Second,
		Runs: []store.Run{
			{Outcome: store.Success, Count: 90},
			{Outcome: store.Failure, Count: 5, Label: "connection refused"},
		},
	}})[0]
	fmt.Println(result.Snapshot.State, result.Made.Reason, result.Made.Errors)
	// Output: open consecutive-failures [{connection refused 5}]
}

func ExampleWithClock() {
	ctx := context.Background()
	now := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	s := memorystore.New(memorystore.WithClock(func() time.Time { return now }))
	defer s.Close()

	failures := []store.Run{{Outcome: store.Failure, Count: 5}}
	s.Sync(ctx, []store.Report{{Name: "users-api", Replica: "web-1#a1b2", Seq: 1, Runs: failures}})
	now = now.Add(time.Minute)
	grant, err := s.Claim(ctx, store.Claim{Name: "users-api", ID: "probe-1", Replica: "web-1#a1b2", Want: 1})
	fmt.Println(grant.Snapshot.State, len(grant.Leases), grant.Leases[0].For, err)
	// Output: half-open 1 30s <nil>
}
