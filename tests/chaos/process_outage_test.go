package chaos

import (
	"fmt"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/chaos/replica"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
	"github.com/commontrip/commontrip/tests/redistest"
)

// Redis hangs while two goroutines call at full speed, in each state. The replica was given a client as go-redis makes it by
// default: 5 s timeouts, contexts ignored, retries. No call waits for Redis, none fails, an open breaker stays open until
// its time, and the replica says that it stands alone.
func TestScenario10RedisHangsUnderFullLoad(t *testing.T) {
	scenario := scoreboard.Start(t, 10, "Redis SIGSTOP under full load")
	server := redistest.Start(t)
	fleetStore := operator(t, server.URL())
	lasts := scoreboard.Pick(scenario, 4*time.Second, 10*time.Second)
	scenario.Report("hangs for", lasts)
	for _, state := range []store.State{store.Closed, store.Open, store.HalfOpen} {
		if answer, err := server.Command("FLUSHALL"); err != nil || answer != "+OK" {
			t.Fatalf("FLUSHALL: %q, %v", answer, err)
		}
		r := replica.Start(t, replica.Config{
			URL: server.URL(), Client: replica.DefaultClient, Name: "web-1", Breaker: tierName, Policy: steady(state),
		})
		enter(t, fleetStore, r, state)
		calm := loaded(r, lasts, func() {})
		var storm hang
		server.Stop()
		calls := loaded(r, lasts, func() { storm.watch(t, r, lasts) })
		server.Cont()
		r.Do(replica.Request{Do: replica.Sync})
		converge(t, fleetStore, r)
		report(scenario, state, calm, calls)
		storm.report(scenario, state, r)
		account(t, scenario, fleetStore, r, state)
		r.Kill()
	}
}

// steady is a policy under which a state stays while nobody ends it.
func steady(state store.State) store.Policy {
	policy := store.Policy{ConsecutiveFailures: 5, OpenFor: time.Hour, ProbeSuccesses: 1_000_000}
	if state == store.HalfOpen {
		policy.OpenFor = time.Millisecond
	}
	return policy
}

// enter brings the fleet and the replica into a state.
func enter(t *testing.T, s *redisstore.Store, r *replica.Replica, state store.State) {
	t.Helper()
	if state == store.Closed {
		return
	}
	command(t, s, store.Command{Action: store.Trip})
	await.Until(t, fmt.Sprintf("the replica is %v", state), func() bool {
		if state == store.HalfOpen {
			r.Do(replica.Request{Do: replica.Call})
		}
		return r.Status().State == state
	})
}

// loaded is what two workers without pause met while during ran, or for so long.
func loaded(r *replica.Replica, lasts time.Duration, during func()) replica.Calls {
	r.Do(replica.Request{Do: replica.Load, Workers: 2})
	end := time.After(lasts)
	during()
	<-end
	return *r.Do(replica.Request{Do: replica.Unload}).Calls
}

// hang is what a replica said of itself while its store hung.
type hang struct {
	alone       bool
	mostPending int
	mostHeap    uint64
}

func (h *hang) watch(t *testing.T, r *replica.Replica, lasts time.Duration) {
	t.Helper()
	for end := time.Now().Add(lasts); time.Now().Before(end); pass(50 * time.Millisecond) {
		s := r.Status()
		h.alone = h.alone || s.Own && !s.StoreUp
		h.mostPending = max(h.mostPending, s.Pending)
		h.mostHeap = max(h.mostHeap, s.Heap)
	}
}

func (h *hang) report(scenario *scoreboard.Scenario, state store.State, r *replica.Replica) {
	silent := 0
	for _, said := range []bool{h.alone, heard(r, breaker.StoreLost), heard(r, breaker.StoreBack)} {
		if !said {
			silent++
		}
	}
	scenario.Zero(fmt.Sprintf("%v: not said of the outage", state), silent)
	scenario.Report(fmt.Sprintf("%v: most outcomes pending", state), h.mostPending)
	scenario.Report(fmt.Sprintf("%v: largest heap, MiB", state), h.mostHeap>>20)
}

// report holds the calls of one state to the promises.
func report(scenario *scoreboard.Scenario, state store.State, calm, storm replica.Calls) {
	name := func(s string) string { return fmt.Sprintf("%v: %s", state, s) }
	scenario.Report(name("calls without and with the fault"), fmt.Sprintf("%d, %d", calm.Made, storm.Made))
	scenario.Zero(name("errors to calls"), int(calm.Broken+storm.Broken))
	switch state {
	case store.Closed:
		scenario.Zero(name("calls refused"), int(storm.Refused))
	case store.Open:
		scenario.Zero(name("calls admitted"), int(storm.Admitted))
	case store.HalfOpen:
		scenario.AtLeast(name("probes of the own verdict"), int(storm.Probes), 1)
		scenario.Report(name("calls delayed by more than 1 ms"), fmt.Sprintf("%d, %d", calm.Delayed, storm.Delayed))
	}
	scenario.Report(name("largest delay without the fault"), calm.MostDelay)
	scenario.Within(name("largest delay"), storm.MostDelay, 100*time.Millisecond)
	scenario.Within(name("largest delay beside that without the fault"), storm.MostDelay, 2*calm.MostDelay)
	scenario.Report(name("ratio of largest delays"), fmt.Sprintf("%.2f", float64(storm.MostDelay)/float64(max(calm.MostDelay, 1))))
}

// account compares what the replica called with what the store counted, after the heal.
func account(t *testing.T, scenario *scoreboard.Scenario, s store.Store, r *replica.Replica, state store.State) {
	t.Helper()
	replica, now := r.Status(), truth(t, s)
	known := now.Totals.Calls + now.Totals.Ignored + now.Totals.Late
	scenario.Zero(fmt.Sprintf("%v: outcomes lost and not said so", state), missing(replica.Totals.Calls, known+replica.Lost))
	scenario.Zero(fmt.Sprintf("%v: outcomes counted twice", state), missing(known, replica.Totals.Calls))
}
