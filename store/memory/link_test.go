package memorystore_test

import (
	"context"
	"errors"
	"slices"
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
	for name, fault := range map[string]func(*memorystore.Link){
		"cut":    (*memorystore.Link).Cut,
		"failed": func(l *memorystore.Link) { l.Fail(errAway) },
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
				fault(link)
				trip()
				link.Mend()
				trip()
				_ = link.Close()
				if err := <-ended; !errors.Is(err, store.ErrClosed) {
					t.Errorf("Watch ended with %v", err)
				}
				if want := []string{"resync", "operator", "resync", "operator"}; !slices.Equal(told, want) {
					t.Errorf("told %q, want %q", told, want)
				}
			})
		})
	}
}
