package integration

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/await"
)

const tier = "tier"

var errDown = errors.New("down")

// fleet is five replicas with one breaker.
type fleet struct {
	t        *testing.T
	breakers []*breaker.Breaker
}

// newFleet opens five replicas, each with a connection of its own. Two of them must see the same to open.
func newFleet(t *testing.T, s shape, openFor time.Duration) *fleet {
	t.Helper()
	f := &fleet{t: t}
	for i := range 5 {
		m, err := breaker.NewManager(s.openTest(t), breaker.WithReplica(fmt.Sprint("web-", i)), breaker.WithPolicy(breaker.Policy{
			ConsecutiveFailures: 4, Reporters: 2, OpenFor: openFor, Probes: 1, ProbeSuccesses: 2, ProbeLease: 2 * time.Second,
		}))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { finally(t, m.Close) })
		b, err := m.Register(t.Context(), tier)
		if err != nil {
			t.Fatal(err)
		}
		f.breakers = append(f.breakers, b)
	}
	return f
}

// call makes one call through each of the first n replicas.
func (f *fleet) call(n int, answer error) {
	for _, b := range f.breakers[:n] {
		_ = b.Run(f.t.Context(), func(context.Context) error { return answer })
	}
}

// differing says which replicas do not stand on the fleet's verdict with this state.
func (f *fleet) differing(want breaker.State) (missing string) {
	for i, b := range f.breakers {
		if s := b.Status(); s.Fleet.State != want {
			missing += fmt.Sprintf("replica %d knows of %v; ", i, s.Fleet.State)
		}
	}
	return missing
}

// trip breaks the tier for two replicas, and waits until all five know.
func (f *fleet) trip() {
	f.t.Helper()
	await.Eventually(f.t, "two replicas see failures, and all five hold the open verdict", func() string {
		f.call(2, errDown)
		return f.differing(breaker.Open)
	})
	first := f.breakers[0].Status().Fleet.Generation
	for i, b := range f.breakers {
		if s := b.Status(); s.Fleet.Generation < first {
			f.t.Errorf("replica %d holds generation %d, below %d", i, s.Fleet.Generation, first)
		}
	}
}

// sharesOneVerdict trips a fleet and lets it recover.
func sharesOneVerdict(t *testing.T, s shape) {
	t.Helper()
	s.wipe(t)
	f := newFleet(t, s, 2*time.Second)
	f.call(5, nil)
	f.trip()
	await.Eventually(t, "probes find the tier well, and all five hold the closed verdict", func() string {
		f.call(5, nil)
		return f.differing(breaker.Closed)
	})
}

// TestAFailoverLeavesTheFleetOpen kills the master of a tripped fleet. No replica may admit a call on the way, the new
// master must know the verdict, and a command must reach everybody through it.
func TestAFailoverLeavesTheFleetOpen(t *testing.T) {
	needDocker(t)
	s := sentinels(t, ownImage(t))
	f := newFleet(t, s.shape, time.Hour)
	operator := s.openTest(t)
	f.trip()
	before := f.breakers[0].Status().Fleet.Generation
	if n, err := s.admin.Wait(t.Context(), 2, 5*time.Second).Result(); err != nil || n != 2 {
		t.Fatalf("%d replicas have the verdict, %v; want 2", n, err)
	}
	s.nodes[0].kill(t)

	stayOpen := func() {
		for i, b := range f.breakers {
			if got := b.State(); got != breaker.Open {
				t.Fatalf("replica %d is %v during the failover", i, got)
			}
		}
	}
	await.Eventually(t, "the new master tells the verdict", func() string {
		stayOpen()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		all, err := operator.Read(ctx, tier)
		if err != nil || len(all) != 1 {
			return fmt.Sprint(all, err)
		}
		if all[0].State != store.Open || all[0].Generation < before {
			t.Fatalf("the new master says %v of generation %d; it was open in %d", all[0].State, all[0].Generation, before)
		}
		return ""
	})
	await.Eventually(t, "the new master takes a command", func() string {
		stayOpen()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := operator.Command(ctx, store.Command{Name: tier, Action: store.Reset, By: "operator"}); err != nil {
			return err.Error()
		}
		return ""
	})
	await.Eventually(t, "all five know of the command", func() string { return f.differing(breaker.Closed) })
}
