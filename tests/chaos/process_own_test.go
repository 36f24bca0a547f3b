package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/internal/lab/tier"
	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
)

const (
	protected = 20                    // replicas
	pace      = 20 * time.Millisecond // between the calls of each
)

// Twenty replicas call a tier that dies for minutes: with a shared verdict; with the store away, so that each stands on
// its own; and with twenty breakers that never shared anything. What reaches the dead tier is what each protection costs.
// Then the store and the tier come back, and the fleet is one again. The time is virtual, and the counts are exact.
func TestScenario10OwnVerdictBesideASharedAndTwentyLocalOnes(t *testing.T) {
	scenario := scoreboard.Start(t, 10, "own verdict, proven")
	rng, deadFor := scenario.Rand(), scoreboard.Pick(scenario, 90*time.Second, 5*time.Minute)
	var shared, own, local dead
	for range scoreboard.Pick(scenario, 1, 5) {
		shared.add(play(t, rng, deadFor, func(w *protection) { w.join(false) }))
		own.add(play(t, rng, deadFor, func(w *protection) { w.join(true) }))
		local.add(play(t, rng, deadFor, func(w *protection) { w.alone() }))
	}
	scenario.Report("tiers that died", scoreboard.Pick(scenario, 1, 5))
	scenario.Report("replicas, calls of each a second, dead for", fmt.Sprintf("%d, %d, %v", protected, time.Second/pace, deadFor))
	for _, of := range []struct {
		name string
		dead
	}{{"shared", shared}, {"store away", own}, {"20 local breakers", local}} {
		scenario.Report(of.name+": calls that reached the dead tier until the last replica refused", of.burnt)
		scenario.Report(of.name+": calls that reached the dead tier in all", of.all)
		scenario.Report(of.name+": until the last replica refused", of.found)
		scenario.Zero(of.name+": replicas that never refused", of.never)
	}
	scenario.AtMost("calls until all refused, shared, beside half of what the store's absence costs", shared.burnt, own.burnt/2)
	scenario.AtMost("calls until all refused, store away, beside 1.1 times those of local breakers", own.burnt, local.burnt*11/10)
	scenario.AtMost("calls in all, store away, beside 1.1 times those of local breakers", own.all, local.all*11/10)
	scenario.Zero("replicas of the shared verdict that ever stood alone", shared.stoodAlone)
	scenario.AtLeast("replicas that said that they stand alone, store away", own.stoodAlone, scoreboard.Pick(scenario, 1, 5)*protected)
	scenario.Within("store back: until all hold the store's view, largest", own.oneView, 2*time.Second)
	scenario.Report("store and tier back: until every replica calls again", own.again)
	scenario.Report("tier back, shared: until every replica calls again", shared.again)
	scenario.Report("tier back, 20 local breakers: until every replica calls again", local.again)
	scenario.Report("store back: calls that reached the dead tier in the minute after, store away before", own.herd)
}

// dead is what a tier's death cost.
type dead struct {
	burnt, all, never, stoodAlone, herd int
	found, oneView, again               time.Duration
}

func (d *dead) add(o dead) {
	d.burnt += o.burnt
	d.all += o.all
	d.never += o.never
	d.stoodAlone += o.stoodAlone
	d.herd += o.herd
	d.found, d.oneView, d.again = max(d.found, o.found), max(d.oneView, o.oneView), max(d.again, o.again)
}

// protection is a fleet whose tier dies.
type protection struct {
	t        *testing.T
	rng      *rand.Rand
	tier     tier.Tier
	store    *memorystore.Store // nil: none is shared
	links    []*memorystore.Link
	managers []*breaker.Manager
	breakers []*breaker.Breaker
	calling  sync.WaitGroup
}

func play(t *testing.T, rng *rand.Rand, deadFor time.Duration, join func(*protection)) (d dead) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &protection{t: t, rng: rng}
		join(w)
		d = w.play(deadFor)
	})
	return d
}

// join makes a fleet with a shared store, which is away from the tenth second on if it is told so.
func (w *protection) join(away bool) {
	w.store = memorystore.New()
	for i := range protected {
		link := memorystore.NewLink(w.store)
		link.Degrade(memorystore.Network{Delay: 200 * time.Microsecond, Jitter: 800 * time.Microsecond, Seed: w.rng.Uint64()})
		m, err := breaker.NewManager(link, breaker.WithReplica(fmt.Sprintf("web-%d", i)))
		if err != nil {
			w.t.Fatal(err)
		}
		b, err := m.Register(w.t.Context(), tierName)
		if err != nil {
			w.t.Fatal(err)
		}
		w.managers, w.breakers = append(w.managers, m), append(w.breakers, b)
		if away {
			w.links = append(w.links, link)
		}
	}
}

// alone makes as many breakers of the same policy that share nothing.
func (w *protection) alone() {
	for range protected {
		b, err := breaker.New(tierName, breaker.WithPolicy(store.FleetPolicy()))
		if err != nil {
			w.t.Fatal(err)
		}
		w.breakers = append(w.breakers, b)
	}
}

func (w *protection) play(deadFor time.Duration) (d dead) {
	ctx, stop := context.WithCancel(w.t.Context())
	for i, b := range w.breakers {
		rng := rand.New(rand.NewPCG(w.rng.Uint64(), uint64(i)))
		w.calling.Go(func() { w.call(ctx, b, rng) })
	}
	pass(10 * time.Second)
	for _, l := range w.links {
		l.Cut()
	}
	pass(10 * time.Second)
	for _, b := range w.breakers {
		if b.Status().Verdict == breaker.Own && w.store != nil {
			d.stoodAlone++
		}
	}

	w.tier.Fail(1)
	died := time.Now()
	for w.open() < len(w.breakers) && time.Since(died) < deadFor {
		pass(time.Millisecond)
	}
	d.found, d.never = time.Since(died), len(w.breakers)-w.open()
	d.burnt = len(w.tier.Ledger().Since(died))
	pass(deadFor - time.Since(died))
	d.all = len(w.tier.Ledger().Since(died))
	if len(w.links) > 0 {
		d.oneView, d.herd = w.heal()
	}

	w.tier.Fail(0)
	well := time.Now()
	for !w.everybodyCalls(well) {
		pass(50 * time.Millisecond)
	}
	d.again = time.Since(well)
	stop()
	w.calling.Wait()
	for _, m := range w.managers {
		if err := m.Close(context.Background()); err != nil {
			w.t.Error(err)
		}
	}
	return d
}

func (w *protection) call(ctx context.Context, b *breaker.Breaker, rng *rand.Rand) {
	for ctx.Err() == nil {
		_ = b.Run(ctx, func(ctx context.Context) error { return w.tier.Call(ctx, tier.Caller{Replica: fmt.Sprintf("%p", b)}) })
		select {
		case <-time.After(pace/2 + time.Duration(rng.Int64N(int64(pace)))):
		case <-ctx.Done():
		}
	}
}

// open is how many refuse.
func (w *protection) open() (n int) {
	for _, b := range w.breakers {
		if b.State() != store.Closed {
			n++
		}
	}
	return n
}

// heal lets the store be reached again, while the tier is still dead.
func (w *protection) heal() (oneView time.Duration, herd int) {
	healed := time.Now()
	for _, l := range w.links {
		l.Mend()
	}
	for !w.agree() {
		pass(time.Millisecond)
	}
	oneView = time.Since(healed)
	pass(time.Minute - oneView)
	return oneView, len(w.tier.Ledger().Since(healed))
}

// agree reports that every replica hears the store and holds its two numbers.
func (w *protection) agree() bool {
	now, err := w.store.Read(context.Background(), tierName)
	if err != nil || len(now) != 1 {
		w.t.Fatalf("Read gave %v, %v", now, err)
	}
	for i, b := range w.breakers {
		held := b.Status().Fleet
		if !w.managers[i].Status().StoreUp || held.Generation != now[0].Generation || held.Rev != now[0].Rev {
			return false
		}
	}
	return true
}

// everybodyCalls reports that each replica's breaker is closed, and that it has called since then.
func (w *protection) everybodyCalls(since time.Time) bool {
	if w.open() > 0 {
		return false
	}
	callers := map[string]bool{}
	for _, c := range w.tier.Ledger().Since(since) {
		callers[c.Replica] = true
	}
	return len(callers) == len(w.breakers)
}
