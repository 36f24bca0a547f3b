package outage

import (
	"context"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/tests/await"
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
	policy := briefPolicy(lease)
	server := redistest.Start(t)
	_, b := joinTest(t, server.URL(), "witness", breaker.WithPolicy(policy))
	if _, err := b.Command(context.Background(), breaker.Command{Action: breaker.Trip, By: "test"}); err != nil {
		t.Fatal(err)
	}
	began := time.Now() // no lease is older
	holder := startHolder(t, server.URL(), lease)

	snapshot, err := b.Snapshot(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	fourth := b.Run(context.Background(), func(context.Context) error { return nil })
	if err := holder.Process.Kill(); err != nil { // SIGKILL
		t.Fatal(err)
	}
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
