package storekit_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/commontrip/commontrip/breaker"
	storekit "github.com/commontrip/commontrip/store/kit"
)

// Two replicas of a fleet whose store is a compare-and-swap map. One sees the failures, both know the verdict.
func ExampleNew() {
	ctx := context.Background()
	server := backend{newCASMap()}
	var managers []*breaker.Manager
	var tiers []*breaker.Breaker
	for range 2 {
		s, err := storekit.New(server, storekit.WithKind("map"))
		if err != nil {
			panic(err)
		}
		defer s.Close()
		m, err := breaker.NewManager(s)
		if err != nil {
			panic(err)
		}
		defer m.Close(ctx)
		b, err := m.Register(ctx, "users-api", breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 3}))
		if err != nil {
			panic(err)
		}
		managers, tiers = append(managers, m), append(tiers, b)
	}
	for range 3 {
		_ = tiers[0].Run(ctx, func(context.Context) error { return errors.New("timeout") })
	}
	fmt.Println(managers[0].Sync(ctx)) // outcomes out
	for _, b := range tiers {
		snapshot, err := b.Snapshot(ctx)
		fmt.Println(snapshot.State, snapshot.Reason, err)
	}
	// Output:
	// <nil>
	// open consecutive-failures <nil>
	// open consecutive-failures <nil>
}
