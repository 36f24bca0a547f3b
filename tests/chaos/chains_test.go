package chaos

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/fallback"
	"github.com/commontrip/commontrip/internal/lab/tier"
	"github.com/commontrip/commontrip/retry"
	redisstore "github.com/commontrip/commontrip/store/redis"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/redistest"
)

const (
	replicas  = 20
	threshold = 5
)

var chainPolicy = breaker.Policy{
	ConsecutiveFailures: threshold, OpenFor: 500 * time.Millisecond, Probes: 2, ProbeSuccesses: 2, ProbeLease: 2 * time.Second,
}

// chained is a replica with a chain of its own: first, else second, each behind a retrier and the fleet's breaker.
type chained struct {
	chain  *fallback.Chain[int, int]
	guards map[string]*breaker.Breaker

	mu    sync.Mutex
	last  string // who served last
	heard bool   // once, that no tier is left and when to ask again
}

func newChained(t *testing.T, url string, n int, tiers map[string]*tier.Tier) *chained {
	t.Helper()
	fleet, err := redisstore.Open(url)
	if err != nil {
		t.Fatal(err)
	}
	m, err := breaker.NewManager(fleet, breaker.WithReplica(fmt.Sprintf("web-%d", n)), breaker.WithPolicy(chainPolicy))
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
	r := &chained{guards: map[string]*breaker.Breaker{}}
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
		chain = append(chain, fallback.Tier[int, int]{Name: name, Call: callOf(tiers[name]), Guards: []fallback.Guard{again, b}})
	}
	if r.chain, err = fallback.New(chain); err != nil {
		t.Fatal(err)
	}
	return r
}

// callOf makes a tier one of a chain.
func callOf(to *tier.Tier) func(context.Context, int) (int, error) {
	return func(ctx context.Context, _ int) (int, error) { return 1, to.Call(ctx, tier.Caller{}) }
}

// serve calls again and again, and keeps how the last call went.
func (r *chained) serve(ctx context.Context) {
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
	tiers := map[string]*tier.Tier{"first": {}, "second": {}}
	var fleet []*chained
	for n := range replicas {
		fleet = append(fleet, newChained(t, server.URL(), n, tiers))
	}
	ctx, stop := context.WithCancel(t.Context())
	var serving sync.WaitGroup
	defer serving.Wait()
	defer stop()
	for _, r := range fleet {
		serving.Go(func() { r.serve(ctx) })
	}
	all := func(holds func(*chained) bool) func() bool {
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
	servedBy := func(name string) func() bool { return all(func(r *chained) bool { return r.last == name }) }
	await.Until(t, "the first tier serves all replicas", servedBy("first"))

	tiers["first"].Fail(1)
	await.Until(t, "every replica has left the first tier", all(func(r *chained) bool { return r.guards["first"].State() != breaker.Closed }))
	burnt := tiers["first"].Count().Failed
	t.Logf("%d failing calls until %d replicas had left; as many separate breakers need %d", burnt, replicas, replicas*threshold)
	await.Until(t, "the second tier serves all replicas", servedBy("second"))

	tiers["second"].Fail(1)
	await.Until(t, "every replica hears that no tier is left, and when to ask again", all(func(r *chained) bool { return r.heard }))

	tiers["second"].Fail(0)
	await.Until(t, "the second tier serves all replicas again", servedBy("second"))
	tiers["first"].Fail(0)
	await.Until(t, "the first tier serves all replicas again", servedBy("first"))
}
