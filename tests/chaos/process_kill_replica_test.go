package chaos

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/scripts/lua"
	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/chaos/replica"
	"github.com/commontrip/commontrip/tests/chaos/respfault"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
	"github.com/commontrip/commontrip/tests/redistest"
)

// cutPoint is one moment at which a process is killed: while a verb of a replica's is on its way.
type cutPoint struct {
	verb  respfault.Verb
	close bool // the verb is that of a Close
	at    respfault.Point
}

func (c cutPoint) String() string {
	s := string(c.verb)
	if c.close {
		s += " of Close"
	}
	return s + " " + map[respfault.Point]string{
		respfault.Arrived: "not forwarded", respfault.Executed: "executed, reply dropped", respfault.Answered: "executed twice, answered",
	}[c.at]
}

// rule lets requests come as far as the point, and calls kill there. A client may give up a connection before its request
// has come so far; then it is the next one that does.
func (c cutPoint) rule(kill func()) respfault.Rule {
	act := map[respfault.Point]respfault.Act{
		respfault.Arrived: respfault.CutBefore, respfault.Executed: respfault.CutAfter, respfault.Answered: respfault.Twice,
	}[c.at]
	if c.verb == respfault.Watch && c.at == respfault.Answered {
		act = respfault.Pass // one subscription a connection
	}
	return respfault.Rule{Act: act, Hook: func(_ respfault.Request, at respfault.Point) {
		if at == c.at {
			kill()
		}
	}}
}

// executed reports that the server carried it out.
func (c cutPoint) executed() bool { return c.at != respfault.Arrived }

// loadScripts makes the server know every script, so that the first request of a verb is no question whether it does.
func loadScripts(t *testing.T, server *redistest.Server) {
	t.Helper()
	for _, script := range lua.All() {
		if _, err := server.Text("SCRIPT", "LOAD", script.Source); err != nil {
			t.Fatal(err)
		}
	}
}

func cutPoints(points ...respfault.Point) (all []cutPoint) {
	for _, at := range points {
		for _, verb := range respfault.Verbs() {
			all = append(all, cutPoint{verb: verb, at: at})
		}
	}
	return all
}

// A replica is killed at each point of each of its verbs. The store stays whole: what was reported stays counted, once;
// leases come back after their time, and the survivor goes on.
func TestScenario06AReplicaIsKilledAtEveryVerb(t *testing.T) {
	scenario := scoreboard.Start(t, 6, "kill -9 of a replica at every verb")
	server := redistest.Start(t)
	loadScripts(t, server)
	points := cutPoints(respfault.Arrived, respfault.Executed, respfault.Answered)
	for _, at := range []respfault.Point{respfault.Arrived, respfault.Executed, respfault.Answered} {
		points = append(points, cutPoint{verb: respfault.Sync, close: true, at: at})
	}
	var all killed
	var mu sync.Mutex
	rounds := scoreboard.Pick(scenario, 1, 3)
	t.Run("at", func(t *testing.T) {
		for round := range rounds {
			for _, point := range points {
				t.Run(point.String(), func(t *testing.T) {
					t.Parallel()
					one := killReplica(t, server, fmt.Sprintf("%v %d", point, round), point)
					mu.Lock()
					defer mu.Unlock()
					all.add(one)
				})
			}
		}
	})
	scenario.AtLeast("cut points", all.points, max(24, len(points)*rounds))
	scenario.Zero("outcomes lost that were reported", all.lost)
	scenario.Zero("outcomes counted twice", all.doubled)
	scenario.Report("outcomes of its own that a killed replica took with it", all.own)
	scenario.Zero("commands half done", all.half)
	scenario.Zero("generations that went back", all.back)
	scenario.AtLeast("leases held by killed replicas", all.leases, 1)
	scenario.Within("longest until such a lease is free", all.longest, killLease+time.Second)
}

// killed is what cut points came to.
type killed struct {
	points, lost, doubled, own, half, back, leases int
	longest                                        time.Duration // until a lease of a killed replica was free
}

func (k *killed) add(o killed) {
	k.points += o.points
	k.lost += o.lost
	k.doubled += o.doubled
	k.own += o.own
	k.half += o.half
	k.back += o.back
	k.leases += o.leases
	k.longest = max(k.longest, o.longest)
}

const killLease = time.Second

func killPolicy() store.Policy {
	return store.Policy{ConsecutiveFailures: 3, OpenFor: 100 * time.Millisecond, Probes: 1, ProbeSuccesses: 1, ProbeLease: killLease}
}

func killReplica(t *testing.T, server *redistest.Server, name string, point cutPoint) killed {
	fleet := operator(t, server.URL())
	survivor := join(t, server.URL(), "survivor", name, breaker.WithPolicy(killPolicy()))
	proxy := respfault.Start(t, server.Addr())
	victim := replica.Start(t, replica.Config{
		URL: proxy.URL(), Name: "victim", Breaker: name, Policy: killPolicy(),
		Timing: breaker.Timing{RefreshInterval: 100 * time.Millisecond},
	})
	const reported, last = 5, 3
	victim.Do(replica.Request{Do: replica.Call, N: reported})
	victim.Do(replica.Request{Do: replica.Sync})
	if point.verb == respfault.Claim || point.verb == respfault.Settle {
		trip(t, fleet, name)
	}
	before := truthOf(t, fleet, name)
	proxy.On(point.verb, point.rule(victim.Kill))
	provoke(victim, proxy, point, last)
	waiting, cancel := await.WithTimeout(t.Context(), replica.Deadline)
	defer cancel()
	select {
	case <-victim.Ended():
	case <-waiting.Done():
		t.Fatalf("the victim never came to %v", point)
	}
	died := time.Now()

	k := killed{points: 1}
	if point.verb != respfault.Remove {
		known := countedOf(t, fleet, name, victim.Name())
		k.lost = missing(reported, known)
		k.doubled = missing(known, reported+last)
		if point.verb == respfault.Sync {
			k.own = missing(reported+last, known)
		}
	}
	if point.verb == respfault.Command && (truthOf(t, fleet, name).State == store.Closed) == point.executed() {
		k.half = 1
	}
	// Whatever stands open, the survivor's own call closes it; it may have to wait for the end of the victim's lease.
	await.Until(t, "the survivor calls, and holds what the store holds", func() bool {
		if survivor.Run(t.Context(), func(context.Context) error { return nil }) != nil {
			return false
		}
		now, held := truthOf(t, fleet, name), survivor.Status().Fleet
		return now.Generation == held.Generation && now.Rev == held.Rev && now.State == store.Closed
	})
	if point.verb == respfault.Claim && point.executed() || point.verb == respfault.Settle && !point.executed() {
		k.leases, k.longest = 1, time.Since(died)
	}
	if truthOf(t, fleet, name).Generation < before.Generation {
		k.back = 1
	}
	return k
}

// trip opens a breaker by an operator's command, as soon as the store knows it.
func trip(t testing.TB, s *redisstore.Store, name string) {
	t.Helper()
	await.Until(t, "the trip is carried out", func() bool {
		_, err := s.Command(context.Background(), store.Command{Name: name, Action: store.Trip, By: "test"})
		return err == nil
	})
}

// provoke makes the victim send the point's verb, and does not wait for what comes of it.
func provoke(victim *replica.Replica, proxy *respfault.Proxy, point cutPoint, calls int) {
	request := replica.Request{}
	switch point.verb {
	case respfault.Sync:
		victim.Send(replica.Request{Do: replica.Call, N: calls})
		if !point.close {
			return
		}
		request.Do = replica.Close
	case respfault.Claim, respfault.Settle:
		request = replica.Request{Do: replica.Load, Every: 10 * time.Millisecond} // until the open state's time is over
	case respfault.Command:
		request = replica.Request{Do: replica.Command, Command: &store.Command{Action: store.Trip, For: time.Second, By: "victim"}}
	case respfault.Remove:
		request.Do = replica.Remove
	case respfault.Read:
		request.Do = replica.Snapshot
	case respfault.History:
		request.Do = replica.History
	case respfault.Roster:
		request.Do = replica.Roster
	case respfault.Watch:
		proxy.Sever(respfault.Close)
		return
	case respfault.Versions: // comes by itself, while the breaker is in use
		return
	}
	victim.Send(request)
}
