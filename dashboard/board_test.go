package dashboard_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/dashboard"
	"github.com/commontrip/commontrip/health"
	"github.com/commontrip/commontrip/store"
)

func TestOnlyWhatChangedIsToldAndWhatIsRemovedGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := seed(t, "a", "b", "c")
		p := visit(handler(t, s), nil)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		before := len(p.events("tick"))
		report(t, s, "b", 2, store.Run{Outcome: store.Success, Count: 10})
		if err := s.Remove(t.Context(), "c"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		ticks := p.events("tick")[before:]
		if len(ticks) != 1 || len(ticks[0].Rows) != 1 || ticks[0].Rows[0].Name != "b" || len(ticks[0].Gone) != 1 || ticks[0].Gone[0] != "c" {
			t.Errorf("ticks: %+v", ticks)
		}
		late := visit(p.of, nil)
		time.Sleep(time.Second)
		synctest.Wait()
		if hello := late.events("hello"); len(hello[0].Rows) != 2 {
			t.Errorf("a page opened after it is told %+v", hello[0].Rows)
		}
		if ticks := p.events("tick")[before:]; len(ticks[1].Gone) > 0 {
			t.Errorf("it goes again: %+v", ticks[1])
		}
		late.leave()
		p.leave()
	})
}

func TestRatesAreTheFleetsSinceTheLastRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := seed(t, "mcp")
		p := visit(handler(t, s), nil)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		before := len(p.events("tick"))
		r := store.Report{Name: "mcp", Policy: policy, Replica: "web-1#a1", Seq: 2, MaxAge: time.Minute, Rejected: 30, Runs: []store.Run{
			{Outcome: store.Success, Count: 10}, {Outcome: store.Failure, Count: 2}, {Outcome: store.Ignored, Count: 8},
		}}
		if err := s.Sync(t.Context(), []store.Report{r})[0].Err; err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := p.events("tick")[before].rates["mcp"]; got != (rates{Calls: 20, Failures: 2, Refused: 30}) {
			t.Errorf("rates %+v", got)
		}

		// Of a store that lost its counters, or a breaker made again, no rate is known.
		if err := s.Remove(t.Context(), "mcp"); err != nil {
			t.Fatal(err)
		}
		report(t, s, "mcp", 1, store.Run{Outcome: store.Success, Count: 5})
		before = len(p.events("tick"))
		time.Sleep(time.Second)
		synctest.Wait()
		if got := p.events("tick")[before].rates["mcp"]; got != (rates{}) {
			t.Errorf("rates of counters that went back: %+v", got)
		}
		late := visit(p.of, nil)
		synctest.Wait()
		if points := late.events("hello")[0].Sparks["mcp"]; len(points) < 2 || points[len(points)-2] != [3]float64{20, 2, 30} {
			t.Errorf("the line that a late page draws: %v", points)
		}
		late.leave()
		p.leave()
	})
}

// A read that began before a push must not undo on the page what the push brought.
func TestAReadThatWasOvertakenByAPushIsNotBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &held{Store: seed(t, "mcp"), read: make(chan struct{}), release: make(chan struct{})}
		p := visit(handler(t, s), nil)
		time.Sleep(3 * time.Second)
		s.hold.Store(true)
		<-s.read
		before := len(p.events("tick"))
		time.Sleep(time.Millisecond)
		trip(t, s.Store, "mcp")
		synctest.Wait()
		if told := p.events("transition"); len(told) != 1 || told[0].Rows[0].State != store.Open {
			t.Fatalf("the push: %+v", told)
		}
		close(s.release)
		time.Sleep(time.Millisecond)
		synctest.Wait()
		ticks := p.events("tick")[before:]
		if len(ticks) != 1 {
			t.Fatalf("ticks of the overtaken read: %+v", ticks)
		}
		for _, row := range ticks[0].Rows {
			if row.State != store.Open {
				t.Errorf("the overtaken read is told: %+v", row)
			}
		}
		p.leave()
	})
}

// held holds back what a read found, if asked to.
type held struct {
	store.Store
	hold          atomic.Bool // the next read, once
	read, release chan struct{}
}

func (s *held) Read(ctx context.Context, names ...string) ([]store.Snapshot, error) {
	snapshots, err := s.Store.Read(ctx, names...)
	if s.hold.CompareAndSwap(true, false) {
		s.read <- struct{}{}
		<-s.release
	}
	return snapshots, err
}

func TestReplicasThatAreNotWithTheFleetAreNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := seed(t, "mcp")
		other := policy
		other.ConsecutiveFailures = 9
		for i, r := range []store.Report{{Replica: "web-2#b2", Policy: policy, OwnOpen: true}, {Replica: "web-3#c3", Policy: other}} {
			r.Name, r.Seq, r.MaxAge = "mcp", 1, time.Second
			if err := s.Sync(t.Context(), []store.Report{r})[0].Err; err != nil {
				t.Fatal(i, err)
			}
		}
		p := visit(handler(t, s), nil)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		ticks := p.events("tick")
		got := fmt.Sprint(*ticks[len(ticks)-1].Replicas)
		if got != "{[web-2#b2] [web-3#c3]}" {
			t.Errorf("replicas %s", got)
		}

		// If the fleet is open too, it is with the fleet.
		trip(t, s, "mcp")
		time.Sleep(3 * time.Second)
		synctest.Wait()
		ticks = p.events("tick")
		if got := fmt.Sprint(*ticks[len(ticks)-1].Replicas); got != "{[] [web-3#c3]}" {
			t.Errorf("with the fleet open: replicas %s", got)
		}
		p.leave()
	})
}

func TestChecksAndThisReplicasViewAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := seed(t)
		m, err := breaker.NewManager(s, breaker.WithReplica("web-9"))
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close(context.Background())
		if _, err := m.Register(t.Context(), "mcp"); err != nil {
			t.Fatal(err)
		}
		failing := func(context.Context) error { return errors.New("10.9.8.7 is away") }
		checks, err := health.New(health.Config{DownAfter: 1}, []health.Check{{Name: "db", Run: failing}})
		if err != nil {
			t.Fatal(err)
		}
		if err := checks.Start(); err != nil {
			t.Fatal(err)
		}
		defer checks.Close(context.Background())
		p := visit(handler(t, s, dashboard.WithManager(m), dashboard.WithHealth(checks)), nil)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		ticks := p.events("tick")
		last := ticks[len(ticks)-1]
		if last.Replica == nil || !last.Replica.StoreUp || last.Replica.Name != m.Replica() {
			t.Errorf("replica %+v", last.Replica)
		}
		if len(last.Health) != 1 || last.Health[0].Name != "db" || last.Health[0].Health != "down" || last.Health[0].Problem != "failed" {
			t.Errorf("health %+v", last.Health)
		}
		p.leave()
	})
}
