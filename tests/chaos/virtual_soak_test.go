package chaos

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
	redisstore "github.com/commontrip/commontrip/store/redis"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
	"github.com/commontrip/commontrip/tests/redistest"
)

// Managers come and go by the thousand, and breakers within them, while others call, command and reset: nothing of them
// stays. It runs under the race detector.
func TestScenario28NothingStaysBehind(t *testing.T) {
	scenario := scoreboard.Start(t, 28, "leaks and races")
	srv := redistest.Start(t)
	memory := memorystore.New()
	defer memory.Close()
	cycles := map[string]func(n int){
		"a Manager on the memory store": func(n int) { live(t, memory, n, scenario.Seed()) },
		"a Manager on a link to it":     func(n int) { live(t, memorystore.NewLink(memory), n, scenario.Seed()) },
		"a Manager on a Redis store of its own": func(n int) {
			s, err := redisstore.Open(srv.SocketURL(), redisstore.WithTimeout(time.Minute))
			if err != nil {
				t.Fatal(err)
			}
			live(t, s, n, scenario.Seed())
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		},
	}
	managers := 0
	for name, cycle := range cycles {
		n := scoreboard.Pick(scenario, 150, 5000)
		if name == "a Manager on a Redis store of its own" {
			n = scoreboard.Pick(scenario, 40, 500)
		}
		for i := range n { // what is made once and kept is made
			cycle(i)
		}
		before := settled(t, memory, nil, 0)
		for i := range n {
			cycle(i)
		}
		after := settled(t, memory, &before, n*cycleBytes)
		managers += 2 * n
		scenario.AtMost("goroutines more, after "+name, after.goroutines-before.goroutines, 0)
		scenario.AtMost("file descriptors more, after "+name, after.files-before.files, 0)
		scenario.AtMost("bytes a cycle, after "+name, max(int(after.heap)-int(before.heap), 0)/n, cycleBytes)
	}
	scenario.Report("Managers that lived", managers)
}

var tiers = []string{"tier-1", "tier-2", "tier-3"}

// live is the life of one Manager: goroutines that register, call, command, reset and unregister, and a Close among them.
func live(t *testing.T, s store.Store, n int, seed uint64) {
	m, err := breaker.NewManager(s, breaker.WithPolicy(hostilePolicy), breaker.WithListener(func(breaker.Event) {}))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var working sync.WaitGroup
	for i := range 4 {
		rng := rand.New(rand.NewPCG(seed, uint64(n<<3+i)))
		working.Go(func() {
			for range 8 {
				act(ctx, m, tiers[rng.IntN(len(tiers))], rng)
			}
		})
	}
	if n%2 == 0 {
		working.Wait()
	}
	if err := m.Close(ctx); err != nil && n%2 == 0 { // who closes under fire may leave outcomes
		t.Errorf("Close: %v", err)
	}
	working.Wait()
}

func act(ctx context.Context, m *breaker.Manager, name string, rng *rand.Rand) {
	b, err := m.GetOrRegister(ctx, name)
	if err != nil {
		return
	}
	switch rng.IntN(8) {
	case 0:
		_ = m.Unregister(name)
	case 1:
		_ = m.Reset(ctx, name)
	case 2:
		actions := []breaker.Action{breaker.Trip, breaker.ForceOpen, breaker.ForceClosed, breaker.Lift}
		_, _ = m.Command(ctx, breaker.Command{Name: name, Action: actions[rng.IntN(len(actions))], By: "soak"})
	case 3:
		permit, err := b.Acquire(ctx)
		if err == nil {
			permit.Done(errTier)
		}
	default:
		_ = b.Run(ctx, func(context.Context) error {
			if rng.IntN(3) == 0 {
				return errTier
			}
			return nil
		})
	}
}

// holding is what a process holds.
type holding struct {
	goroutines, files int
	heap              uint64
}

// cycleBytes is what a life may leave: less than any part of it that could stay.
const cycleBytes = 1024

// settled measures, and waits until no more is held than before, but for some bytes: what ends, ends a little later, and a
// timer holds on until its time. First the store forgets its breakers, whose rosters keep who reported in the last minute.
func settled(t *testing.T, s store.Store, before *holding, bytes int) (h holding) {
	t.Helper()
	for _, name := range tiers {
		if err := s.Remove(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	waiting, cancel := await.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for ; ; <-time.After(50 * time.Millisecond) {
		runtime.GC()
		var mem runtime.MemStats
		runtime.ReadMemStats(&mem)
		h = holding{goroutines: runtime.NumGoroutine(), files: openFiles(t), heap: mem.HeapAlloc}
		if before == nil || waiting.Err() != nil ||
			h.goroutines <= before.goroutines && h.files <= before.files && h.heap <= before.heap+uint64(bytes) {
			return h
		}
	}
}

// openFiles counts file descriptors, if the system tells; else 0.
func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if errors.Is(err, os.ErrNotExist) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
