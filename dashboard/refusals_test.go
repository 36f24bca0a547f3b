package dashboard_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

// remote is a store to which replicas report in batches.
type remote struct{ *memorystore.Store }

func (remote) Info() store.Info { return store.Info{Kind: "remote", Remote: true} }

// callers let each of n replicas send a call each pause until ctx ends.
func callers(ctx context.Context, t *testing.T, s store.Store, n int, pause time.Duration) {
	t.Helper()
	for i := range n {
		m, err := breaker.NewManager(s, breaker.WithReplica(fmt.Sprintf("web-%d", i)))
		if err != nil {
			t.Fatal(err)
		}
		b, err := m.Register(ctx, "mcp", breaker.WithPolicy(policy))
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for ctx.Err() == nil {
				_ = b.Run(ctx, func(context.Context) error { return nil })
				time.Sleep(pause)
			}
			_ = m.Close(context.Background())
		}()
	}
}

// shown is the rate of refusals that a page shows now.
func (p *page) shown() (refused float64) {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range p.seen {
		if of, told := one.rates["mcp"]; told {
			refused = of.Refused
		}
	}
	return refused
}

// TestTheRateOfRefusalsIsRightThoughReportsAreRare: a replica that refuses every call reports each nine seconds or so. The
// page once divided what a report brought by the one second between two reads: it showed 0 in 47 of 60 seconds, and up to
// nine times the truth in the others.
func TestTheRateOfRefusalsIsRightThoughReportsAreRare(t *testing.T) {
	for _, c := range []struct {
		replicas int
		pause    time.Duration
		joins    time.Duration // when the page is opened, after the breaker
	}{
		{1, 100 * time.Millisecond, 0},
		{1, 700 * time.Millisecond, 4 * time.Second},
		{3, 20 * time.Millisecond, 0},
		{3, 100 * time.Millisecond, 6500 * time.Millisecond},
		{20, 50 * time.Millisecond, 2 * time.Second},
	} {
		t.Run(fmt.Sprintf("%d replicas, a call each %v, looked at %v after", c.replicas, c.pause, c.joins), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := remote{memorystore.New()}
				defer s.Close()
				ctx, stop := context.WithCancel(t.Context())
				callers(ctx, t, s, c.replicas, c.pause)
				time.Sleep(5 * time.Second)
				h := handler(t, s)
				early := visit(h, nil)
				order(t, s, store.Command{Action: store.ForceOpen})
				time.Sleep(c.joins)
				if c.joins > 0 { // the board begins with this page
					early.leave()
					h = handler(t, s)
				}
				p := visit(h, nil)
				truth := float64(c.replicas) / c.pause.Seconds()
				time.Sleep(11 * time.Second) // each has reported once
				for second := range 50 {
					least := truth * 0.75
					if second < 10 { // an average of a few seconds
						least = truth * 0.5
					}
					if got := p.shown(); got < least || got > truth*1.25 {
						t.Errorf("%v after the page was opened it shows %.1f refused a second; it is %.1f", time.Since(p.events("hello")[0].at), got, truth)
					}
					time.Sleep(time.Second)
				}

				// What was not yet reported comes at once when it closes, and is not of one second.
				order(t, s, store.Command{Action: store.Reset})
				order(t, s, store.Command{Action: store.Lift})
				for range 12 {
					time.Sleep(time.Second)
					if got := p.shown(); got > truth*1.5 {
						t.Errorf("just closed it shows %.1f refused a second; it was %.1f", got, truth)
					}
				}
				if got := p.shown(); got != 0 {
					t.Errorf("closed for 12 s it shows %.1f refused a second", got)
				}

				// If nobody calls any more, nobody refuses.
				order(t, s, store.Command{Action: store.ForceOpen})
				time.Sleep(20 * time.Second)
				stop()
				time.Sleep(15 * time.Second)
				if got := p.shown(); got != 0 {
					t.Errorf("15 s after the last call it shows %.1f refused a second", got)
				}
				early.leave()
				p.leave()
			})
		})
	}
}

func order(t *testing.T, s store.Store, c store.Command) {
	t.Helper()
	c.Name, c.By, c.Why = "mcp", "oncall", "test"
	if _, err := s.Command(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

// TestTheRateOfRefusalsIsRightForAReplicaOnItsOwn: the fleet's breaker is closed, and the replica's reports are rare.
func TestTheRateOfRefusalsIsRightForAReplicaOnItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := seed(t, "mcp")
		p := visit(handler(t, s), nil)
		for seq := range uint64(4) {
			r := store.Report{Name: "mcp", Policy: policy, Replica: "web-2#b2", Seq: seq + 1, MaxAge: time.Second, OwnOpen: true, Rejected: 90}
			if err := s.Sync(t.Context(), []store.Report{r})[0].Err; err != nil {
				t.Fatal(err)
			}
			for range 9 {
				time.Sleep(time.Second)
				if got := p.shown(); seq > 1 && (got < 8 || got > 12) {
					t.Errorf("after report %d it shows %.1f refused a second; it is 10", seq+1, got)
				}
			}
		}
		p.leave()
	})
}
