package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/commontrip/commontrip/store"
)

// together runs fn on so many goroutines, each with one of so many handles, and waits.
func (f *fixture) together(goroutines, handles int, fn func(i int, s store.Store)) {
	f.Helper()
	stores := make([]store.Store, handles)
	for i := range stores {
		stores[i] = f.open()
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
		func(f *fixture) {
			v := f.watch(nil)
			f.touch()
			var made atomic.Int64
			f.together(32, 4, func(i int, s store.Store) {
				results := s.Sync(f.ctx, []store.Report{{
					Name: tier, Policy: f.policy, Replica: fmt.Sprintf("r%d", i), Seq: 1, MaxAge: maxAge, Runs: []store.Run{failures(1)},
				}})
				if results[0].Made != nil {
					made.Add(1)
				}
			})
			same(f, "replicas told that they made it", made.Load(), 1)
			same(f, "entries", len(f.history()), 1)
			s := f.read()
			same(f, "state", s.State, store.Open)
			same(f, "totals", s.Totals, store.Totals{Calls: 5, Failures: 5, Late: 27})
			f.do(store.Reset)
			v.waitForTold(2)
			same(f, "told", []any{v.transitions()[0].Reason, v.transitions()[1].Action}, []any{store.ByConsecutiveFailures, store.Reset})
		},
	},
	{
		"a trip is never lost in a race",
		"A replica that succeeds while another one's failures trip does not undo the trip.",
		func(f *fixture) {
			f.policy = rates(0.5, 100, 10)
			f.touch()
			f.together(16, 4, func(i int, s store.Store) {
				o := store.Failure
				if i%4 == 0 {
					o = store.Success
				}
				for seq := range 8 {
					s.Sync(f.ctx, []store.Report{{
						Name: tier, Policy: f.policy, Replica: fmt.Sprintf("r%d", i), Seq: uint64(seq + 1), MaxAge: maxAge, Runs: []store.Run{run(o, 1)},
					}})
				}
			})
			s := f.read()
			same(f, "state", s.State, store.Open)
			same(f, "entries", len(f.history()), 1)
			same(f, "outcomes counted", s.Totals.Calls+s.Totals.Late, uint64(128))
		},
	},
	{
		"the budget of probes is the fleet's",
		"Never more live leases than Probes, however many replicas claim at the moment the open time ends, and one of them makes half-open.",
		func(f *fixture) {
			f.trip()
			f.after(minute)
			var granted, made atomic.Int64
			f.together(64, 4, func(i int, s store.Store) {
				g, err := s.Claim(f.ctx, store.Claim{Name: tier, ID: fmt.Sprintf("c%d", i), Policy: f.policy, Replica: fmt.Sprintf("r%d", i), Want: 1 + i%2})
				if err != nil {
					f.Error(err)
				}
				granted.Add(int64(len(g.Leases)))
				if g.Made != nil {
					made.Add(1)
				}
			})
			same(f, "leases", granted.Load(), 3)
			same(f, "claims that made half-open", made.Load(), 1)
			same(f, "live leases", f.read().Probing, 3)
		},
	},
	{
		"the budget holds while probes come and go",
		"Claiming and settling at once never shows more live leases than Probes.",
		func(f *fixture) {
			f.policy.ProbeSuccesses = 1_000_000
			f.trip()
			f.after(minute)
			f.lease("first")
			var over atomic.Int64
			f.together(16, 4, func(i int, s store.Store) {
				replica := fmt.Sprintf("r%d", i)
				for n := range 10 {
					g, err := s.Claim(f.ctx, store.Claim{Name: tier, ID: fmt.Sprintf("c%d-%d", i, n), Policy: f.policy, Replica: replica, Want: 1})
					if err != nil || g.Snapshot.Probing > 3 {
						over.Add(1)
					}
					for _, l := range g.Leases {
						_, _ = s.Settle(f.ctx, store.Settlement{Lease: l, Replica: replica, Outcome: store.Success})
					}
				}
			})
			same(f, "claims that saw too many leases, or failed", over.Load(), 0)
			same(f, "live leases", f.read().Probing, 1)
			s := f.read()
			same(f, "successes", uint64(s.ProbeSuccesses), s.Totals.Calls-5)
		},
	},
	{
		"a claim sent many times at once is one",
		"The same claim sent from several connections at once gets the same leases.",
		func(f *fixture) {
			f.trip()
			f.after(minute)
			var mu sync.Mutex
			ids := map[string]bool{}
			f.together(16, 4, func(_ int, s store.Store) {
				g, err := s.Claim(f.ctx, store.Claim{Name: tier, ID: "one", Policy: f.policy, Replica: "a", Want: 2})
				if err != nil {
					f.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				for _, l := range g.Leases {
					ids[l.ID] = true
				}
			})
			same(f, "leases", len(ids), 2)
			same(f, "live leases", f.read().Probing, 2)
		},
	},
	{
		"a probe settled many times at once counts once",
		"Of settlements of one lease at once one counts.",
		func(f *fixture) {
			f.policy.ProbeSuccesses = 10
			l := f.probe("a", 1)[0]
			f.together(16, 4, func(_ int, s store.Store) {
				if _, err := s.Settle(f.ctx, store.Settlement{Lease: l, Replica: "a", Outcome: store.Success}); err != nil {
					f.Error(err)
				}
			})
			s := f.read()
			same(f, "successes, calls", []any{s.ProbeSuccesses, s.Totals.Calls}, []any{1, uint64(6)})
		},
	},
	{
		"a report sent many times at once counts once",
		"One report resent from several connections at once counts once.",
		func(f *fixture) {
			f.policy = lenient
			r := f.report("a", failures(3))
			f.together(16, 4, func(_ int, s store.Store) {
				if err := s.Sync(f.ctx, []store.Report{r})[0].Err; err != nil {
					f.Error(err)
				}
			})
			f.wantWindow(3, 3, 0, 3)
		},
	},
	{
		"numbers grow under any race",
		"Under commands from all sides at once each transition has a generation of its own and the chain has no gap.",
		func(f *fixture) {
			f.touch()
			f.together(8, 4, func(i int, s store.Store) {
				for n := range 5 {
					a := store.Trip
					if (i+n)%2 == 0 {
						a = store.Reset
					}
					if _, err := s.Command(f.ctx, store.Command{Name: tier, Action: a, By: oncall}); err != nil {
						f.Error(err)
					}
				}
			})
			history := f.history()
			same(f, "entries", len(history), 40)
			for i := range history[1:] {
				same(f, "Prev", history[i].Prev, history[i+1].Generation)
				truly(f, "the generation grew", history[i].Generation > history[i+1].Generation)
			}
		},
	},
	{
		"every verb may be called at any time",
		"All methods are safe for concurrent use.",
		func(f *fixture) {
			f.touch()
			f.together(24, 3, func(i int, s store.Store) {
				for n := range 5 {
					r := store.Report{Name: tier, Policy: f.policy, Replica: fmt.Sprintf("r%d", i), Seq: uint64(n + 1), Runs: []store.Run{labelled("x", 2)}}
					if err := s.Sync(f.ctx, []store.Report{r})[0].Err; err != nil {
						f.Error(err)
					}
					c := store.Claim{Name: tier, ID: fmt.Sprintf("%d-%d", i, n), Policy: f.policy, Replica: r.Replica, Want: 1}
					if _, err := s.Claim(f.ctx, c); err != nil {
						f.Error(err)
					}
					_, read := s.Read(f.ctx)
					_, versions := s.Versions(f.ctx, tier)
					_, roster := s.Roster(f.ctx, tier)
					_, history := s.History(f.ctx, tier, 0)
					if err := errors.Join(read, versions, roster, history); err != nil {
						f.Error(err)
					}
				}
			})
		},
	},
	{
		"closing while others work fails nobody else",
		"A handle closed in the middle gives answers or ErrClosed, and harms no other handle.",
		func(f *fixture) {
			f.policy = lenient
			closing, several := f.another()
			if !several {
				return
			}
			f.together(8, 2, func(i int, s store.Store) {
				if i == 0 {
					_ = closing.Close()
				}
				_, _ = closing.Read(f.ctx)
				r := store.Report{Name: tier, Policy: f.policy, Replica: fmt.Sprintf("r%d", i), Seq: 1, MaxAge: maxAge, Runs: []store.Run{failures(1)}}
				if err := s.Sync(f.ctx, []store.Report{r})[0].Err; err != nil {
					f.Error(err)
				}
			})
			f.wantWindow(8, 8, 0, 8)
		},
	},
}
