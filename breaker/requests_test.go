package breaker_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

// stranger is a first report of a replica that knows nothing, straight to the store.
func (f *fleet) stranger(name string, p breaker.Policy) {
	f.t.Helper()
	r := store.Report{Name: name, Policy: p, Replica: "stranger#1", Seq: 1}
	if err := f.now.Load().Sync(context.Background(), []store.Report{r})[0].Err; err != nil {
		f.t.Fatal(err)
	}
}

func TestACommandAfterALossKeepsTheForceThatItsReplicaKnows(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.replica(breaker.WithPolicy(streak))
		defer r.close()
		b := r.register(t, "tier")
		if _, err := b.Command(t.Context(), breaker.Command{Action: breaker.ForceOpen, For: time.Hour, By: "oncall", Why: "INC-42"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		f.wipe()
		f.stranger("tier", streak)
		tuned := streak
		tuned.OpenFor = 7 * time.Second
		s, err := b.Command(t.Context(), breaker.Command{Action: breaker.Retune, Policy: tuned, By: "ann"})
		if err != nil {
			t.Fatal(err)
		}
		if s.Mode != store.ForcedOpen || s.ModeNote.Why != "INC-42" || s.Policy.OpenFor != 7*time.Second {
			t.Fatalf("after a retune the store says %+v", s)
		}
		wantState(t, b, breaker.Open)
	})
}

// TestNoOutcomeIsCountedTwiceHoweverLongAReplicaTriesAgain: a store knows the number of a report for as long as it is sent
// again, and not for as long as StaleAfter may last.
func TestNoOutcomeIsCountedTwiceHoweverLongAReplicaTriesAgain(t *testing.T) {
	for _, stale := range []time.Duration{3 * time.Second, 25 * time.Second, 5 * time.Minute, 24 * time.Hour} {
		for _, outage := range []time.Duration{25 * time.Second, 35 * time.Second, 70 * time.Second, time.Hour} {
			inVirtualTime(t, func(t *testing.T) {
				f := newFleet(t)
				r := f.replica(
					breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 15}),
					breaker.WithTiming(breaker.Timing{StaleAfter: stale}))
				defer r.close()
				b := r.register(t, "tier")
				r.net.lose.Store(true)
				times(10, func() { _ = b.Run(t.Context(), fail) })
				time.Sleep(100 * time.Millisecond)
				r.net.down.Store(true)
				time.Sleep(outage)
				r.net.down.Store(false)
				r.net.lose.Store(false)
				time.Sleep(30 * time.Second)
				s := f.read("tier")
				if n := s.Totals.Calls + s.Totals.Late; s.State != breaker.Closed || n > 10 {
					t.Errorf("StaleAfter %v, %v away: 10 failures are counted %d times, %v", stale, outage, n, s.State)
				}
			})
		}
	}
}

// holder is a store on whose way requests are held, while it holds: nobody waits for them any more when they arrive.
type holder struct {
	remoteStore
	holds   chan struct{} // closed: what is held arrives; nil: nothing is held
	arrived sync.WaitGroup
}

func (h *holder) Sync(ctx context.Context, reports []store.Report) []store.Result {
	if h.holds == nil {
		return h.remoteStore.Sync(ctx, reports)
	}
	release := h.holds
	h.arrived.Go(func() {
		<-release
		h.store().Sync(context.Background(), reports)
	})
	<-ctx.Done()
	results := make([]store.Result, len(reports))
	for i := range results {
		results[i].Err = ctx.Err()
	}
	return results
}

func TestWhatWasHeldOnItsWayIsNotJudgedAsNew(t *testing.T) {
	for _, held := range []time.Duration{4 * time.Second, time.Minute, time.Hour} {
		inVirtualTime(t, func(t *testing.T) {
			f := newFleet(t)
			h := &holder{remoteStore: remoteStore{f.backend, &network{}}}
			m, err := breaker.NewManager(h, breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 5}))
			if err != nil {
				t.Fatal(err)
			}
			b, err := m.Register(t.Context(), "tier")
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
			h.holds = make(chan struct{})
			times(20, func() { _ = b.Run(t.Context(), fail) })
			time.Sleep(held)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_ = m.Close(ctx) // what it could not report is lost
			close(h.holds)
			h.arrived.Wait()
			if s := f.read("tier"); s.State != breaker.Closed || s.Totals.Calls > 0 {
				t.Errorf("held for %v: the store is %v and counts %+v", held, s.State, s.Totals)
			}
		})
	}
}

func TestAStepForwardOfTheStoresClockLosesNoOutcome(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		var ahead atomic.Int64
		f := newFleet(t)
		f.backend.now.Store(memorystore.New(memorystore.WithClock(func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) })))
		r := f.replica(breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 1000}))
		defer r.close()
		b := r.register(t, "tier")
		for range 5 {
			times(7, func() { _ = b.Run(t.Context(), fail) })
			ahead.Add(int64(time.Hour))
			time.Sleep(time.Second)
		}
		if got := f.read("tier").Totals; got.Calls+got.Late != 35 || got.Late > 0 {
			t.Errorf("35 outcomes are counted as %+v", got)
		}
		if got := b.Status(); got.Lost != 0 || got.Pending != 0 {
			t.Errorf("%+v", got)
		}
	})
}

func TestOutcomesWaitUntilTheStoresClockIsKnown(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.replica(breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 1000}))
		defer r.close()
		r.net.down.Store(true)
		b := r.register(t, "tier")
		times(7, func() { _ = b.Run(t.Context(), fail) })
		time.Sleep(time.Second)
		r.net.down.Store(false)
		time.Sleep(time.Second)
		r.net.mu.Lock()
		for _, report := range r.net.reports {
			if len(report.Runs) > 0 && report.SentAt.IsZero() {
				t.Errorf("outcomes are sent without a word of when: %+v", report)
			}
		}
		r.net.mu.Unlock()
		if got := f.read("tier").Totals; got.Calls != 7 {
			t.Errorf("7 outcomes are counted as %+v", got)
		}
	})
}

// futurist is a store whose watchers are told of things that have no name yet.
type futurist struct {
	remoteStore
	tell chan store.Event
}

func (f *futurist) Watch(ctx context.Context, fn func(store.Event)) error {
	fn(store.Event{Resync: true})
	for {
		select {
		case e := <-f.tell:
			fn(e)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func TestWhatANewerReleaseDoesIsToldAndCountedAsNothingElse(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		s := &futurist{remoteStore{f.backend, &network{}}, make(chan store.Event)}
		var heard events
		m, err := breaker.NewManager(s, breaker.WithPolicy(streak), breaker.WithListener(heard.hear))
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close(context.Background())
		b, err := m.Register(t.Context(), "tier")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		after := f.read("tier")
		rev := uint64(time.Now().UnixMilli())
		after.Rev = rev
		s.tell <- store.Event{Snapshot: after, Transition: store.Transition{
			Name: "tier", Generation: after.Generation + 1, Prev: after.Generation, Action: 99, Reason: "solar-flare", Cause: "ann",
		}}
		time.Sleep(100 * time.Millisecond)
		all := heard.all()
		if len(all) != 1 || all[0].Kind != breaker.Commanded || all[0].Transition.Action != 99 {
			t.Fatalf("listeners hear %v", all)
		}
		for class, n := range b.Status().Events {
			if class.Action != 0 || class.Reason != "" || n != 1 {
				t.Errorf("it is counted as %+v", class)
			}
		}
	})
}
