package chaos

import (
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/chaos/respfault"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
)

// What was counted once is in the store's totals once: the totals of all replicas are those of the store, less what a
// replica says that it lost.
func (h *harness) counted() (twice, missing int) {
	h.t.Helper()
	h.rest()
	for _, name := range h.names {
		own, lost := 0, 0
		for _, r := range h.fleet {
			h.eventually(r.Name+" has reported everything", func() bool {
				_ = r.Manager.Sync(h.t.Context())
				return r.Breaker(name).Status().Pending == 0
			})
			st := r.Breaker(name).Status()
			own, lost = own+int(st.Totals.Calls), lost+int(st.Lost)
		}
		t := h.read(name).Totals
		held := int(t.Calls + t.Late)
		twice += max(held-own, 0)
		missing += max(own-lost-held, 0)
	}
	return twice, missing
}

// Everything comes a byte at a time, and every connection is reset again and again; replies are lost, late, and given to
// a request that ran twice.
func TestScenario20SlicesAndResets(t *testing.T) {
	scenario := scoreboard.Start(t, 20, "slices of one byte, resets, lost and doubled requests")
	h := newHarness(t, scenario, plan{replicas: 3, names: names(3), policy: calm})
	h.load(5 * time.Millisecond)
	pass(time.Second)
	calm := h.Toll().Longest
	rng, start, ever := scenario.Rand(), time.Now(), 0
	for _, r := range h.fleet {
		r.proxy.Slice(1)
		_, before := r.proxy.Connections()
		ever -= before
	}
	for range scoreboard.Pick(scenario, 12, 120) {
		for _, r := range h.fleet {
			switch rng.IntN(5) {
			case 0:
				r.proxy.Sever(respfault.Reset)
			case 1:
				r.proxy.On(respfault.Sync, respfault.Rule{Act: respfault.CutAfter, End: respfault.Reset, Times: 1})
			case 2:
				r.proxy.On(respfault.Sync, respfault.Rule{Act: respfault.CutBefore, End: respfault.Reset, Times: 1})
			case 3:
				r.proxy.On(respfault.Sync, respfault.Rule{Act: respfault.Twice, Times: 3})
			default:
				r.proxy.On(respfault.Sync, respfault.Rule{Wait: 100 * time.Millisecond, Times: 1})
			}
		}
		pass(100 * time.Millisecond)
	}
	took := time.Since(start)
	for _, r := range h.fleet {
		_, now := r.proxy.Connections()
		ever += now
	}
	h.heal()
	scenario.Within("converged", h.converge(), 2*refresh)
	twice, missing := h.counted()
	scenario.Zero("outcomes counted twice", twice)
	scenario.Zero("outcomes missing that no replica lost", missing)
	scenario.Zero("wrong verdicts", h.unasked())
	scenario.Report("largest delay of a call before", calm)
	scenario.Report("connections a second and replica", float64(ever)/took.Seconds()/float64(len(h.fleet)))
	h.promised()
}

// Each connection is reset as soon as it stands: a replica tries again at a bounded, uneven pace.
func TestScenario20AlwaysReset(t *testing.T) {
	scenario := scoreboard.Start(t, 20, "every connection is reset")
	h := newHarness(t, scenario, plan{replicas: 3, names: names(2), policy: calm})
	h.load(5 * time.Millisecond)
	h.reach(h.command(store.Command{Name: h.names[0], Action: store.Trip, For: time.Hour}))
	h.converge()
	reached, before := h.reached(h.names[0]), 0
	for _, r := range h.fleet {
		_, n := r.proxy.Connections()
		before += n
		r.proxy.On(respfault.Any, respfault.Rule{Act: respfault.CutBefore, End: respfault.Reset})
		r.proxy.Sever(respfault.Reset)
	}
	start := time.Now()
	for _, r := range h.fleet {
		h.eventually(r.Name+" stands on its own verdict", func() bool { return r.Breaker(h.names[1]).Status().Verdict == breaker.Own })
	}
	pass(scoreboard.Pick(scenario, time.Second, 20*time.Second))
	after, seconds := 0, time.Since(start).Seconds()
	for _, r := range h.fleet {
		_, n := r.proxy.Connections()
		after += n
	}
	h.heal()
	scenario.Within("converged", h.converge(), 2*refresh)
	scenario.Zero("calls through a breaker that is open", h.reached(h.names[0])-reached)
	scenario.AtMost("reconnects a second and replica", int(float64(after-before)/seconds/3), 20)
	scenario.Zero("wrong verdicts", h.unasked())
	h.promised()
}
