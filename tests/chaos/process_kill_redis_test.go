package chaos

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/chaos/replica"
	"github.com/commontrip/commontrip/tests/chaos/respfault"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
	"github.com/commontrip/commontrip/tests/fleet"
	"github.com/commontrip/commontrip/tests/redistest"
)

// restart is how a Redis that was killed comes back.
type restart string

const (
	empty   restart = "empty"
	withAOF restart = "with its AOF"
	later   restart = "empty, after StaleAfter"
)

// Redis is killed at each point of each verb, under a fleet that holds an open or half-open breaker, and comes back empty, with
// what it had written, or late. No call fails by that or waits for it, no view and no store goes back, and what a live
// replica knows is not forgotten.
func TestScenario07RedisIsKilledAtEveryVerb(t *testing.T) {
	scenario := scoreboard.Start(t, 7, "kill -9 of Redis at every verb")
	var all outage
	var mu sync.Mutex
	restarts := []restart{empty, withAOF, later}
	points := cutPoints(respfault.Arrived, respfault.Executed)
	t.Run("at", func(t *testing.T) {
		for i, point := range points {
			for j, how := range restarts {
				if !scenario.Full() && (i+j+int(scenario.Seed()))%len(restarts) != 0 {
					continue
				}
				t.Run(fmt.Sprintf("%v, back %s", point, how), func(t *testing.T) {
					t.Parallel()
					one := killRedis(t, point, how)
					mu.Lock()
					defer mu.Unlock()
					all.add(one)
				})
			}
		}
	})
	scenario.AtLeast("cut points", all.points, scoreboard.Pick(scenario, 1, len(restarts))*len(points))
	scenario.Report("calls", all.calls)
	scenario.Zero("calls failed by us", all.broken)
	scenario.Zero("calls admitted by an open breaker", all.admitted)
	scenario.Zero("generations that went back", all.back)
	scenario.Zero("trips forgotten", all.forgotten)
	scenario.Within("largest delay of a call", all.longest, 100*time.Millisecond)
	scenario.Within("longest until store and replicas were one again", all.healed, 5*time.Second)
}

// outage is what cut points came to.
type outage struct {
	points, calls, broken, admitted, back, forgotten int
	longest, healed                                  time.Duration
}

func (o *outage) add(p outage) {
	o.points += p.points
	o.calls += p.calls
	o.broken += p.broken
	o.admitted += p.admitted
	o.back += p.back
	o.forgotten += p.forgotten
	o.longest = max(o.longest, p.longest)
	o.healed = max(o.healed, p.healed)
}

func killRedis(t *testing.T, point cutPoint, how restart) outage {
	var args []string
	if how == withAOF {
		args = []string{"--appendonly", "yes", "--appendfsync", "always"}
	}
	server := redistest.Start(t, args...)
	loadScripts(t, server)
	proxy := respfault.Start(t, server.Addr())
	// Of an open breaker no call may go through; of a half-open one probes do, and none of them closes it.
	probed := point.verb == respfault.Claim || point.verb == respfault.Settle
	policy := store.Policy{ConsecutiveFailures: 3, OpenFor: time.Hour, Probes: 1, ProbeSuccesses: 1_000_000, ProbeLease: time.Second}
	if probed {
		policy.OpenFor = 50 * time.Millisecond
	}
	timing := breaker.Timing{RefreshInterval: 100 * time.Millisecond, StaleAfter: 1500 * time.Millisecond}
	f := fleet.New(t, 2, func(int) (store.Store, error) { return redisstore.Open(proxy.URL()) }, func(int) []breaker.ManagerOption {
		return []breaker.ManagerOption{breaker.WithTiming(timing)}
	})
	tier := f.Register(tierName, policy)
	asked := operator(t, proxy.URL(), redisstore.WithTimeout(time.Second)) // this one is attacked, too
	trip(t, asked, tierName)
	fleet.All(t, "the trip is known", f.Replicas, tierName, func(s breaker.Status) bool { return s.State != store.Closed })

	rest := fleet.Work(f.Replicas, time.Millisecond, tierName)
	defer rest()
	var once sync.Once
	killed := make(chan struct{})
	proxy.On(point.verb, point.rule(func() { once.Do(func() { server.Kill(); close(killed) }) }))
	ask(t, asked, proxy, point)
	waiting, cancel := await.WithTimeout(t.Context(), replica.Deadline)
	defer cancel()
	select {
	case <-killed:
	case <-waiting.Done():
		t.Fatalf("nobody came to %v", point)
	}
	proxy.Heal()
	if how == later {
		pass(2 * timing.StaleAfter)
	}
	known := uint64(0)
	for _, r := range f.Replicas {
		known = max(known, r.Breaker(tierName).Status().Fleet.Generation)
	}
	server.Restart()
	back := time.Now()
	await.Until(t, "store and replicas are one", func() bool {
		now, err := asked.Read(context.Background(), tierName)
		if err != nil || len(now) != 1 {
			return false
		}
		for _, r := range f.Replicas {
			if s := r.Breaker(tierName).Status(); s.Fleet.Generation != now[0].Generation || s.Verdict != breaker.Fleet && !probed {
				return false
			}
		}
		return true
	})
	healed := time.Since(back)
	t.Logf("one again %v after Redis was back", healed)
	rest()
	toll := f.Toll()
	o := outage{
		points: 1, calls: toll.Calls, broken: toll.Failed, admitted: tier.Count().Calls, back: toll.Back, longest: toll.Longest, healed: healed,
	}
	removed := point.verb == respfault.Remove && point.executed()
	if probed || removed {
		o.admitted = 0 // they were probes, or the breaker was a new one
	}
	after := truth(t, asked)
	if after.Generation < known {
		o.back++
	}
	if after.State == store.Closed && !removed {
		o.forgotten++
	}
	return o
}

// ask makes the point's verb come, once or again and again, from the fleet or beside it.
func ask(t *testing.T, s *redisstore.Store, proxy *respfault.Proxy, point cutPoint) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	t.Cleanup(cancel)
	var err error
	switch point.verb {
	case respfault.Command:
		_, err = s.Command(ctx, store.Command{Name: tierName, Action: store.Trip, By: "test"})
	case respfault.Remove:
		err = s.Remove(ctx, tierName)
	case respfault.Read:
		_, err = s.Read(ctx, tierName)
	case respfault.History:
		_, err = s.History(ctx, tierName, 0)
	case respfault.Roster:
		_, err = s.Roster(ctx, tierName)
	case respfault.Watch:
		proxy.Sever(respfault.Close)
		return
	default: // the replicas' own, which come by themselves
		return
	}
	if err == nil {
		t.Errorf("%v: no error, though Redis was killed", point)
	}
}
