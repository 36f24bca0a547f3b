package wire

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
	"github.com/commontrip/commontrip/tests/redistest"
)

// loss is a way in which a store forgets.
type loss struct {
	name string
	lose func(w *world, names []string)
}

func perKey(command ...any) func(*world, []string) {
	return func(w *world, names []string) {
		for _, name := range names {
			args := append([]any{command[0], key(name)}, command[1:]...)
			w.do(args...)
		}
	}
}

func losses() []loss {
	return []loss{
		{"FLUSHALL", func(w *world, _ []string) { w.do("flushall") }},
		{"FLUSHDB ASYNC", func(w *world, _ []string) { w.do("flushdb", "async") }},
		{"DEL", perKey("del")},
		{"UNLINK", perKey("unlink")},
		{"expiry", func(w *world, names []string) {
			perKey("pexpire", 1)(w, names)
			for _, name := range names {
				w.eventually("the key has expired", func() bool {
					left := w.redis.PTTL(context.Background(), key(name)).Val()
					return left < 0 || left > time.Second
				})
			}
		}},
		{"RENAME", func(w *world, names []string) {
			for _, name := range names {
				w.do("rename", key(name), "elsewhere:"+name)
			}
		}},
		{"allkeys-random", evict("allkeys-random")},
		{"volatile-lru", evict("volatile-lru")},
		{"SHUTDOWN, back empty", func(w *world, _ []string) { w.server.Restart() }},
	}
}

// evict fills the memory with keys that expire, until those of some breaker are gone.
func evict(policy string) func(*world, []string) {
	return func(w *world, _ []string) {
		before := w.infoInt("stats", "evicted_keys")
		w.do("config", "set", "maxmemory-policy", policy)
		w.do("config", "set", "maxmemory", w.infoInt("memory", "used_memory")+(1<<20))
		filler := strings.Repeat("x", 4<<10)
		w.eventually("keys are evicted", func() bool {
			for i := range 100 {
				_ = w.redis.Set(context.Background(), fmt.Sprintf("filler:%d:%d", time.Now().UnixNano(), i), filler, time.Hour).Err()
			}
			return w.infoInt("stats", "evicted_keys") > before+300
		})
		w.do("config", "set", "maxmemory", 0)
		w.eventually("the fillers are gone", func() bool {
			keys, err := w.redis.Keys(context.Background(), "filler:*").Result()
			return err == nil && (len(keys) == 0 || w.redis.Unlink(context.Background(), keys...).Err() != nil)
		})
	}
}

// The store forgets in every way that it can, while one breaker is open, one forced open, one retuned, one closed.
func TestScenario24TheStoreForgets(t *testing.T) {
	scenario := scoreboard.Start(t, 24, "data loss")
	w := newWorld(t, scenario, plan{replicas: 3, names: names(4), policy: calm})
	w.load(10 * time.Millisecond)
	open, forced, retuned := w.names[0], w.names[1], w.names[2]
	policy := calm
	policy.ConsecutiveFailures = 7
	w.reach(w.command(store.Command{Name: open, Action: store.Trip, For: 24 * time.Hour}))
	w.reach(w.command(store.Command{Name: forced, Action: store.ForceOpen, Why: "INC-42"}))
	w.reach(w.command(store.Command{Name: retuned, Action: store.Retune, Policy: policy}))
	w.converge()
	reached := w.reached[open].Load() + w.reached[forced].Load()
	back, lifted, forgotten, converged, cases := 0, 0, 0, time.Duration(0), 0
	for range scoreboard.Pick(scenario, 1, 5) {
		for _, l := range losses() {
			cases++
			before := map[string]store.Snapshot{}
			for _, name := range w.names {
				before[name] = w.read(name)
			}
			l.lose(w, w.names)
			converged = max(converged, w.converge())
			for _, name := range w.names {
				now := w.read(name)
				if was := before[name]; now.Generation < was.Generation || now.Rev < was.Rev {
					back++
					t.Logf("%s: %s from %d, %d to %d, %d", l.name, name, was.Generation, was.Rev, now.Generation, now.Rev)
				}
			}
			if s := w.read(forced); s.Mode != store.ForcedOpen || s.ModeNote.Why != "INC-42" {
				lifted++
				t.Logf("%s: %+v", l.name, s)
			}
			if w.read(open).State != store.Open || !w.read(retuned).Retuned || w.read(retuned).Policy.ConsecutiveFailures != 7 {
				forgotten++
				t.Logf("%s: %+v, %+v", l.name, w.read(open), w.read(retuned))
			}
		}
	}
	scenario.Report("losses", cases)
	scenario.Zero("numbers of the store that went back", back)
	scenario.Zero("ForcedOpen lifted", lifted)
	scenario.Zero("trips and policies forgotten", forgotten)
	scenario.Zero("calls through open breakers", int(w.reached[open].Load()+w.reached[forced].Load()-reached))
	scenario.Within("converged", converged, 2*refresh)
	scenario.Zero("wrong verdicts", w.unasked())
	w.promised()
}

// The scripts are forgotten ten times a second, while the tier fails and comes back.
func TestScenario24ScriptsAreFlushed(t *testing.T) {
	scenario := scoreboard.Start(t, 24, "data loss: SCRIPT FLUSH every 100 ms")
	policy := store.Policy{ConsecutiveFailures: 5, OpenFor: 100 * time.Millisecond, Probes: 2, ProbeSuccesses: 2, ProbeLease: 2 * time.Second}
	w := newWorld(t, scenario, plan{server: redistest.Start(t), replicas: 3, names: names(3), policy: policy})
	w.load(5 * time.Millisecond)
	ctx, stop := context.WithCancel(t.Context())
	var flushing sync.WaitGroup
	var flushes atomic.Int64
	flushing.Go(func() {
		for ctx.Err() == nil {
			if w.redis.ScriptFlush(ctx).Err() == nil {
				flushes.Add(1)
			}
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	})
	is := func(state store.State) func() bool {
		return func() bool {
			for _, name := range w.names {
				if w.read(name).State != state {
					return false
				}
			}
			return true
		}
	}
	for round := 0; round < scoreboard.Pick(scenario, 2, 10) || flushes.Load() < 5; round++ {
		w.down.Store(true)
		w.eventually("all breakers have tripped", func() bool { return !is(store.Closed)() })
		w.down.Store(false)
		w.eventually("all breakers have closed", is(store.Closed))
	}
	stop()
	flushing.Wait()
	scenario.Within("converged", w.converge(), 2*refresh)
	scenario.AtLeast("flushes", int(flushes.Load()), 5)
	errors := 0
	for _, r := range w.fleet {
		errors += int(r.manager.Status().ExchangeErrors)
	}
	scenario.Report("failed exchanges", errors)
	w.promised()
}
