package memorystore_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/commontrip/commontrip/breaker"
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

// Two replicas of a fleet whose store is memory. One loses its way to it: its calls go on.
func ExampleLink() {
	ctx := context.Background()
	s := memorystore.New()
	policy := breaker.WithPolicy(breaker.Policy{FailureRate: 0.5})
	var links []*memorystore.Link
	var managers []*breaker.Manager
	var tiers []*breaker.Breaker
	for range 2 {
		link := memorystore.NewLink(s)
		m, err := breaker.NewManager(link, policy)
		if err != nil {
			panic(err)
		}
		defer m.Close(ctx)
		b, err := m.Register(ctx, "users-api")
		if err != nil {
			panic(err)
		}
		links, managers, tiers = append(links, link), append(managers, m), append(tiers, b)
	}

	for range 10 {
		_ = tiers[0].Run(ctx, func(context.Context) error { return errors.New("timeout") })
	}
	fmt.Println(managers[0].Sync(ctx), managers[1].Sync(ctx)) // outcomes out, verdict in
	fmt.Println(tiers[1].Run(ctx, func(context.Context) error { return nil }))

	links[1].Fail(errors.New("connection refused"))
	_, err := tiers[1].Snapshot(ctx)
	fmt.Println(err)
	fmt.Println(tiers[1].State()) // as the fleet last said
	links[1].Mend()
	// Output:
	// <nil> <nil>
	// circuit breaker refuses the call: users-api is open (failure-rate)
	// breaker "users-api": connection refused
	// open
}

// A network that is slow and drops pushes. The replica hears of a trip at its next exchange instead.
func ExampleLink_Degrade() {
	ctx := context.Background()
	s := memorystore.New()
	link := memorystore.NewLink(s)
	link.Degrade(memorystore.Network{Delay: time.Millisecond, LosePush: 1})
	m, err := breaker.NewManager(link)
	if err != nil {
		panic(err)
	}
	defer m.Close(ctx)
	b, err := m.Register(ctx, "users-api")
	if err != nil {
		panic(err)
	}
	if _, err := s.Command(ctx, breaker.Command{Name: "users-api", Action: breaker.Trip, By: "oncall"}); err != nil {
		panic(err)
	}
	fmt.Println(m.Sync(ctx), b.State())
	// Output: <nil> open
}
