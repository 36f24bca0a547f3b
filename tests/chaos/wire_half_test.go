package chaos

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/chaos/respfault"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
	"github.com/commontrip/commontrip/tests/redistest"
)

// lively trips on a failing tier and comes back at once.
var lively = store.Policy{ConsecutiveFailures: 5, OpenFor: 50 * time.Millisecond, Probes: 2, ProbeSuccesses: 2, ProbeLease: time.Second}

// halves counts the transitions of the history that do not follow from one another, or that the state does not follow
// from: of a script that was applied in part.
func (h *harness) halves() (n int) {
	h.t.Helper()
	for _, name := range h.names {
		history, err := h.truth.History(h.t.Context(), name, 50)
		if err != nil {
			h.t.Fatal(err)
		}
		s := h.read(name)
		for i, entry := range history {
			if i == 0 && (entry.Generation != s.Generation || entry.To != s.State) ||
				i > 0 && (entry.Generation != history[i-1].Prev || entry.To != history[i-1].From) {
				n++
				h.t.Logf("%s: entry %d of %+v does not follow", name, i, history)
			}
		}
	}
	return n
}

// swing lets the tier fail and come back, n times, and counts the transitions that this made.
func (h *harness) swing(n int) (made int) {
	h.t.Helper()
	generations := func() (sum uint64) {
		for _, name := range h.names {
			sum += h.read(name).Generation
		}
		return sum
	}
	closed := func() bool {
		for _, name := range h.names {
			if h.read(name).State != store.Closed {
				return false
			}
		}
		return true
	}
	h.eventually("all are closed", closed)
	for range n {
		for _, down := range []bool{true, false} {
			before := generations()
			h.fail(down)
			h.eventually("a transition", func() bool { return generations() != before })
			made++
		}
		h.eventually("all close", closed) // else the next round would take that for a trip, and mend the tier too early
	}
	return made
}

// Scripts are killed, run out of memory, and lose their replies, while the tier fails and comes back.
func TestScenario25ScriptsAreCutOff(t *testing.T) {
	scenario := scoreboard.Start(t, 25, "half-applied script: killed, out of memory, reply lost")
	h := newHarness(t, scenario, plan{server: redistest.Start(t, "--busy-reply-threshold", "1"), replicas: 3, names: names(2), policy: lively})
	h.load(5 * time.Millisecond)
	ctx, stop := context.WithCancel(t.Context())
	var hurting sync.WaitGroup
	hurt := func(every time.Duration, fn func()) {
		hurting.Go(func() {
			for ctx.Err() == nil {
				fn()
				select {
				case <-time.After(every):
				case <-ctx.Done():
				}
			}
		})
	}
	killer, squeezer := redisClient(t, h.server), redisClient(t, h.server)
	hurt(2*time.Millisecond, func() { _ = killer.ScriptKill(ctx).Err() })
	hurt(300*time.Millisecond, func() {
		_ = squeezer.ConfigSet(ctx, "maxmemory", "1").Err()
		pass(100 * time.Millisecond)
		_ = squeezer.ConfigSet(context.Background(), "maxmemory", "0").Err()
	})
	rng := scenario.Rand()
	for _, r := range h.fleet {
		own := rand.New(rand.NewPCG(rng.Uint64(), 1))
		for _, verb := range []respfault.Verb{respfault.Sync, respfault.Claim, respfault.Settle} {
			r.proxy.On(verb, respfault.Rule{Act: respfault.CutAfter, Only: func(respfault.Request) bool { return own.IntN(8) == 0 }})
		}
	}
	made := h.swing(scoreboard.Pick(scenario, 3, 30))
	stop()
	hurting.Wait()
	cut := 0
	for _, r := range h.fleet {
		cut += r.proxy.Acted(respfault.Any)
	}
	h.heal()
	scenario.Within("converged", h.converge(), 2*refresh)
	scenario.Zero("half-applied transitions", h.halves())
	twice, _ := h.counted()
	scenario.Zero("outcomes counted twice", twice)
	scenario.AtLeast("replies lost", cut, 5)
	scenario.AtLeast("transitions", made, 6)
	scenario.Report("scripts refused for want of memory", h.infoInt("stats", "total_error_replies"))
	h.promised()
}

// The replicas' user has no right to the channel: transitions are whole, every push is denied, and the refresh carries
// them.
func TestScenario25PushesAreDenied(t *testing.T) {
	scenario := scoreboard.Start(t, 25, "half-applied script: no right to the channel")
	server := redistest.Start(t)
	if got, err := server.Command("ACL", "SETUSER", "fleet", "on", ">secret", "~commontrip:*", "resetchannels", "+@all"); got != "+OK" {
		t.Fatal(got, err)
	}
	h := newHarness(t, scenario, plan{server: server, replicas: 3, names: names(2), policy: lively, user: "fleet:secret@"})
	h.load(5 * time.Millisecond)
	made := h.swing(scoreboard.Pick(scenario, 2, 20))
	scenario.Within("converged", h.converge(), 2*refresh)
	denied, failed := 0, 0
	for _, r := range h.fleet {
		denied += int(r.store.Pushes().Denied)
		failed += int(r.Manager.Status().ExchangeErrors)
	}
	scenario.Zero("half-applied transitions", h.halves())
	twice, _ := h.counted()
	scenario.Zero("outcomes counted twice", twice)
	scenario.AtLeast("transitions", made, 4)
	scenario.AtLeast("pushes denied, and said so", denied, made)
	scenario.Report("failed exchanges", failed)
	h.promised()
}
