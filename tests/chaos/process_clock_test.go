package chaos

import (
	"fmt"
	"slices"
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

const year = 365 * 24 * time.Hour

// One story is played twice by a fleet of processes: with right clocks, and while the wall clocks of half of them jump by
// hours and years every tenth of a second. The fleet's verdicts are the same.
func TestScenario13TheClocksOfHalfTheReplicasJump(t *testing.T) {
	scenario := scoreboard.Start(t, 13, "replica clocks jump")
	rounds := scoreboard.Pick(scenario, 1, 10)
	right := tell(t, rounds, false)
	jumped := tell(t, rounds, true)
	differences := 0
	for i := range max(len(right.verdicts), len(jumped.verdicts)) {
		a, b := at(right.verdicts, i), at(jumped.verdicts, i)
		if a != b {
			differences++
			t.Logf("verdict %d: %q with right clocks, %q with jumps", i, a, b)
		}
	}
	scenario.AtLeast("verdicts", len(right.verdicts), 10*rounds)
	scenario.Zero("differences", differences)
	scenario.Zero("views that went back", right.back+jumped.back)
	scenario.Zero("calls admitted by an open breaker", right.admitted+jumped.admitted)
	scenario.Zero("errors to calls", right.broken+jumped.broken)
	scenario.Report("calls with right clocks, with jumps", fmt.Sprintf("%d, %d", right.calls, jumped.calls))
	scenario.Report("outcomes discarded as too old with right clocks, with jumps", fmt.Sprintf("%d, %d", right.lost, jumped.lost))
	scenario.Report("times that a replica took its store for lost, with right clocks, with jumps", fmt.Sprintf("%d, %d", right.losses, jumped.losses))
}

func at(verdicts []string, i int) string {
	if i >= len(verdicts) {
		return ""
	}
	return verdicts[i]
}

// story is what a fleet made of one story.
type story struct {
	verdicts                                    []string
	back, admitted, broken, calls, lost, losses int
}

// teller plays the story with a fleet.
type teller struct {
	t     *testing.T
	s     *redisstore.Store
	fleet []*replica.Replica
	told  uint64 // generation and rev of the last verdict
	story
}

func tell(t *testing.T, rounds int, jumps bool) story {
	t.Helper()
	server := redistest.Start(t)
	config := replica.Config{URL: server.URL(), Breaker: tierName, Policy: store.Policy{
		ConsecutiveFailures: 5, OpenFor: 300 * time.Millisecond, Probes: 1, ProbeSuccesses: 2,
	}, Timing: breaker.Timing{StartTimeout: replica.Deadline}}
	w := teller{t: t, s: operator(t, server.URL())}
	for i := range 4 {
		config.Name = fmt.Sprintf("web-%d", i)
		r := replica.LaunchSkewed(t, config)
		r.Ready()
		if jumps && i%2 == 0 {
			r.Do(replica.Request{Do: replica.Skew, Every: 100 * time.Millisecond, Jumps: []time.Duration{
				time.Hour, -time.Hour, 10 * year, -10 * year, 0,
			}})
		}
		w.fleet = append(w.fleet, r)
	}
	for range rounds {
		w.round()
	}
	for _, r := range w.fleet {
		r.Do(replica.Request{Do: replica.Skew})
	}
	converge(t, w.s, w.fleet...)
	w.close()
	return w.story
}

// round brings the fleet through all states, by calls and by commands.
func (w *teller) round() {
	for _, r := range w.fleet {
		w.call(r, 5, false)
	}
	w.until(store.Open, true) // the tier is dead
	w.until(store.Closed, false)
	w.order(store.Command{Action: store.Trip, For: 300 * time.Millisecond})
	w.until(store.HalfOpen, true) // a probe fails
	w.until(store.Closed, false)
	w.order(store.Command{Action: store.ForceOpen})
	w.refuse()
	w.order(store.Command{Action: store.Lift})
	w.until(store.Closed, false)
	history, err := w.s.History(w.t.Context(), tierName, 50)
	if err != nil {
		w.t.Fatal(err)
	}
	slices.Reverse(history)
	for _, h := range history {
		if h.Generation+h.Rev <= w.told {
			continue // of an earlier round
		}
		w.told = h.Generation + h.Rev
		w.verdicts = append(w.verdicts, fmt.Sprintf("%v to %v, %v, %v, %v", h.From, h.To, h.Mode, h.Reason, h.Action))
	}
	w.order(store.Command{Action: store.Reset})
}

func (w *teller) order(c store.Command) {
	w.t.Helper()
	command(w.t, w.s, c)
	converge(w.t, w.s, w.fleet...)
}

// until lets the replicas call in turn until the fleet is in a state, or has been: half-open, a probe has failed there.
func (w *teller) until(state store.State, fail bool) {
	w.t.Helper()
	before := truth(w.t, w.s).Openings
	await.Until(w.t, fmt.Sprintf("the fleet is %v", state), func() bool {
		for _, r := range w.fleet {
			w.call(r, 1, fail)
			now := truth(w.t, w.s)
			if state == store.HalfOpen && now.Openings > before || state != store.HalfOpen && now.State == state {
				return true
			}
		}
		return false
	})
	converge(w.t, w.s, w.fleet...)
}

// refuse calls through a breaker that is open for everybody.
func (w *teller) refuse() {
	for _, r := range w.fleet {
		w.admitted += int(w.call(r, 20, false).Admitted)
	}
}

func (w *teller) call(r *replica.Replica, n int, fail bool) replica.Calls {
	w.t.Helper()
	calls := *r.Do(replica.Request{Do: replica.Call, N: n, Fail: fail}).Calls
	r.Do(replica.Request{Do: replica.Sync})
	w.calls += int(calls.Made)
	w.broken += int(calls.Broken)
	return calls
}

// close looks at what the replicas heard and lost.
func (w *teller) close() {
	for _, r := range w.fleet {
		w.lost += int(r.Status().Lost)
		var last uint64
		for _, e := range r.Events() {
			switch {
			case e.Kind == breaker.StoreLost.String():
				w.losses++
			case e.Kind == breaker.Transitioned.String():
				if e.Transition.Generation < last {
					w.back++
				}
				last = e.Transition.Generation
			}
		}
		r.Kill()
	}
}
