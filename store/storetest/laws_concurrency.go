package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/commontrip/commontrip/store"
)

// together runs fn on so many goroutines, each with one of so many handles, and waits.
func (w *world) together(goroutines, handles int, fn func(i int, s store.Store)) {
	w.Helper()
	stores := make([]store.Store, handles)
	for i := range stores {
		stores[i] = w.open()
	}
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for i := range goroutines {
		wg.Go(func() {
			<-begin
			fn(i, stores[i%handles])
		})
	}
	close(begin)
	wg.Wait()
}

var concurrencyRules = []rule{
	{
		"racing openers make one trip",
		"Of replicas that report the decisive failures at once exactly one is told that it made the trip; one entry is written and one push sent.",
		func(w *world) {
			v := w.watch(nil)
			w.touch()
			var made atomic.Int64
			w.together(32, 4, func(i int, s store.Store) {
				results := s.Sync(w.ctx, []store.Report{{
					Name: tier, Policy: w.policy, Replica: fmt.Sprintf("r%d", i), Seq: 1, MaxAge: maxAge, Runs: []store.Run{failures(1)},
				}})
				if results[0].Made != nil {
					made.Add(1)
				}
			})
			same(w, "replicas told that they made it", made.Load(), 1)
			same(w, "entries", len(w.history()), 1)
			s := w.read()
			same(w, "state", s.State, store.Open)
			same(w, "totals", s.Totals, store.Totals{Calls: 5, Failures: 5, Late: 27})
			w.do(store.Reset)
			v.waitForTold(2)
			same(w, "told", []any{v.transitions()[0].Reason, v.transitions()[1].Action}, []any{store.ByConsecutiveFailures, store.Reset})
		},
	},
	{
		"a trip is never lost in a race",
		"A replica that succeeds while another one's failures trip does not undo the trip.",
		func(w *world) {
			w.policy = rates(0.5, 100, 10)
			w.touch()
			w.together(16, 4, func(i int, s store.Store) {
				o := store.Failure
				if i%4 == 0 {
					o = store.Success
				}
				for seq := range 8 {
					s.Sync(w.ctx, []store.Report{{
						Name: tier, Policy: w.policy, Replica: fmt.Sprintf("r%d", i), Seq: uint64(seq + 1), MaxAge: maxAge, Runs: []store.Run{run(o, 1)},
					}})
				}
			})
			s := w.read()
			same(w, "state", s.State, store.Open)
			same(w, "entries", len(w.history()), 1)
			same(w, "outcomes counted", s.Totals.Calls+s.Totals.Late, uint64(128))
		},
	},
	{
		"the budget of probes is the fleet's",
		"Never more live leases than Probes, however many replicas claim at the moment the open time ends, and one of them makes half-open.",
		func(w *world) {
			w.trip()
			w.after(minute)
			var granted, made atomic.Int64
			w.together(64, 4, func(i int, s store.Store) {
				g, err := s.Claim(w.ctx, store.Claim{Name: tier, ID: fmt.Sprintf("c%d", i), Policy: w.policy, Replica: fmt.Sprintf("r%d", i), Want: 1 + i%2})
				if err != nil {
					w.Error(err)
				}
				granted.Add(int64(len(g.Leases)))
				if g.Made != nil {
					made.Add(1)
				}
			})
			same(w, "leases", granted.Load(), 3)
			same(w, "claims that made half-open", made.Load(), 1)
			same(w, "live leases", w.read().Probing, 3)
		},
	},
	{
		"the budget holds while probes come and go",
		"Claiming and settling at once never shows more live leases than Probes.",
		func(w *world) {
			w.policy.ProbeSuccesses = 1_000_000
			w.trip()
			w.after(minute)
			w.lease("first")
			var over atomic.Int64
			w.together(16, 4, func(i int, s store.Store) {
				replica := fmt.Sprintf("r%d", i)
				for n := range 10 {
					g, err := s.Claim(w.ctx, store.Claim{Name: tier, ID: fmt.Sprintf("c%d-%d", i, n), Policy: w.policy, Replica: replica, Want: 1})
					if err != nil || g.Snapshot.Probing > 3 {
						over.Add(1)
					}
					for _, l := range g.Leases {
						_, _ = s.Settle(w.ctx, store.Settlement{Lease: l, Replica: replica, Outcome: store.Success})
					}
				}
			})
			same(w, "claims that saw too many leases, or failed", over.Load(), 0)
			same(w, "live leases", w.read().Probing, 1)
			s := w.read()
			same(w, "successes", uint64(s.ProbeSuccesses), s.Totals.Calls-5)
		},
	},
	{
		"a claim sent many times at once is one",
		"The same claim sent from several connections at once gets the same leases.",
		func(w *world) {
			w.trip()
			w.after(minute)
			var mu sync.Mutex
			ids := map[string]bool{}
			w.together(16, 4, func(_ int, s store.Store) {
				g, err := s.Claim(w.ctx, store.Claim{Name: tier, ID: "one", Policy: w.policy, Replica: "a", Want: 2})
				if err != nil {
					w.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				for _, l := range g.Leases {
					ids[l.ID] = true
				}
			})
			same(w, "leases", len(ids), 2)
			same(w, "live leases", w.read().Probing, 2)
		},
	},
	{
		"a probe settled many times at once counts once",
		"Of settlements of one lease at once one counts.",
		func(w *world) {
			w.policy.ProbeSuccesses = 10
			l := w.probe("a", 1)[0]
			w.together(16, 4, func(_ int, s store.Store) {
				if _, err := s.Settle(w.ctx, store.Settlement{Lease: l, Replica: "a", Outcome: store.Success}); err != nil {
					w.Error(err)
				}
			})
			s := w.read()
			same(w, "successes, calls", []any{s.ProbeSuccesses, s.Totals.Calls}, []any{1, uint64(6)})
		},
	},
	{
		"a report sent many times at once counts once",
		"One report resent from several connections at once counts once.",
		func(w *world) {
			w.policy = lenient
			r := w.report("a", failures(3))
			w.together(16, 4, func(_ int, s store.Store) {
				if err := s.Sync(w.ctx, []store.Report{r})[0].Err; err != nil {
					w.Error(err)
				}
			})
			w.wantWindow(3, 3, 0, 3)
		},
	},
	{
		"numbers grow under any race",
		"Under commands from all sides at once each transition has a generation of its own and the chain has no gap.",
		func(w *world) {
			w.touch()
			w.together(8, 4, func(i int, s store.Store) {
				for n := range 5 {
					a := store.Trip
					if (i+n)%2 == 0 {
						a = store.Reset
					}
					if _, err := s.Command(w.ctx, store.Command{Name: tier, Action: a, By: oncall}); err != nil {
						w.Error(err)
					}
				}
			})
			history := w.history()
			same(w, "entries", len(history), 40)
			for i := range history[1:] {
				same(w, "Prev", history[i].Prev, history[i+1].Generation)
				truly(w, "the generation grew", history[i].Generation > history[i+1].Generation)
			}
		},
	},
	{
		"every verb may be called at any time",
		"All methods are safe for concurrent use.",
		func(w *world) {
			w.touch()
			w.together(24, 3, func(i int, s store.Store) {
				for n := range 5 {
					r := store.Report{Name: tier, Policy: w.policy, Replica: fmt.Sprintf("r%d", i), Seq: uint64(n + 1), Runs: []store.Run{labelled("x", 2)}}
					if err := s.Sync(w.ctx, []store.Report{r})[0].Err; err != nil {
						w.Error(err)
					}
					c := store.Claim{Name: tier, ID: fmt.Sprintf("%d-%d", i, n), Policy: w.policy, Replica: r.Replica, Want: 1}
					if _, err := s.Claim(w.ctx, c); err != nil {
						w.Error(err)
					}
					_, read := s.Read(w.ctx)
					_, versions := s.Versions(w.ctx, tier)
					_, roster := s.Roster(w.ctx, tier)
					_, history := s.History(w.ctx, tier, 0)
					if err := errors.Join(read, versions, roster, history); err != nil {
						w.Error(err)
					}
				}
			})
		},
	},
	{
		"closing while others work fails nobody else",
		"A handle closed in the middle gives answers or ErrClosed, and harms no other handle.",
		func(w *world) {
			w.policy = lenient
			closing, several := w.another()
			if !several {
				return
			}
			w.together(8, 2, func(i int, s store.Store) {
				if i == 0 {
					_ = closing.Close()
				}
				_, _ = closing.Read(w.ctx)
				r := store.Report{Name: tier, Policy: w.policy, Replica: fmt.Sprintf("r%d", i), Seq: 1, MaxAge: maxAge, Runs: []store.Run{failures(1)}}
				if err := s.Sync(w.ctx, []store.Report{r})[0].Err; err != nil {
					w.Error(err)
				}
			})
			w.wantWindow(8, 8, 0, 8)
		},
	},
}
