package chaos

import (
	"context"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/chaos/replica"
	"github.com/commontrip/commontrip/tests/redistest"
)

// A replica takes every probe of a half-open breaker and is killed. Its leases end by themselves, and another replica's
// probe closes the breaker: half-open is never for ever.
func TestLeasesOfAKilledReplicaComeBack(t *testing.T) {
	lease := time.Second
	for !comeBack(t, lease) {
		lease *= 2
		t.Logf("a lease had ended before it was looked at; again with leases of %v", lease)
	}
}

// comeBack plays it with leases of this length. False: this machine was so slow that they had ended too early.
func comeBack(t *testing.T, lease time.Duration) bool {
	t.Helper()
	policy := store.Policy{ConsecutiveFailures: 3, OpenFor: 200 * time.Millisecond, Probes: 3, ProbeSuccesses: 1, ProbeLease: lease}
	server := redistest.Start(t)
	b := join(t, server.URL(), "witness", tierName, breaker.WithPolicy(policy))
	if _, err := b.Command(context.Background(), breaker.Command{Action: breaker.Trip, By: "test"}); err != nil {
		t.Fatal(err)
	}
	began := time.Now() // no lease is older
	greedy := replica.Start(t, replica.Config{URL: server.URL(), Name: "greedy", Breaker: tierName, Policy: policy})
	for held := 0; held < policy.Probes; {
		if p := greedy.Do(replica.Request{Do: replica.Acquire}).Permit; p.Admitted && p.Probe {
			held++
		}
	}

	snapshot, err := b.Snapshot(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	fourth := b.Run(context.Background(), func(context.Context) error { return nil })
	greedy.Kill()
	if time.Since(began) >= lease {
		return false
	}
	if snapshot.State != breaker.HalfOpen || snapshot.Probing != policy.Probes {
		t.Fatalf("the breaker is %v with %d probes, want half-open with all %d", snapshot.State, snapshot.Probing, policy.Probes)
	}
	if fourth == nil {
		t.Fatal("a fourth probe was admitted while three were out")
	}
	await.Until(t, "the breaker closes by the survivor's probe", func() bool {
		_ = b.Run(context.Background(), func(context.Context) error { return nil })
		return b.State() == breaker.Closed
	})
	return true
}
