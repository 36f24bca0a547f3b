package metrics_test

import (
	"errors"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/metrics"
	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

var quick = breaker.WithPolicy(breaker.Policy{
	ConsecutiveFailures: 2, OpenFor: time.Second, Probes: 1, ProbeSuccesses: 1, Reporters: 1,
})

func sum(fleet []*replica, name string, labels ...string) (n float64) {
	for _, r := range fleet {
		n += r.value(name, labels...)
	}
	return n
}

func synced(fleet []*replica) {
	for _, r := range fleet {
		r.sync()
	}
	synctest.Wait()
}

// A transition that every replica counted would be counted once a replica.
func TestTransitionsAreCountedByTheReplicaThatMadeThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newRemoteStore()
		fleet := []*replica{
			newReplica(t, shared, "a", quick), newReplica(t, shared, "b", quick), newReplica(t, shared, "c", quick),
		}
		synced(fleet)
		const rounds = 4
		for round := range rounds {
			maker := fleet[round%len(fleet)]
			_ = maker.call(errTier)
			_ = maker.call(errTier)
			synced(fleet)
			pass(2 * time.Second)
			if err := fleet[(round+1)%len(fleet)].call(nil); err != nil {
				t.Fatalf("round %d: the probe was refused: %v", round, err)
			}
			synced(fleet)
		}
		for _, want := range []struct{ to, reason string }{
			{"open", "consecutive-failures"}, {"half-open", "time"}, {"closed", "probe-successes"},
		} {
			labels := []string{"breaker", "mcp", "to", want.to, "reason", want.reason}
			if n := sum(fleet, "commontrip_transitions_total", labels...); n != rounds {
				t.Errorf("to %s, %s: the sum over the fleet is %v; want %d", want.to, want.reason, n, rounds)
			}
		}
		// a made the rounds 0 and 3, b and c one each; each of them led to one trip.
		for i, want := range []float64{2, 1, 1} {
			if n := fleet[i].value("commontrip_transitions_total", "to", "open", "reason", "consecutive-failures"); n != want {
				t.Errorf("replica %d counts %v trips; want %v", i, n, want)
			}
		}
	})
}

func TestACommandIsHeardOfByEveryReplicaAndIsNoTransitionOfTheirs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newRemoteStore()
		fleet := []*replica{newReplica(t, shared, "a"), newReplica(t, shared, "b")}
		synced(fleet)
		if _, err := shared.Command(t.Context(), store.Command{Name: "mcp", Action: store.Trip, By: "oncall"}); err != nil {
			t.Fatal(err)
		}
		synced(fleet)
		for i, r := range fleet {
			if n := r.value("commontrip_commands_total", "action", "trip"); n != 1 {
				t.Errorf("replica %d heard of %v trips; want 1", i, n)
			}
			for _, m := range family(t, r.c, "commontrip_transitions_total").GetMetric() {
				if m.GetCounter().GetValue() != 0 {
					t.Errorf("replica %d claims %v", i, m)
				}
			}
		}
	})
}

func TestEveryOneHotGroupHasOneThatIsHot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReplica(t, memorystore.New(), "a", quick)
		look := func(state, fleetState, mode string) {
			t.Helper()
			for _, group := range []struct{ metric, label, hot string }{
				{"commontrip_state", "state", state},
				{"commontrip_fleet_state", "state", fleetState},
				{"commontrip_mode", "mode", mode},
			} {
				shown := family(t, r.c, group.metric).GetMetric()
				if len(shown) != 3 {
					t.Errorf("%s has %d series; want 3", group.metric, len(shown))
				}
				for _, m := range shown {
					want := 0.0
					if matches(m, []string{group.label, group.hot}) {
						want = 1
					}
					if m.GetGauge().GetValue() != want {
						t.Errorf("%s: %v; want %v", group.metric, m, want)
					}
				}
			}
		}
		command := func(a store.Action) {
			t.Helper()
			if _, err := r.b.Command(t.Context(), breaker.Command{Action: a, By: "oncall"}); err != nil {
				t.Fatal(err)
			}
		}
		look("closed", "closed", "auto")
		_, _ = r.call(errTier), r.call(errTier)
		look("open", "open", "auto")
		pass(time.Second)
		look("open", "open", "auto") // nobody has asked for a probe: looking must not move it
		command(store.ForceClosed)
		look("closed", "open", "forced-closed")
		command(store.ForceOpen)
		look("open", "open", "forced-open")
		command(store.Lift)
		look("half-open", "half-open", "auto")
	})
}

func TestAStandingCommandTellsSinceWhenAndForHowLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReplica(t, memorystore.New(), "a")
		standing := func(command string) (since, remaining float64) {
			t.Helper()
			return r.value("commontrip_command_since_timestamp_seconds", "command", command),
				r.value("commontrip_command_remaining_seconds", "command", command)
		}
		give := func(c breaker.Command) {
			t.Helper()
			c.By = "oncall"
			if _, err := r.b.Command(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		for _, command := range []string{"mode", "policy"} {
			if since, remaining := standing(command); since != 0 || remaining != 0 {
				t.Errorf("%s: since %v for %v though none stands", command, since, remaining)
			}
		}
		at := float64(time.Now().Unix())
		give(breaker.Command{Action: store.ForceOpen})
		give(breaker.Command{Action: store.Retune, For: time.Hour, Policy: breaker.Policy{ConsecutiveFailures: 9}})
		pass(10 * time.Minute)
		if since, remaining := standing("mode"); since != at || !math.IsInf(remaining, 1) {
			t.Errorf("mode: since %v for %v; want %v, +Inf", since, remaining, at)
		}
		if since, remaining := standing("policy"); since != at || remaining != 3000 {
			t.Errorf("policy: since %v for %v; want %v, 3000", since, remaining, at)
		}
		if n := r.value("commontrip_policy_consecutive_failures"); n != 9 {
			t.Errorf("the policy in force shows %v failures in a row; want 9", n)
		}
	})
}

func TestCallsAreCountedByTheirOutcomeAndRefusalsByTheirKind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ignored := errors.New("not found")
		r := newReplica(t, memorystore.New(), "a", quick, breaker.WithIgnore(ignored))
		for range 3 {
			_ = r.call(nil)
		}
		_ = r.call(ignored)
		_, _ = r.call(errTier), r.call(errTier)
		for range 5 {
			if err := r.call(nil); !errors.Is(err, breaker.ErrOpen) {
				t.Fatalf("an open breaker says %v", err)
			}
		}
		for outcome, want := range map[string]float64{"success": 3, "failure": 2, "ignored": 1} {
			if n := r.value("commontrip_calls_total", "outcome", outcome); n != want {
				t.Errorf("%s: %v; want %v", outcome, n, want)
			}
		}
		for refusal, want := range map[string]float64{"open": 5, "probing": 0, "forced-open": 0, "ramp-up": 0, "store-down": 0} {
			if n := r.value("commontrip_refused_total", "refusal", refusal); n != want {
				t.Errorf("refused, %s: %v; want %v", refusal, n, want)
			}
		}
		if n := r.value("commontrip_retry_after_seconds"); n != 1 {
			t.Errorf("calls are refused for %v s more; want 1", n)
		}
	})
}

func TestTheWindowStandsBesideItsThresholds(t *testing.T) {
	r := newReplica(t, memorystore.New(), "a", breaker.WithPolicy(breaker.Policy{FailureRate: 0.5, MinCalls: 20}))
	for i := range 10 {
		var err error
		if i%4 == 0 {
			err = errTier
		}
		_ = r.call(err)
	}
	r.sync()
	for name, want := range map[string]float64{
		"fleet_window_calls": 10, "fleet_failure_ratio": 0.3, "fleet_slow_ratio": 0, "fleet_consecutive_failures": 0,
		"policy_failure_ratio": 0.5, "policy_slow_ratio": 0, "policy_min_calls": 20, "policy_open_seconds": 60,
		"policy_probes": 3, "policy_observe": 0, "policy_consecutive_failures": 0, "fleet_replicas": 1,
	} {
		if n := r.value("commontrip_" + name); n != want {
			t.Errorf("%s is %v; want %v", name, n, want)
		}
	}
}

func TestALostStoreShowsInOwnVerdictAgeAndExchanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newRemoteStore()
		r := newReplica(t, shared, "a", quick)
		r.sync()
		if up, n := r.value("commontrip_store_up"), r.value("commontrip_exchange_errors_total"); up != 1 || n != 0 {
			t.Fatalf("before: up %v, errors %v", up, n)
		}
		shared.Fail(errAway)
		pass(5 * time.Second)
		_, _ = r.call(errTier), r.call(errTier)
		pass(5 * time.Second)
		for name, want := range map[string]float64{
			"store_up": 0, "own_verdict": 1, "store_losses_total": 1, "lost_outcomes_total": 2, "own_trips_total": 1, "pending_outcomes": 0,
		} {
			if n := r.value("commontrip_" + name); n != want {
				t.Errorf("%s is %v; want %v", name, n, want)
			}
		}
		for _, name := range []string{"store_silence_seconds", "fleet_age_seconds"} {
			if n := r.value("commontrip_" + name); n < 9 {
				t.Errorf("%s is %v after 10 s of silence", name, n)
			}
		}
		failed, all := r.value("commontrip_exchange_errors_total"), r.value("commontrip_exchanges_total")
		if timed := r.value("commontrip_exchange_duration_seconds"); failed == 0 || timed != all {
			t.Errorf("%v exchanges, %v failed, %v timed; want some failures, and all timed", all, failed, timed)
		}
	})
}

// pooled is a store that tells of connections.
type pooled struct{ store.Store }

func (pooled) Connections() store.Connections {
	return store.Connections{InUse: 3, Idle: 1, Most: 8, Waits: 7}
}

func TestConnectionsAreShownIfTheStoreTellsOfThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newRemoteStore()
		r := newReplica(t, pooled{shared}, "a", quick)
		r.sync()
		for _, want := range []struct {
			name  string
			value float64
		}{
			{"store_connections_in_use", 3}, {"store_connections_idle", 1}, {"store_connections_max", 8}, {"store_connection_waits_total", 7},
		} {
			if n := r.value("commontrip_" + want.name); n != want.value {
				t.Errorf("%s is %v; want %v", want.name, n, want.value)
			}
		}
		for _, f := range gather(t, newReplica(t, shared, "b", quick).c) {
			if strings.Contains(f.GetName(), "connection") {
				t.Errorf("%s of a store that tells of none", f.GetName())
			}
		}
	})
}

func TestEachResyncIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newRemoteStore()
		r := newReplica(t, shared, "a", quick)
		r.sync()
		pass(time.Second)
		before := r.value("commontrip_resyncs_total")
		if before < 1 {
			t.Errorf("%v; want the one at the start", before)
		}
		shared.Cut()
		pass(time.Minute)
		shared.Mend()
		pass(10 * time.Second)
		if after := r.value("commontrip_resyncs_total"); after <= before {
			t.Errorf("%v after pushes were lost, %v before", after, before)
		}
	})
}

func TestASickReplicaShowsItsOwnVerdictBesideAClosedFleet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newRemoteStore()
		policy := breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 3, Reporters: 2, OpenFor: time.Minute})
		sick := newReplica(t, shared, "a", policy)
		fleet := []*replica{sick, newReplica(t, shared, "b", policy), newReplica(t, shared, "c", policy)}
		synced(fleet)
		for range 5 {
			_ = sick.call(errTier)
			_, _ = fleet[1].call(nil), fleet[2].call(nil)
			synced(fleet)
		}
		for i, own := range []float64{1, 0, 0} {
			r := fleet[i]
			if n := r.value("commontrip_own_verdict"); n != own {
				t.Errorf("replica %d: own verdict is %v; want %v", i, n, own)
			}
			if n := r.value("commontrip_state", "state", "open"); n != own {
				t.Errorf("replica %d: open here is %v; want %v", i, n, own)
			}
			if n := r.value("commontrip_own_trips_total"); n != own {
				t.Errorf("replica %d: own trips are %v; want %v", i, n, own)
			}
			if up, closed := r.value("commontrip_store_up"), r.value("commontrip_fleet_state", "state", "closed"); up != 1 || closed != 1 {
				t.Errorf("replica %d: store up %v, fleet closed %v; want 1, 1", i, up, closed)
			}
			if n := r.value("commontrip_fleet_replicas"); n != 3 {
				t.Errorf("replica %d knows of %v replicas; want 3", i, n)
			}
		}
	})
}

func TestPoliciesThatConflictAreShownByEveryReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newRemoteStore()
		fleet := []*replica{
			newReplica(t, shared, "a", breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 3})),
			newReplica(t, shared, "b", breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 4})),
		}
		synced(fleet)
		synced(fleet)
		for i, r := range fleet {
			if n := r.value("commontrip_fleet_policy_conflict"); n != 1 {
				t.Errorf("replica %d: conflict is %v; want 1", i, n)
			}
			if n := r.value("commontrip_policy_consecutive_failures"); n != 4 {
				t.Errorf("replica %d: %v failures in a row open; want 4, of the replica that started last", i, n)
			}
		}
	})
}

func TestARepairIsCountedByTheReplicaThatMadeIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newRemoteStore()
		fleet := []*replica{newReplica(t, shared, "a", quick), newReplica(t, shared, "b", quick)}
		synced(fleet)
		_, _ = fleet[0].call(errTier), fleet[0].call(errTier)
		synced(fleet)
		shared.To(memorystore.New())
		pass(5 * time.Second)
		synced(fleet)
		if n := sum(fleet, "commontrip_fleet_state", "state", "open"); n != 2 {
			t.Errorf("%v of 2 replicas know that the fleet is open", n)
		}
		if n := sum(fleet, "commontrip_repairs_total"); n != 1 {
			t.Errorf("one repair is counted %v times", n)
		}
	})
}

// The store's clock is a month ahead while it gives out numbers. Then it is set right, and the store loses its memory: it refuses
// what the replica knows.
func TestWhatTheStoreRefusesForLongIsCountedAsDisowned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ahead atomic.Int64
		begin := func() *memorystore.Store {
			return memorystore.New(memorystore.WithClock(func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }))
		}
		first := begin()
		shared := memorystore.NewLink(first)
		r := newReplica(t, shared, "a", quick)
		pass(time.Second)
		ahead.Store(int64(30 * 24 * time.Hour))
		if _, err := r.b.Command(t.Context(), breaker.Command{Action: breaker.ForceOpen, By: "oncall"}); err != nil {
			t.Fatal(err)
		}
		pass(2 * time.Second)
		if n := r.value("commontrip_disowned_total"); n != 0 {
			t.Errorf("it counts %v while nothing was refused", n)
		}
		ahead.Store(0)
		shared.To(begin())
		_ = first.Close()
		for range 60 {
			pass(time.Second)
			_ = r.call(nil)
		}
		if n := r.value("commontrip_disowned_total"); n != 1 {
			t.Errorf("what was dropped once is counted %v times", n)
		}
	})
}

// statuses are breakers that say what they are told to say.
type statuses []breaker.Status

func (s statuses) Status() breaker.ManagerStatus { return breaker.ManagerStatus{Breakers: s} }

func TestAReasonOfANewerVersionIsShownAsOther(t *testing.T) {
	trip := breaker.EventClass{Kind: breaker.Transitioned, Here: true, From: breaker.Closed, To: breaker.Open}
	unheard := trip
	trip.Reason, unheard.Reason = store.ByFailureRate, "moonlight"
	c := metrics.NewCollector(statuses{
		{Name: "a", Events: map[breaker.EventClass]uint64{trip: 2}},
		{Name: "b", Events: map[breaker.EventClass]uint64{trip: 3, unheard: 5}},
	})
	for _, want := range []struct {
		name, reason string
		n            float64
	}{{"a", "failure-rate", 2}, {"b", "failure-rate", 3}, {"b", "other", 5}} {
		if n := value(t, c, "commontrip_transitions_total", "breaker", want.name, "to", "open", "reason", want.reason); n != want.n {
			t.Errorf("%s by %s: %v; want %v", want.name, want.reason, n, want.n)
		}
	}
	for _, m := range family(t, c, "commontrip_transitions_total").GetMetric() {
		if matches(m, []string{"reason", "other"}) && m.GetCounter().GetValue() == 0 {
			t.Errorf("what never happened is shown: %v", m)
		}
	}
}

// A breaker that stays keeps the labels of the scrape before. To make them all again costs many times what the values do.
func TestBreakersComeAndGoBetweenScrapes(t *testing.T) {
	var now statuses
	c := metrics.NewCollector(&now)
	known := map[string]*dto.LabelPair{} // of the scrape before
	for _, names := range []string{"bd", "abd", "abcde", "ce", "", "e", "abcd"} {
		now = nil
		for _, name := range names {
			now = append(now, breaker.Status{Name: string(name), Pending: int(name)})
		}
		var shown string
		before := known
		known = map[string]*dto.LabelPair{}
		for _, f := range gather(t, c) {
			if f.GetName() != "commontrip_pending_outcomes" {
				continue
			}
			for _, m := range f.GetMetric() {
				label := m.GetLabel()[0]
				name := label.GetValue()
				if shown += name; m.GetGauge().GetValue() != float64(name[0]) {
					t.Errorf("of %q, %s has another's value: %v", names, name, m)
				}
				if known[name] = label; before[name] != nil && before[name] != label {
					t.Errorf("of %q, the labels of %s are made again", names, name)
				}
			}
		}
		if shown != names {
			t.Errorf("shown are %q; want %q", shown, names)
		}
	}
}
