package outage

import (
	"context"
	"testing"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/tests/redistest"
)

// A replica takes every probe of a half-open breaker and is killed. Its leases end by themselves, and another replica's
// probe closes the breaker: half-open is never for ever.
func TestLeasesOfAKilledReplicaComeBack(t *testing.T) {
	server := redistest.Start(t)
	_, b := joinTest(t, server.URL(), "witness", breaker.WithPolicy(briefPolicy()))
	if _, err := b.Command(context.Background(), breaker.Command{Action: breaker.Trip, By: "test"}); err != nil {
		t.Fatal(err)
	}
	holder := startHolder(t, server.URL())

	snapshot, err := b.Snapshot(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if snapshot.State != breaker.HalfOpen || snapshot.Probing != briefPolicy().Probes {
		t.Fatalf("the breaker is %v with %d probes, want half-open with all %d", snapshot.State, snapshot.Probing, briefPolicy().Probes)
	}
	if err := b.Run(context.Background(), func(context.Context) error { return nil }); err == nil {
		t.Fatal("a fourth probe was admitted while three were out")
	}
	if err := holder.Process.Kill(); err != nil { // SIGKILL
		t.Fatal(err)
	}
	eventually(t, "the breaker closes by the survivor's probe", func() bool {
		_ = b.Run(context.Background(), func(context.Context) error { return nil })
		return b.State() == breaker.Closed
	})
}
