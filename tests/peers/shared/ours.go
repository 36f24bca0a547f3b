package shared

import (
	"context"
	"errors"
	"testing"

	"github.com/commontrip/commontrip/breaker"
	redisstore "github.com/commontrip/commontrip/store/redis"
	"github.com/commontrip/commontrip/tests/redistest"
)

const name = "tier"

func openOurs(t testing.TB, srv *redistest.Server, n int) replicas { return openReported(t, srv, n, 1) }

// openQuorum wants failures from two replicas, as the default policy of a fleet does. Then a replica stands on its own
// verdict, too, until the fleet's is known.
func openQuorum(t testing.TB, srv *redistest.Server, n int) replicas {
	return openReported(t, srv, n, 2)
}

func openReported(t testing.TB, srv *redistest.Server, n, reporters int) (r replicas) {
	policy := breaker.Policy{ConsecutiveFailures: five, Reporters: reporters, OpenFor: rest}
	var managers []*breaker.Manager
	for range n {
		s, err := redisstore.Open(srv.URL())
		if err != nil {
			t.Fatal(err)
		}
		m, err := breaker.NewManager(s, breaker.WithPolicy(policy))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = m.Close(context.Background())
			_ = s.Close()
		})
		b, err := m.Register(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		managers = append(managers, m)
		r.guards = append(r.guards, func(fn func() error) error {
			err := b.Run(context.Background(), func(context.Context) error { return fn() })
			if errors.Is(err, breaker.ErrOpen) {
				return errRefused
			}
			return err
		})
	}
	r.counted = func(t testing.TB) uint64 {
		for _, m := range managers {
			if err := m.Sync(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		seen, err := managers[0].Store().Read(context.Background(), name)
		if err != nil || len(seen) != 1 {
			t.Fatalf("Read gave %v, %v", seen, err)
		}
		return seen[0].Totals.Calls + seen[0].Totals.Late
	}
	return r
}
