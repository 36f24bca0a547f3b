package memorystore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

// watch runs a Watch in the background; what it returned comes on the channel.
func watch(ctx context.Context, s *memorystore.Store, fn func(store.Event)) <-chan error {
	done := make(chan error, 1)
	go func() { done <- s.Watch(ctx, fn) }()
	return done
}

func TestAWatcherHearsEachTransitionInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memorystore.New()
		var events []store.Event
		done := watch(t.Context(), s, func(e store.Event) { events = append(events, e) })
		synctest.Wait()
		s.Sync(t.Context(), []store.Report{report("tier", "web-1", 1, bad(1))})
		command(t, s, "tier", store.ForceOpen)
		command(t, s, "tier", store.Lift)
		command(t, s, "tier", store.Reset)
		synctest.Wait()
		if len(events) != 5 || !events[0].Resync {
			t.Fatalf("events: %+v", events)
		}
		history, _ := s.History(t.Context(), "tier", 0)
		for i, e := range events[1:] {
			if want := history[len(history)-1-i]; fmt.Sprintf("%+v", e.Transition) != fmt.Sprintf("%+v", want) {
				t.Errorf("event %d: %+v, want %+v", i, e.Transition, want)
			}
			if e.Snapshot.Generation != e.Transition.Generation || e.Snapshot.Rev != e.Transition.Rev || e.Snapshot.Name != "tier" {
				t.Errorf("snapshot %d: %+v of %+v", i, e.Snapshot, e.Transition)
			}
		}
		_ = s.Close()
		if err := <-done; !errors.Is(err, store.ErrClosed) {
			t.Errorf("Watch: %v", err)
		}
	})
}

func TestEachWatcherHasMemoryOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memorystore.New()
		defer s.Close()
		var heard atomic.Int32
		for range 2 {
			watch(t.Context(), s, func(e store.Event) {
				if e.Resync {
					return
				}
				heard.Add(1)
				if e.Transition.Errors[0].Label != "timeout" || e.Transition.Witnesses[0] != "web-1" {
					t.Errorf("spoilt: %+v", e.Transition)
				}
				e.Transition.Errors[0].Label, e.Transition.Witnesses[0] = "mine", "mine"
			})
			synctest.Wait()
		}
		s.Sync(t.Context(), []store.Report{report("tier", "web-1", 1, bad(1))})
		synctest.Wait()
		if heard.Load() != 2 {
			t.Errorf("%d heard it", heard.Load())
		}
	})
}

func TestAWatcherMayCallTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memorystore.New()
		ctx, cancel := context.WithCancel(t.Context())
		var states []string
		done := watch(ctx, s, func(e store.Event) {
			if e.Resync {
				return
			}
			states = append(states, e.Transition.To.String())
			if e.Transition.To == store.Open {
				command(t, s, "tier", store.Reset)
			}
		})
		synctest.Wait()
		s.Sync(ctx, []store.Report{report("tier", "web-1", 1, bad(1))})
		synctest.Wait()
		if !slices.Equal(states, []string{"open", "closed"}) {
			t.Errorf("states: %v", states)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Watch: %v", err)
		}
		_ = s.Close()
	})
}

func TestAWatcherThatBlocksHarmsNobodyAndIsToldWhatItMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memorystore.New()
		release := make(chan struct{})
		var slow, quick []store.Event
		watch(t.Context(), s, func(e store.Event) {
			<-release
			slow = append(slow, e)
		})
		watch(t.Context(), s, func(e store.Event) { quick = append(quick, e) })
		synctest.Wait()
		s.Sync(t.Context(), []store.Report{report("tier", "web-1", 1)})
		const n = memorystore.Queued + 10
		for range n {
			command(t, s, "tier", store.Reset)
			synctest.Wait()
		}
		if len(quick) != n+1 {
			t.Errorf("the quick one heard %d events, want %d", len(quick), n+1)
		}
		close(release)
		synctest.Wait()
		if len(slow) != 1+1+9 || !slow[0].Resync || !slow[1].Resync {
			t.Fatalf("the slow one heard %d events", len(slow))
		}
		last := quick[len(quick)-1].Transition.Generation
		if got := slow[len(slow)-1].Transition.Generation; got != last {
			t.Errorf("its last: %d, want %d", got, last)
		}
		_ = s.Close()
	})
}

func TestAWatcherThatLeftIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memorystore.New()
		ctx, cancel := context.WithCancel(t.Context())
		heard := 0
		done := watch(ctx, s, func(store.Event) { heard++ })
		synctest.Wait()
		cancel()
		<-done
		s.Sync(t.Context(), []store.Report{report("tier", "web-1", 1, bad(1))})
		if n := memorystore.Watchers(s); n != 0 || heard != 1 {
			t.Errorf("%d watchers are kept; it heard %d events", n, heard)
		}
		_ = s.Close()
	})
}

func TestCloseEndsAWatchBetweenTwoEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memorystore.New()
		var heard int
		done := watch(t.Context(), s, func(store.Event) {
			heard++
			if heard == 1 {
				s.Sync(t.Context(), []store.Report{report("tier", "web-1", 1, bad(1))})
				command(t, s, "tier", store.Reset)
			}
			if heard == 2 {
				_ = s.Close()
			}
		})
		if err := <-done; !errors.Is(err, store.ErrClosed) {
			t.Errorf("Watch: %v", err)
		}
		if heard != 2 {
			t.Errorf("it heard %d events", heard)
		}
	})
}

func TestTheDefaultClockIsVirtualInSynctest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memorystore.New()
		defer s.Close()
		s.Sync(t.Context(), []store.Report{report("tier", "web-1", 1, bad(1))})
		<-time.After(59 * time.Second) // virtual time: it waits for nothing
		grant, _ := s.Claim(t.Context(), store.Claim{Name: "tier", ID: "c", Policy: policy, Replica: "web-1", Want: 1})
		if len(grant.Leases) != 0 || grant.RetryIn != time.Second {
			t.Errorf("a second early: %+v", grant)
		}
		<-time.After(time.Second)
		grant, _ = s.Claim(t.Context(), store.Claim{Name: "tier", ID: "c", Policy: policy, Replica: "web-1", Want: 1})
		if len(grant.Leases) != 1 {
			t.Errorf("in time: %+v", grant)
		}
	})
}
