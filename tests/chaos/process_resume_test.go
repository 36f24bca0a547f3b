package chaos

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/internal/lab/tier"
	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/chaos/replica"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
	"github.com/commontrip/commontrip/tests/redistest"
)

// A replica process is halted for longer than leases, windows and StaleAfter: with failures that it had not reported, with a
// probe in its hand, and under load while the fleet opens. When it goes on, its past moves nothing.
func TestScenario12AReplicaIsResumedAfterItsTime(t *testing.T) {
	scenario := scoreboard.Start(t, 12, "replica process resumed beyond lease and window")
	server := redistest.Start(t)
	halt := scoreboard.Pick(scenario, 4*time.Second, 30*time.Second)
	policy := store.Policy{
		WindowTime: halt / 2, ConsecutiveFailures: 5, OpenFor: 200 * time.Millisecond, Probes: 1, ProbeSuccesses: 2,
		ProbeLease: halt / 4,
	}
	scenario.Report("halted for", halt)
	var called tier.Tier
	config := replica.Config{URL: server.URL(), Breaker: tierName, Policy: policy, Tier: replica.ServeTier(t, &called)}
	config.Name = "other"
	other := replica.Start(t, config)
	config.Name, config.Timing.FlushInterval = "halted", 900*time.Millisecond // time to halt it with what it has to report
	halted := replica.Start(t, config)
	fleetStore := operator(t, server.URL())

	haltWithFailures(t, scenario, halted, other, fleetStore, halt)
	haltWithProbe(t, scenario, halted, other, halt)
	haltUnderLoad(t, scenario, halted, fleetStore, &called, halt)
	converge(t, fleetStore, halted, other)
}

// haltWithFailures halts a replica that has one failure less to report than the rule wants; another reports that one, later.
func haltWithFailures(t *testing.T, scenario *scoreboard.Scenario, halted, other *replica.Replica, s store.Store, halt time.Duration) {
	t.Helper()
	const failures = 4
	for {
		other.Do(replica.Request{Do: replica.Call})
		other.Do(replica.Request{Do: replica.Sync})
		halted.Do(replica.Request{Do: replica.Sync})
		halted.Do(replica.Request{Do: replica.Call, N: failures, Fail: true})
		halted.Stop()
		pass(100 * time.Millisecond) // what was under way arrives
		if truth(t, s).Totals.Failures == 0 {
			break
		}
		halted.Cont() // too late: it had reported them
		command(t, s, store.Command{Action: store.Reset})
		if err := s.Remove(t.Context(), tierName); err != nil {
			t.Fatal(err)
		}
	}
	pass(halt)
	halted.Cont()
	halted.Do(replica.Request{Do: replica.Sync})
	other.Do(replica.Request{Do: replica.Call, Fail: true})
	other.Do(replica.Request{Do: replica.Sync})
	now := truth(t, s)
	falseTrips := 0
	if now.State != store.Closed {
		falseTrips = 1
	}
	scenario.Zero("false trips by old outcomes", falseTrips)
	scenario.Zero("old outcomes in the window", now.Window.Failures-1)
	scenario.Zero("old outcomes neither counted as late nor said to be lost", missing(failures, now.Totals.Late+halted.Status().Lost))
}

// haltWithProbe halts a replica that probes, until the other has the lease.
func haltWithProbe(t *testing.T, scenario *scoreboard.Scenario, halted, other *replica.Replica, halt time.Duration) {
	t.Helper()
	other.Do(replica.Request{Do: replica.Command, Command: &store.Command{Action: store.Trip, By: "test"}})
	await.Until(t, "the replica to be halted has the probe", func() bool {
		p := halted.Do(replica.Request{Do: replica.Acquire}).Permit
		if p.Admitted && !p.Probe {
			halted.Do(replica.Request{Do: replica.Done})
		}
		return p.Probe
	})
	halted.Stop()
	stopped := time.Now()
	await.Until(t, "the other has a lease", func() bool { return other.Do(replica.Request{Do: replica.Acquire}).Permit.Probe })
	free := time.Since(stopped)
	pass(halt - free)
	halted.Cont()
	before := other.Do(replica.Request{Do: replica.Snapshot}).Fleet
	done := halted.Do(replica.Request{Do: replica.Done}).Permit // a success, of a lease that is over
	halted.Do(replica.Request{Do: replica.Sync})
	after := other.Do(replica.Request{Do: replica.Snapshot}).Fleet
	alive, accepted := 0, 0
	if !done.Over {
		alive = 1
	}
	if after.Generation != before.Generation || after.ProbeSuccesses != before.ProbeSuccesses {
		accepted = 1
	}
	scenario.Zero("probes whose context outlived their lease", alive)
	scenario.Zero("stale settles accepted", accepted)
	scenario.Report("until another replica had the lease", free)
}

// haltUnderLoad halts a replica that calls, and opens the breaker meanwhile.
func haltUnderLoad(t *testing.T, scenario *scoreboard.Scenario, halted *replica.Replica, s store.Store, called *tier.Tier, halt time.Duration) {
	t.Helper()
	command(t, s, store.Command{Action: store.Reset})
	await.Until(t, "it calls", func() bool { return halted.Do(replica.Request{Do: replica.Call}).Calls.Admitted == 1 })
	const workers = 4
	halted.Do(replica.Request{Do: replica.Load, Workers: workers, Every: 20 * time.Millisecond})
	await.Until(t, "the load runs", func() bool { return halted.Do(replica.Request{Do: replica.Stats}).Calls.Made > 100 })
	halted.Stop()
	opened := command(t, s, store.Command{Action: store.ForceOpen})
	totals := truth(t, s).Totals
	pass(halt)
	resumed := time.Now()
	halted.Cont()
	await.Until(t, "it refuses", func() bool { return halted.Status().State == store.Open })
	refuses := time.Since(resumed)
	calls := halted.Do(replica.Request{Do: replica.Unload}).Calls
	halted.Do(replica.Request{Do: replica.Sync})
	now := truth(t, s)
	scenario.Report("calls that reached the tier on the old verdict after it went on, of 4 that call at once",
		len(called.Ledger().Of(halted.Name()).Since(resumed)))
	scenario.Report("until it refused, after it went on", refuses)
	scenario.Zero("errors to calls", int(calls.Broken))
	scenario.Zero("generations or revs that it moved", missing(now.Generation+now.Rev, opened.Generation+opened.Rev))
	scenario.Zero("its outcomes in the window of a forced state", now.Window.Calls)
	scenario.Report("its late outcomes", now.Totals.Late-totals.Late)
	command(t, s, store.Command{Action: store.Lift})
}

// stuck is a store that answers one report only after an hour, whatever its context says, once it is told to.
type stuck struct {
	store.Store
	hang chan struct{} // closed: the next report with outcomes hangs
	hung atomic.Bool
}

func (s *stuck) Info() store.Info { return store.Info{Kind: "stuck", Remote: true} }

func (s *stuck) Sync(ctx context.Context, reports []store.Report) []store.Result {
	select {
	case <-s.hang:
		if len(reports[0].Runs) > 0 && s.hung.CompareAndSwap(false, true) {
			<-time.After(time.Hour)
		}
	default:
	}
	return s.Store.Sync(ctx, reports)
}

// An exchange hangs for an hour and ignores its context. Behind it wait failures that would have tripped the fleet, and what a
// hundred thousand calls brought in the hour. None of it enters the window, none of it takes memory beyond the bound, and all
// of it is counted, as late or as lost.
func TestScenario12AnExchangeHangsForAnHour(t *testing.T) {
	scenario := scoreboard.Start(t, 12, "exchange blocked for a virtual hour")
	for _, moved := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) { blocked(t, scenario, moved) })
	}
}

// blocked plays the hour. moved: the fleet opens and closes meanwhile; else only the outcomes' age keeps them out.
func blocked(t *testing.T, scenario *scoreboard.Scenario, moved bool) {
	const atOnce, outcomes = 1000, 100_000
	shared := memorystore.New()
	behind := &stuck{Store: shared, hang: make(chan struct{})}
	m, err := breaker.NewManager(behind, breaker.WithReplica("stuck"),
		breaker.WithPolicy(store.Policy{WindowCalls: 100, FailureRate: 0.5, MinCalls: 10}),
		breaker.WithErrorLabel(func(err error) string { return err.Error() }))
	if err != nil {
		t.Fatal(err)
	}
	b, err := m.Register(t.Context(), tierName)
	if err != nil {
		t.Fatal(err)
	}
	admitted, mostPending := 0, 0
	call := func(i int, fails bool) {
		_ = b.Run(t.Context(), func(context.Context) error {
			admitted++
			if fails {
				return fmt.Errorf("label %d", i%2) // so that two in a row are two runs
			}
			return nil
		})
		if i%100 == 0 {
			mostPending = max(mostPending, b.Status().Pending)
		}
	}
	call(0, false)
	if err := m.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(behind.hang)
	call(0, false)
	pass(100 * time.Millisecond) // its report hangs
	for i := range atOnce {      // the fleet's verdict still rules: all are admitted
		call(i, true)
		pass(time.Millisecond)
	}
	if moved {
		for _, action := range []store.Action{store.Trip, store.Reset} {
			command(t, shared, store.Command{Action: action})
		}
	}
	for i := range outcomes - atOnce {
		call(i, i%10 < 3)
		pass(10 * time.Millisecond)
	}
	pass(time.Hour)
	if err := m.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	now, held := truth(t, shared), b.Status()
	name := func(s string) string { return fmt.Sprintf("%s (fleet moved: %v)", s, moved) }
	falseTrips := 0
	if now.State != store.Closed || !moved && now.Generation != 0 {
		falseTrips = 1
	}
	known := now.Totals.Calls + now.Totals.Late + held.Lost
	scenario.AtLeast(name("outcomes behind the exchange"), admitted, outcomes/2)
	scenario.Zero(name("false trips"), falseTrips)
	scenario.Zero(name("failures in the window"), now.Window.Failures)
	scenario.Zero(name("outcomes lost and not said so"), missing(uint64(admitted), known))
	scenario.Zero(name("outcomes counted twice"), missing(known, uint64(admitted)))
	scenario.AtMost(name("most outcomes pending, of 10 a run at most"), mostPending, 4096*10/4)
	scenario.Zero(name("generations behind the fleet"), missing(now.Generation, held.Fleet.Generation))
	if err := m.Close(context.Background()); err != nil {
		t.Error(err)
	}
}
