package machine

import (
	"fmt"
	"testing"
	"time"

	"github.com/commontrip/commontrip/store"
	"pgregory.net/rapid"
)

// drawPolicy draws small policies, so that rules, windows and backoffs meet within a short history.
func drawPolicy(t *rapid.T) store.Policy {
	p := store.Policy{
		ConsecutiveFailures: rapid.IntRange(0, 6).Draw(t, "streak"),
		ConsecutiveFor:      time.Duration(rapid.IntRange(0, 2).Draw(t, "streakFor")) * time.Second,
		FailureRate:         float64(rapid.IntRange(0, 10).Draw(t, "rate")) / 10,
		SlowCallRate:        float64(rapid.IntRange(0, 10).Draw(t, "slowRate")) / 10,
		SlowCallAfter:       time.Second,
		MinCalls:            rapid.IntRange(1, 5).Draw(t, "minCalls"),
		Reporters:           rapid.IntRange(1, 3).Draw(t, "reporters"),
		OpenFor:             time.Duration(rapid.IntRange(1, 5).Draw(t, "openFor")) * time.Second,
		Probes:              rapid.IntRange(1, 3).Draw(t, "probes"),
		ProbeSuccesses:      rapid.IntRange(1, 4).Draw(t, "successes"),
		ProbeLease:          time.Duration(rapid.IntRange(1, 9).Draw(t, "lease")) * time.Second,
	}
	p.OpenForMax = p.OpenFor * time.Duration(rapid.IntRange(1, 9).Draw(t, "openForMax"))
	if rapid.Bool().Draw(t, "time") {
		p.WindowTime = time.Duration(rapid.IntRange(1, 4).Draw(t, "windowTime")) * time.Second
	} else {
		p.WindowCalls = rapid.IntRange(5, 12).Draw(t, "windowCalls")
	}
	return p
}

func drawRuns(t *rapid.T) []store.Run {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) store.Run {
		return store.Run{
			Outcome: rapid.SampledFrom([]store.Outcome{success, failure, failure, ignored}).Draw(t, "outcome"),
			Slow:    rapid.Bool().Draw(t, "slow"),
			Count:   rapid.SampledFrom([]int{1, 1, 2, 3, 13, 30}).Draw(t, "count"),
			Age:     time.Duration(rapid.IntRange(0, 3500).Draw(t, "age")) * time.Millisecond,
			Label:   rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "label"),
		}
	}), 0, 5).Draw(t, "runs")
}

func drawReplica(t *rapid.T) string {
	return rapid.SampledFrom([]string{"web-1", "web-2", "web-3"}).Draw(t, "replica")
}

func drawCommand(t *rapid.T) store.Command {
	c := store.Command{Action: store.Action(rapid.IntRange(1, 7).Draw(t, "action"))}
	switch c.Action {
	case store.ForceOpen, store.ForceClosed, store.Retune, store.Trip:
		c.For = time.Duration(rapid.IntRange(0, 3).Draw(t, "for")) * time.Second
	}
	if c.Action == store.Retune {
		c.Policy = drawPolicy(t)
	}
	return c
}

// verbs are random requests to a rig; leases are those it has been granted.
func verbs(r *rig, leases *[]store.Lease, each func(*rapid.T)) map[string]func(*rapid.T) {
	claims := 0
	return map[string]func(*rapid.T){
		"report": func(t *rapid.T) { r.report(drawReplica(t), drawRuns(t)...) },
		"again": func(t *rapid.T) {
			report := r.blank(drawReplica(t))
			report.Seq, report.Runs = 0, drawRuns(t)
			r.send(report)
		},
		"announce": func(t *rapid.T) {
			report := r.blank(drawReplica(t))
			report.Announce, report.Policy = true, drawPolicy(t)
			r.send(report)
		},
		"repair": func(t *rapid.T) {
			report := r.blank(drawReplica(t))
			report.Known = store.Known{
				Generation: r.m.generation + uint64(rapid.IntRange(0, 3).Draw(t, "generation")),
				Rev:        r.m.rev + uint64(rapid.IntRange(0, 3).Draw(t, "rev")),
				State:      store.State(rapid.IntRange(0, 2).Draw(t, "state")),
				RetryIn:    time.Duration(rapid.IntRange(0, 9).Draw(t, "retryIn")) * time.Second,
				Mode:       store.Mode(rapid.IntRange(0, 2).Draw(t, "mode")), ModeNote: store.Note{By: "oncall"},
			}
			r.send(report)
		},
		"claim": func(t *rapid.T) {
			claims++
			grant := r.claim(drawReplica(t), fmt.Sprint("c", claims), rapid.IntRange(1, 4).Draw(t, "want"))
			*leases = append(*leases, grant.Leases...)
		},
		"settle": func(t *rapid.T) {
			if len(*leases) == 0 {
				t.Skip("no lease")
			}
			l := rapid.SampledFrom(*leases).Draw(t, "lease")
			r.settle(drawReplica(t), l, store.Outcome(rapid.IntRange(1, 3).Draw(t, "outcome")))
		},
		"command": func(t *rapid.T) {
			_, _ = r.try(drawCommand(t))
		},
		"remove": func(t *rapid.T) {
			if rapid.IntRange(0, 9).Draw(t, "rarely") == 0 {
				r.m.Remove(r.now)
			}
		},
		"wait": func(t *rapid.T) { r.now += rapid.Int64Range(0, 8000).Draw(t, "ms") },
		"step": func(t *rapid.T) { r.now += rapid.Int64Range(-40_000, 40_000).Draw(t, "ms") },
		"":     each,
	}
}

func TestNumbersOnlyGrow(t *testing.T) { rapid.Check(t, numbersOnlyGrow) }

// FuzzHistory lets the fuzzer look for histories on which a number goes back or something panics.
func FuzzHistory(f *testing.F) { f.Fuzz(rapid.MakeFuzz(numbersOnlyGrow)) }

func numbersOnlyGrow(t *rapid.T) {
	r := newRig(t, drawPolicy(t))
	var leases []store.Lease
	var generation, rev uint64
	var at int64
	t.Repeat(verbs(r, &leases, func(t *rapid.T) {
		if r.m.generation < generation || r.m.rev < rev || r.m.at < at {
			t.Fatalf("went back: generation %d -> %d, rev %d -> %d, time %d -> %d",
				generation, r.m.generation, rev, r.m.rev, at, r.m.at)
		}
		generation, rev, at = r.m.generation, r.m.rev, r.m.at
	}))
}

func TestOneStateAGeneration(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := newRig(rt, drawPolicy(rt))
		var leases []store.Lease
		states := map[uint64]store.State{}
		rt.Repeat(verbs(r, &leases, func(rt *rapid.T) {
			if state, ok := states[r.m.generation]; ok && state != r.m.state {
				rt.Fatalf("generation %d was %v and is %v", r.m.generation, state, r.m.state)
			}
			states[r.m.generation] = r.m.state
		}))
	})
}

func TestNeverMoreLeasesThanProbesWhenGranted(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := newRig(rt, drawPolicy(rt))
		var leases []store.Lease
		steps := verbs(r, &leases, func(*rapid.T) {})
		claims := 0
		steps["claim"] = func(rt *rapid.T) {
			claims++
			grant := r.claim(drawReplica(rt), fmt.Sprint("c", claims), rapid.IntRange(1, 9).Draw(rt, "want"))
			leases = append(leases, grant.Leases...)
			if len(grant.Leases) > 0 && grant.Snapshot.Probing > grant.Snapshot.Policy.Probes {
				rt.Fatalf("%d leases live, %d are allowed", grant.Snapshot.Probing, grant.Snapshot.Policy.Probes)
			}
			if len(grant.Leases) == 0 && grant.Snapshot.State != store.Closed && grant.Snapshot.Mode != store.ForcedClosed && grant.RetryIn <= 0 {
				rt.Fatalf("refused without a time to ask again: %+v", grant)
			}
		}
		rt.Repeat(steps)
	})
}

func TestASuccessThatIsNotSlowNeverTrips(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := newRig(rt, drawPolicy(rt))
		var leases []store.Lease
		steps := verbs(r, &leases, func(*rapid.T) {})
		steps["good"] = func(rt *rapid.T) {
			made := r.report(drawReplica(rt), run(success, rapid.IntRange(1, 30).Draw(rt, "n")), run(ignored, 1)).Made
			if made != nil && made.To == store.Open && made.From != store.Open {
				rt.Fatalf("it tripped: %+v", made)
			}
		}
		rt.Repeat(steps)
	})
}

// TestCuttingAReportChangesNothing: at one time, a report of n outcomes, n reports of one each, and either sent again
// give the same breaker.
func TestCuttingAReportChangesNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		policy := drawPolicy(rt)
		whole, cut := newRig(rt, policy), newRig(rt, policy)
		rt.Repeat(map[string]func(*rapid.T){
			"report": func(rt *rapid.T) {
				replica, runs := drawReplica(rt), drawRuns(rt)
				generation := whole.m.generation
				whole.report(replica, runs...)
				if len(runs) == 0 {
					cut.report(replica)
				}
				for _, one := range runs {
					n := one.Count
					for one.Count = 1; n > 0; n-- {
						report := cut.blank(replica)
						report.Generation, report.Runs = generation, []store.Run{one}
						cut.send(report)
						if n%3 == 0 {
							cut.send(report)
						}
					}
				}
			},
			"command": func(rt *rapid.T) {
				c := drawCommand(rt)
				_, _ = whole.try(c)
				_, _ = cut.try(c)
			},
			"claim": func(rt *rapid.T) {
				replica := drawReplica(rt)
				id := fmt.Sprint(whole.now, replica)
				cut.claim(replica, id, 2)
				for _, l := range whole.claim(replica, id, 2).Leases {
					o := store.Outcome(rapid.IntRange(1, 3).Draw(rt, "outcome"))
					whole.settle(replica, l, o)
					cut.settle(replica, l, o)
				}
			},
			"wait": func(rt *rapid.T) {
				whole.now += rapid.Int64Range(0, 4000).Draw(rt, "ms")
				cut.now = whole.now
			},
			"": func(rt *rapid.T) {
				if a, b := everything(whole), everything(cut); a != b {
					rt.Fatalf("whole: %s\ncut:   %s", a, b)
				}
			},
		})
	})
}

func everything(r *rig) string {
	snapshot, ok := r.m.Snapshot(r.now, "tier")
	return fmt.Sprintf("%+v %v %+v %+v", snapshot, ok, r.m.Roster(r.now), r.history())
}

// TestMemoryIsBounded: whatever comes, no list grows beyond its bound.
func TestMemoryIsBounded(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := newRig(rt, drawPolicy(rt))
		var leases []store.Lease
		rt.Repeat(verbs(r, &leases, func(rt *rapid.T) {
			m := &r.m
			check := func(what string, n, limit int) {
				if n > limit {
					rt.Fatalf("%s: %d, at most %d", what, n, limit)
				}
			}
			check("history", m.history.len(), 50)
			if m.labels != nil {
				check("labels", len(m.labels.newest), 32)
			}
			if m.window != nil {
				check("witnesses", max(len(m.window.failing), len(m.window.slow), len(m.window.streaks)), 16)
			}
			if m.probes != nil {
				check("bans", len(m.probes.failed), 3)
				check("leases", len(m.probes.leases), 3)
			}
			check("written", int(m.written), 5)
		}))
	})
}
