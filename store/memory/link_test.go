package memorystore_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
	"github.com/commontrip/commontrip/store/storetest"
)

var errAway = errors.New("connection refused")

func TestALinkThatWorksIsAStoreLikeAnyOther(t *testing.T) {
	storetest.Run(t, func(testing.TB) storetest.Harness {
		var s *memorystore.Store
		return storetest.Harness{
			Open: func(_ testing.TB, now func() time.Time) store.Store {
				if s == nil {
					s = memorystore.New(memorystore.WithClock(now))
				}
				return memorystore.NewLink(s)
			},
			Wipe: func(testing.TB) { s = nil },
		}
	})
}

// askEverything asks a store everything once, and returns each verb's error.
func askEverything(ctx context.Context, s store.Store) map[string]error {
	errs := map[string]error{}
	errs["Sync"] = s.Sync(ctx, []store.Report{{Name: "tier", Replica: "web-1#a1", Seq: 1}})[0].Err
	_, errs["Claim"] = s.Claim(ctx, store.Claim{Name: "tier", ID: "probe", Replica: "web-1#a1", Want: 1})
	_, errs["Settle"] = s.Settle(ctx, store.Settlement{Lease: store.Lease{Name: "tier", ID: "probe", Generation: 1}, Replica: "web-1#a1", Outcome: store.Success})
	_, errs["Command"] = s.Command(ctx, store.Command{Name: "tier", Action: store.Reset, By: "test"})
	_, errs["Read"] = s.Read(ctx)
	_, errs["Versions"] = s.Versions(ctx, "tier")
	_, errs["Roster"] = s.Roster(ctx, "tier")
	_, errs["History"] = s.History(ctx, "tier", 1)
	errs["Remove"] = s.Remove(ctx, "tier")
	errs["Ping"] = s.(store.Pinger).Ping(ctx)
	return errs
}

func TestALinkThatFailsFailsEveryVerbOfItsOwnReplicaOnly(t *testing.T) {
	s := memorystore.New()
	ours, other := memorystore.NewLink(s), memorystore.NewLink(s)
	ours.Fail(errAway)
	for verb, err := range askEverything(t.Context(), ours) {
		if !errors.Is(err, errAway) {
			t.Errorf("%s: %v", verb, err)
		}
	}
	if all, err := s.Read(t.Context()); len(all) != 0 || err != nil {
		t.Errorf("the store heard of it: %v, %v", all, err)
	}
	for verb, err := range askEverything(t.Context(), other) {
		if err != nil {
			t.Errorf("the other link's %s: %v", verb, err)
		}
	}
	ours.Mend()
	s.Sync(t.Context(), []store.Report{{Name: "tier", Replica: "web-2#b2", Seq: 1, Runs: []store.Run{{Outcome: store.Success, Count: 1}}}}) // brings back what the other link removed
	for verb, err := range askEverything(t.Context(), ours) {
		if err != nil {
			t.Errorf("mended, %s: %v", verb, err)
		}
	}
	_ = ours.Close()
	ours.Mend()
	for verb, err := range askEverything(t.Context(), ours) {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("closed, %s: %v", verb, err)
		}
	}
}

func TestALinkThatIsCutKeepsEveryVerbWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		link := memorystore.NewLink(memorystore.New())
		link.Cut()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		for verb, err := range askEverything(ctx, link) {
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v", verb, err)
			}
		}
		if waited := time.Since(start); waited != time.Second {
			t.Errorf("they waited %v, want a second", waited)
		}
		time.AfterFunc(time.Minute, link.Mend)
		if _, err := link.Read(t.Context()); err != nil || time.Since(start) != time.Second+time.Minute {
			t.Errorf("a request that waits when the link is mended: %v after %v", err, time.Since(start))
		}
	})
}

func TestALinkLosesPushesWhileItIsCutAndSaysSo(t *testing.T) {
	mend := func(l *memorystore.Link, _ *memorystore.Store) { l.Mend() }
	once, twice := []string{"resync", "operator", "resync", "operator"}, []string{"resync", "operator", "resync", "resync", "operator"}
	for name, c := range map[string]struct {
		fault func(*memorystore.Link)
		end   func(*memorystore.Link, *memorystore.Store)
		told  []string
	}{
		"cut":                  {(*memorystore.Link).Cut, mend, once},
		"failed":               {func(l *memorystore.Link) { l.Fail(errAway) }, mend, once},
		"led to another store": {func(l *memorystore.Link) { l.To(memorystore.New()) }, (*memorystore.Link).To, twice},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := memorystore.New()
				link := memorystore.NewLink(s)
				var told []string
				ended := make(chan error, 1)
				go func() {
					ended <- link.Watch(t.Context(), func(e store.Event) {
						if e.Resync {
							told = append(told, "resync")
						} else {
							told = append(told, string(e.Transition.Reason))
						}
					})
				}()
				trip := func() {
					synctest.Wait()
					s.Sync(t.Context(), []store.Report{{Name: "tier", Replica: "web-1#a1", Seq: 1}})
					if _, err := s.Command(t.Context(), store.Command{Name: "tier", Action: store.Trip, By: "test"}); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
				}
				trip()
				c.fault(link)
				trip()
				c.end(link, s)
				trip()
				_ = link.Close()
				if err := <-ended; !errors.Is(err, store.ErrClosed) {
					t.Errorf("Watch ended with %v", err)
				}
				if !slices.Equal(told, c.told) {
					t.Errorf("told %q, want %q", told, c.told)
				}
			})
		})
	}
}

func TestALinkLeadsToAnotherStore(t *testing.T) {
	one, two := memorystore.New(), memorystore.New()
	for _, s := range []*memorystore.Store{one, two} {
		s.Sync(t.Context(), []store.Report{{Name: "tier", Replica: "web-1#a1", Seq: 1}})
	}
	link := memorystore.NewLink(one)
	link.Fail(errAway)
	link.To(two)
	if _, err := link.Command(t.Context(), lock); !errors.Is(err, errAway) {
		t.Errorf("a link that failed leads to another store, and gives %v", err)
	}
	link.Mend()
	if _, err := link.Command(t.Context(), lock); err != nil {
		t.Fatal(err)
	}
	if first, second := commanded(t, one), commanded(t, two); first != 0 || second == 0 {
		t.Errorf("the first store is at rev %d, the second at %d; want the command in the second", first, second)
	}
}

// degraded plays with a link to a store that holds "tier", across a network, in virtual time.
func degraded(t *testing.T, n memorystore.Network, play func(t *testing.T, s *memorystore.Store, link *memorystore.Link)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := memorystore.New()
		s.Sync(t.Context(), []store.Report{{Name: "tier", Replica: "web-1#a1", Seq: 1}})
		if _, err := s.Command(t.Context(), lock); err != nil { // the first makes a rev of the clock, and others add one
			t.Fatal(err)
		}
		link := memorystore.NewLink(s)
		link.Degrade(n)
		play(t, s, link)
	})
}

// commanded is how many commands the store has carried out.
func commanded(t *testing.T, s *memorystore.Store) uint64 {
	t.Helper()
	versions, err := s.Versions(t.Context(), "tier")
	if err != nil || len(versions) != 1 {
		t.Fatalf("%v, %v", versions, err)
	}
	return versions[0].Rev
}

var lock = store.Command{Name: "tier", Action: store.ForceOpen, By: "test"}

func TestANetworkLosesAndDoublesRequests(t *testing.T) {
	for name, c := range map[string]struct {
		network memorystore.Network
		err     error
		done    uint64 // by the store
	}{
		"perfect":        {memorystore.Network{}, nil, 1},
		"request lost":   {memorystore.Network{LoseRequest: 1}, context.DeadlineExceeded, 0},
		"reply lost":     {memorystore.Network{LoseReply: 1}, context.DeadlineExceeded, 1},
		"request double": {memorystore.Network{DoubleRequest: 1}, nil, 2},
	} {
		t.Run(name, func(t *testing.T) {
			degraded(t, c.network, func(t *testing.T, s *memorystore.Store, link *memorystore.Link) {
				before := commanded(t, s)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if _, err := link.Command(ctx, lock); !errors.Is(err, c.err) {
					t.Errorf("the caller gets %v, want %v", err, c.err)
				}
				if done := commanded(t, s) - before; done != c.done {
					t.Errorf("the store did it %d times, want %d", done, c.done)
				}
				link.Degrade(memorystore.Network{})
				for verb, err := range askEverything(t.Context(), link) {
					if err != nil {
						t.Errorf("%s across a perfect network: %v", verb, err)
					}
				}
			})
		})
	}
}

func TestANetworkDelaysEachWay(t *testing.T) {
	degraded(t, memorystore.Network{Delay: time.Second}, func(t *testing.T, s *memorystore.Store, link *memorystore.Link) {
		before := commanded(t, s)
		start := time.Now()
		answered := make(chan error, 1)
		go func() { _, err := link.Command(t.Context(), lock); answered <- err }()
		time.Sleep(time.Second - 1)
		if commanded(t, s) != before {
			t.Error("the request is there early")
		}
		time.Sleep(2 * time.Nanosecond)
		if commanded(t, s) == before {
			t.Error("the request is late")
		}
		if err := <-answered; err != nil || time.Since(start) != 2*time.Second {
			t.Errorf("%v after %v, want nil after 2s", err, time.Since(start))
		}
		link.Degrade(memorystore.Network{Jitter: time.Second})
		seen := map[time.Duration]bool{}
		for range 10 {
			start := time.Now()
			if _, err := link.Read(t.Context()); err != nil || time.Since(start) > 2*time.Second {
				t.Errorf("%v after %v, want nil within 2s", err, time.Since(start))
			}
			seen[time.Since(start)] = true
		}
		if len(seen) < 5 {
			t.Errorf("ten requests took %v", seen)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		link.Degrade(memorystore.Network{Delay: time.Hour})
		if _, err := link.Read(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a caller that gives up gets %v", err)
		}
	})
}

// What happens to the link while a request is on its way happens to the request.
func TestARequestOnItsWaySharesTheFateOfItsLink(t *testing.T) {
	for name, c := range map[string]struct {
		fault func(*memorystore.Link)
		err   error
	}{
		"cut":             {(*memorystore.Link).Cut, context.DeadlineExceeded},
		"cut and mended":  {func(l *memorystore.Link) { l.Cut(); l.Mend() }, nil},
		"failed":          {func(l *memorystore.Link) { l.Fail(errAway) }, errAway},
		"cut, then close": {func(l *memorystore.Link) { l.Cut(); time.AfterFunc(10*time.Second, func() { _ = l.Close() }) }, store.ErrClosed},
	} {
		for _, at := range []time.Duration{time.Second, 3 * time.Second} { // before and after the store is asked
			t.Run(name, func(t *testing.T) {
				degraded(t, memorystore.Network{Delay: 2 * time.Second}, func(t *testing.T, _ *memorystore.Store, link *memorystore.Link) {
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					defer cancel()
					time.AfterFunc(at, func() { c.fault(link) })
					if _, err := link.Read(ctx); !errors.Is(err, c.err) {
						t.Errorf("%s after %v: %v, want %v", name, at, err, c.err)
					}
				})
			})
		}
	}
}

// heardOf watches across a network while the store carries out n commands, and gives the revs in the order in which they
// were heard.
func heardOf(t *testing.T, network memorystore.Network, n int) []uint64 {
	t.Helper()
	var revs []uint64
	degraded(t, network, func(t *testing.T, s *memorystore.Store, link *memorystore.Link) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		resyncs := 0
		go func() {
			defer close(ended)
			_ = link.Watch(ctx, func(e store.Event) {
				if e.Resync {
					resyncs++
				} else {
					revs = append(revs, e.Transition.Rev)
				}
			})
		}()
		synctest.Wait()
		for range n {
			if _, err := s.Command(t.Context(), lock); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute) // over every delay
		if _, err := s.Command(t.Context(), lock); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		cancel() // the last one is on its way, if the network is slow
		<-ended
		if resyncs != 1 {
			t.Errorf("%d times Resync, want once", resyncs)
		}
	})
	return revs
}

func TestANetworkLosesDoublesAndDelaysPushes(t *testing.T) {
	straight := heardOf(t, memorystore.Network{}, 10)
	if len(straight) != 11 || !slices.IsSorted(straight) {
		t.Errorf("a perfect network brings %v", straight)
	}
	if lost := heardOf(t, memorystore.Network{LosePush: 1}, 10); len(lost) != 0 {
		t.Errorf("a network that loses every push brings %v", lost)
	}
	if doubled := heardOf(t, memorystore.Network{DoublePush: 1}, 10); len(doubled) != 22 || !slices.Equal(slices.Compact(doubled), straight) {
		t.Errorf("a network that doubles every push brings %v", doubled)
	}
	late := heardOf(t, memorystore.Network{Jitter: time.Second, Seed: 1}, 10)
	if slices.IsSorted(late) {
		t.Errorf("no push overtook another: %v", late)
	}
	if slices.Sort(late); !slices.Equal(late, straight[:10]) {
		t.Errorf("a slow network brings %v, want %v", late, straight[:10])
	}
}

func TestANetworkCanBePlayedAgain(t *testing.T) {
	fates := func(seed uint64) (all []bool) {
		degraded(t, memorystore.Network{LoseRequest: 0.5, Seed: seed}, func(t *testing.T, _ *memorystore.Store, link *memorystore.Link) {
			for range 50 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				_, err := link.Read(ctx)
				cancel()
				all = append(all, err == nil)
			}
		})
		return all
	}
	if !slices.Equal(fates(1), fates(1)) {
		t.Error("one seed, two fates")
	}
	if slices.Equal(fates(1), fates(2)) {
		t.Error("two seeds, one fate")
	}
}

func TestANetworkOutOfRangeIsRefused(t *testing.T) {
	link := memorystore.NewLink(memorystore.New())
	for field, n := range map[string]memorystore.Network{
		"Delay": {Delay: -1}, "Jitter": {Jitter: -1}, "LoseRequest": {LoseRequest: 1.5}, "LoseReply": {LoseReply: -0.1},
		"DoubleRequest": {DoubleRequest: math.NaN()}, "LosePush": {LosePush: 2}, "DoublePush": {DoublePush: 2},
	} {
		func() {
			defer func() {
				if said, _ := recover().(string); !strings.Contains(said, "Network."+field+" is ") || !strings.Contains(said, "must be") {
					t.Errorf("%s: %q", field, said)
				}
			}()
			link.Degrade(n)
		}()
	}
}
