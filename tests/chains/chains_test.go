// Package chains puts retry, tiers and breakers of a whole fleet together on a real Redis.
package chains

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/fallback"
	"github.com/commontrip/commontrip/retry"
	redisstore "github.com/commontrip/commontrip/store/redis"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	replicas  = 20
	threshold = 5
)

var (
	errDown = errors.New("tier is down")
	policy  = breaker.Policy{
		ConsecutiveFailures: threshold, OpenFor: 500 * time.Millisecond, Probes: 2, ProbeSuccesses: 2, ProbeLease: 2 * time.Second,
	}
)

// tier is what all replicas call.
type tier struct {
	down     atomic.Bool
	failures atomic.Int64
}

func (t *tier) call(context.Context, int) (int, error) {
	if t.down.Load() {
		t.failures.Add(1)
		return 0, errDown
	}
	return 1, nil
}

// replica has a chain of its own: first, else second, each behind a retrier and the fleet's breaker.
type replica struct {
	chain  *fallback.Chain[int, int]
	guards map[string]*breaker.Breaker

	mu    sync.Mutex
	last  string // who served last
	heard bool   // once, that no tier is left and when to ask again
}

func newReplica(t *testing.T, url string, n int, tiers map[string]*tier) *replica {
	t.Helper()
	fleet, err := redisstore.Open(url)
	if err != nil {
		t.Fatal(err)
	}
	m, err := breaker.NewManager(fleet, breaker.WithReplica(fmt.Sprintf("web-%d", n)), breaker.WithPolicy(policy))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := await.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := errors.Join(m.Close(ctx), fleet.Close()); err != nil {
			t.Error(err)
		}
	})
	r := &replica{guards: map[string]*breaker.Breaker{}}
	var chain []fallback.Tier[int, int]
	for _, name := range []string{"first", "second"} {
		again, err := retry.New(retry.Policy{Attempts: 2, Delay: time.Millisecond, MaxRetryAfter: time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		b, err := m.Register(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		r.guards[name] = b
		chain = append(chain, fallback.Tier[int, int]{Name: name, Call: tiers[name].call, Guards: []fallback.Guard{again, b}})
	}
	if r.chain, err = fallback.New(chain); err != nil {
		t.Fatal(err)
	}
	return r
}

// serve calls again and again, and keeps how the last call went.
func (r *replica) serve(ctx context.Context) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		_, trace, err := r.chain.Trace(ctx, 0)
		r.mu.Lock()
		r.last = trace.Tier
		var failed *fallback.AllTiersFailedError
		r.heard = r.heard || errors.As(err, &failed) && failed.RetryAfter() > 0
		r.mu.Unlock()
	}
}

// Twenty replicas leave a tier together, leave the next one together, hear one clear error while none is left, and come
// back tier by tier.
func TestTwentyChainsLeaveATierTogetherAndComeBackTierByTier(t *testing.T) {
	server := redistest.Start(t)
	tiers := map[string]*tier{"first": {}, "second": {}}
	var fleet []*replica
	for n := range replicas {
		fleet = append(fleet, newReplica(t, server.URL(), n, tiers))
	}
	ctx, stop := context.WithCancel(t.Context())
	var serving sync.WaitGroup
	defer serving.Wait()
	defer stop()
	for _, r := range fleet {
		serving.Go(func() { r.serve(ctx) })
	}
	all := func(holds func(*replica) bool) func() bool {
		return func() bool {
			for _, r := range fleet {
				r.mu.Lock()
				ok := holds(r)
				r.mu.Unlock()
				if !ok {
					return false
				}
			}
			return true
		}
	}
	servedBy := func(tier string) func() bool { return all(func(r *replica) bool { return r.last == tier }) }
	await.Until(t, "the first tier serves all replicas", servedBy("first"))

	tiers["first"].down.Store(true)
	await.Until(t, "every replica has left the first tier", all(func(r *replica) bool { return r.guards["first"].State() != breaker.Closed }))
	burnt := tiers["first"].failures.Load()
	t.Logf("%d failing calls until %d replicas had left; as many separate breakers need %d", burnt, replicas, replicas*threshold)
	await.Until(t, "the second tier serves all replicas", servedBy("second"))

	tiers["second"].down.Store(true)
	await.Until(t, "every replica hears that no tier is left, and when to ask again", all(func(r *replica) bool { return r.heard }))

	tiers["second"].down.Store(false)
	await.Until(t, "the second tier serves all replicas again", servedBy("second"))
	tiers["first"].down.Store(false)
	await.Until(t, "the first tier serves all replicas again", servedBy("first"))
}
