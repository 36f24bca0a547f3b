package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
)

// calm is a policy that trips by an operator's command only, as long as the tier is well.
var calm = store.Policy{ConsecutiveFailures: 3, OpenFor: time.Minute, Probes: 2, ProbeSuccesses: 1}

// pushes is a harness whose operator trips and resets, and what became known of it when.
type pushes struct {
	*harness
	behind time.Duration
	made   int
}

// transit makes n transitions, each once the one before has reached everybody.
func (p *pushes) transit(n int) {
	for i := range n {
		name := p.names[i/2%len(p.names)]
		p.behind = max(p.behind, p.reach(p.command(store.Command{Name: name, Action: []store.Action{store.Trip, store.Reset}[i%2]})))
		p.made++
	}
}

// hold holds what a fleet without pushes owes: every transition told once, in order, and none as the replica's own.
func (p *pushes) hold() {
	p.t.Helper()
	missed, twice, foreign := 0, 0, 0
	for _, name := range p.names {
		history, err := p.truth.History(p.t.Context(), name, 50)
		if err != nil {
			p.t.Fatal(err)
		}
		var want []uint64
		for _, entry := range slices.Backward(history) {
			want = append(want, entry.Generation)
		}
		for _, r := range p.fleet {
			await.Met(func() bool { return len(r.told(name)) >= len(want) })
			told := r.told(name)
			for _, g := range want {
				if !slices.Contains(told, g) {
					missed++
				}
			}
			for i, g := range told {
				if i > 0 && g <= told[i-1] {
					twice++
				}
				if !slices.Contains(want, g) {
					foreign++
				}
			}
		}
	}
	own := 0
	for _, r := range p.fleet {
		own += r.Count(tripped)
	}
	p.scenario.Report("transitions", p.made)
	p.scenario.Zero("transitions never told", missed)
	p.scenario.Zero("transitions told twice, or out of order", twice)
	p.scenario.Zero("transitions told that the store never made", foreign)
	p.scenario.Zero("own trips", own)
	p.scenario.Within("behind", p.behind, refresh+timing.WithDefaults().StaleAfter/3)
	p.promised()
}

// The server ends every subscription again and again, first by an operator's hand, then since its output buffer is too
// small for one push.
func TestScenario21SubscriptionsAreCutOff(t *testing.T) {
	scenario := scoreboard.Start(t, 21, "push dead only: subscriptions cut off")
	p := &pushes{harness: newHarness(t, scenario, plan{replicas: 3, names: names(2), policy: calm})}
	p.load(20 * time.Millisecond)

	ear, resyncs, unsaid, synced := open(t, p.server.URL()), atomic.Int64{}, atomic.Int64{}, atomic.Uint64{}
	ctx, stop := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	defer watching.Wait()
	defer stop()
	watching.Go(func() {
		_ = ear.Watch(ctx, func(e store.Event) {
			switch gaps := ear.Pushes().Gaps; {
			case e.Resync:
				resyncs.Add(1)
				synced.Store(gaps)
			case gaps > synced.Load():
				unsaid.Add(1)
			}
		})
	})

	killed := atomic.Int64{}
	killing, stopKilling := context.WithCancel(t.Context())
	watching.Go(func() {
		for killing.Err() == nil {
			if n, err := p.redis.ClientKillByFilter(killing, "TYPE", "pubsub").Result(); err == nil {
				killed.Add(n)
			}
			select {
			case <-time.After(200 * time.Millisecond):
			case <-killing.Done():
			}
		}
	})
	p.transit(scoreboard.Pick(scenario, 16, 40))
	p.eventually("subscriptions are cut off, the ear's too", func() bool { return killed.Load() >= 4 && resyncs.Load() > 1 })
	stopKilling()
	p.do("config", "set", "client-output-buffer-limit", "pubsub 1k 1k 1")
	p.transit(scoreboard.Pick(scenario, 8, 40))
	p.do("config", "set", "client-output-buffer-limit", "pubsub 32mb 8mb 60")
	scenario.Within("converged", p.converge(), 2*refresh)
	scenario.AtLeast("subscriptions cut off", int(killed.Load()), 4)
	p.eventually("a Resync after the last gap", func() bool { return synced.Load() == ear.Pushes().Gaps })
	scenario.Zero("messages after a gap without a Resync between", int(unsaid.Load()))
	scenario.Report("gaps of one subscriber", int(ear.Pushes().Gaps))
	scenario.Report("its Resyncs", int(resyncs.Load()))
	p.hold()
}

// Every replica hears something else: messages are dropped, doubled, held back behind later ones, and forged.
func TestScenario21MessagesAreDroppedDoubledReorderedForged(t *testing.T) {
	scenario := scoreboard.Start(t, 21, "push dead only: messages dropped, doubled, reordered, forged")
	p := &pushes{harness: newHarness(t, scenario, plan{replicas: 3, names: names(2), policy: calm})}
	p.load(20 * time.Millisecond)
	var mu sync.Mutex
	counts := map[string]int{}
	rng := scenario.Rand()
	for _, r := range p.fleet {
		r.proxy.Pushes(mangle(rand.New(rand.NewPCG(rng.Uint64(), 1)), func(what string) {
			mu.Lock()
			defer mu.Unlock()
			counts[what]++
		}))
	}
	p.transit(scoreboard.Pick(scenario, 30, 90))
	p.heal()
	scenario.Within("converged", p.converge(), 2*refresh)
	mu.Lock()
	for _, what := range []string{"dropped", "doubled", "held back", "forged"} {
		scenario.AtLeast("messages "+what, counts[what], 3)
	}
	mu.Unlock()
	p.hold()
}

// mangle makes one subscriber's messages wrong. What it forges is an old message, a part of one, or one with a word in it
// that no script writes: nothing that could pass for true.
func mangle(rng *rand.Rand, note func(string)) func(string) []string {
	var late, past []string
	return func(payload string) (out []string) {
		past = append(past, payload)
		switch rng.IntN(5) {
		case 0:
			note("dropped")
		case 1:
			note("doubled")
			out = []string{payload, payload}
		case 2:
			note("held back")
			late = append(late, payload)
		default:
			out = []string{payload}
		}
		if len(late) > 0 && rng.IntN(2) == 0 {
			out = append(out, late[0])
			late = late[1:]
		}
		for range rng.IntN(3) {
			note("forged")
			out = append(out, forge(rng, past))
		}
		return out
	}
}

func forge(rng *rand.Rand, past []string) string {
	message := past[rng.IntN(len(past))]
	parts := strings.Split(message, "\x01")
	switch rng.IntN(7) {
	case 0:
		return message // old
	case 1:
		return message[:rng.IntN(len(message))]
	case 2:
		parts[0] = "2" // another version's
	case 3:
		parts[1] = "another:{tier-0}"
	case 4:
		parts[1] = "commontrip:{nobody-has-it}"
	case 5:
		parts[1+rng.IntN(len(parts)-1)] = []string{"NaN", "-1", "1e999", "9007199254740992", "\x00\xff", strings.Repeat("9", 400)}[rng.IntN(6)]
	default:
		return fmt.Sprint(rng.Uint64())
	}
	return strings.Join(parts, "\x01")
}
