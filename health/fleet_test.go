package health_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/health"
	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

// brokenTier takes 2 s to answer a check. It counts those that are in it at once, apart from the ones that came while the
// breaker was closed.
type brokenTier struct {
	store store.Store

	mu          sync.Mutex
	broken      bool
	in, most, n int
}

func (f *brokenTier) check(ctx context.Context) error {
	shown, err := f.store.Read(ctx, "mcp")
	if err != nil {
		return err
	}
	probe := len(shown) == 1 && shown[0].State != store.Closed
	f.mu.Lock()
	if probe {
		f.n++
		f.in++
		f.most = max(f.most, f.in)
	}
	f.mu.Unlock()
	<-time.After(2 * time.Second)
	f.mu.Lock()
	defer f.mu.Unlock()
	if probe {
		f.in--
	}
	if f.broken {
		return errTier
	}
	return nil
}

func (f *brokenTier) mend() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broken = false
}

func (f *brokenTier) seen() (most, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.most, f.n
}

// fleet is 20 replicas on one store, each with a Manager and a Monitor of its own.
func fleet(t *testing.T, f *brokenTier, feed health.Feed) (breakers []*breaker.Breaker, monitors []*health.Monitor) {
	t.Helper()
	for range 20 {
		m, err := breaker.NewManager(f.store, breaker.WithPolicy(breaker.Policy{
			ConsecutiveFailures: 5, OpenFor: 10 * time.Second, Probes: 3, ProbeSuccesses: 5, ProbeLease: 10 * time.Second,
		}))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := m.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
		b, err := m.Register(t.Context(), "mcp")
		if err != nil {
			t.Fatal(err)
		}
		breakers = append(breakers, b)
		monitors = append(monitors, monitor(t, health.Config{Interval: time.Second}, []health.Check{
			{Name: "mcp", Run: f.check, Breaker: b, Feed: feed},
		}))
	}
	return breakers, monitors
}

func startAll(t *testing.T, monitors []*health.Monitor) {
	t.Helper()
	for _, m := range monitors {
		if err := m.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := m.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
}

func trip(t *testing.T, b *breaker.Breaker) {
	t.Helper()
	for range 5 {
		_ = b.Run(t.Context(), func(context.Context) error { return errTier })
	}
	synctest.Wait()
	if b.State() != store.Open {
		t.Fatalf("the breaker is %v", b.State())
	}
}

// Twenty replicas that each check on their own would hit a tier that is trying to recover with twenty checks at once.
func TestTheChecksOfTwentyReplicasStayWithinTheProbeBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memorystore.New()
		f := &brokenTier{store: s, broken: true}
		breakers, monitors := fleet(t, f, health.FeedProbes)
		trip(t, breakers[0])
		startAll(t, monitors)

		<-time.After(9 * time.Second)
		if _, n := f.seen(); n != 0 {
			t.Errorf("%d checks reached the tier while it was open", n)
		}
		<-time.After(50 * time.Second)
		history, err := s.History(t.Context(), "mcp", 0)
		if err != nil {
			t.Fatal(err)
		}
		rounds := 0
		for _, h := range history {
			if h.To == store.HalfOpen {
				rounds++
			}
		}
		most, n := f.seen()
		if rounds < 4 || most > 3 || n < rounds || n > 3*rounds {
			t.Errorf("%d rounds of probes with %d checks, %d at once", rounds, n, most)
		}

		f.mend()
		closed := false
		for range 40 {
			<-time.After(time.Second)
			shown, err := s.Read(t.Context(), "mcp")
			if err != nil {
				t.Fatal(err)
			}
			if closed = shown[0].State == store.Closed; closed {
				break
			}
		}
		if !closed {
			t.Fatal("the checks did not bring the tier back")
		}
		if most, _ := f.seen(); most > 3 {
			t.Errorf("%d probes at once", most)
		}
		<-time.After(10 * time.Second)
		for i, b := range breakers {
			if st, _ := monitors[i].Status("mcp"); b.State() != store.Closed || st.Health != health.Up {
				t.Errorf("replica %d: %v, %v", i, b.State(), st.Health)
			}
		}
	})
}

// The same fleet without a feed: what the budget spares the tier, and that checks alone do not move a breaker.
func TestChecksThatFeedNothingNeitherWaitForProbesNorCloseABreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &brokenTier{store: memorystore.New()}
		breakers, monitors := fleet(t, f, health.FeedNothing)
		trip(t, breakers[0])
		startAll(t, monitors)
		<-time.After(time.Minute)
		if most, _ := f.seen(); most != 20 {
			t.Errorf("%d at once", most)
		}
		if breakers[0].State() != store.Open {
			t.Errorf("the breaker is %v", breakers[0].State())
		}
	})
}

func TestChecksThatFeedProbesDoNotTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &brokenTier{store: memorystore.New(), broken: true}
		breakers, monitors := fleet(t, f, health.FeedProbes)
		startAll(t, monitors)
		<-time.After(time.Minute)
		st, _ := monitors[7].Status("mcp")
		if breakers[7].State() != store.Closed || st.Health != health.Down {
			t.Errorf("breaker %v, health %v", breakers[7].State(), st.Health)
		}
	})
}

func TestChecksThatFeedAllTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &brokenTier{store: memorystore.New(), broken: true}
		breakers, monitors := fleet(t, f, health.FeedAll)
		startAll(t, monitors)
		<-time.After(5 * time.Second)
		if breakers[7].State() != store.Open {
			t.Errorf("the breaker is %v", breakers[7].State())
		}
	})
}
