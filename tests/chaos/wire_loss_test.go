package chaos

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
	lose func(h *harness, names []string)
}

func perKey(command ...any) func(*harness, []string) {
	return func(h *harness, names []string) {
		for _, name := range names {
			args := append([]any{command[0], key(name)}, command[1:]...)
			h.do(args...)
		}
	}
}

func losses() []loss {
	return []loss{
		{"FLUSHALL", func(h *harness, _ []string) { h.do("flushall") }},
		{"FLUSHDB ASYNC", func(h *harness, _ []string) { h.do("flushdb", "async") }},
		{"DEL", perKey("del")},
		{"UNLINK", perKey("unlink")},
		{"expiry", func(h *harness, names []string) {
			perKey("pexpire", 1)(h, names)
			for _, name := range names {
				h.eventually("the key has expired", func() bool {
					left := h.redis.PTTL(context.Background(), key(name)).Val()
					return left < 0 || left > time.Second
				})
			}
		}},
		{"RENAME", func(h *harness, names []string) {
			for _, name := range names {
				h.do("rename", key(name), "elsewhere:"+name)
			}
		}},
		{"allkeys-random", evict("allkeys-random")},
		{"volatile-lru", evict("volatile-lru")},
		{"SHUTDOWN, back empty", func(h *harness, _ []string) { h.server.Restart() }},
	}
}

// evict fills the memory with keys that expire, until those of some breaker are gone.
func evict(policy string) func(*harness, []string) {
	return func(h *harness, _ []string) {
		before := h.infoInt("stats", "evicted_keys")
		h.do("config", "set", "maxmemory-policy", policy)
		h.do("config", "set", "maxmemory", h.infoInt("memory", "used_memory")+(1<<20))
		filler := strings.Repeat("x", 4<<10)
		h.eventually("keys are evicted", func() bool {
			for i := range 100 {
				_ = h.redis.Set(context.Background(), fmt.Sprintf("filler:%d:%d", time.Now().UnixNano(), i), filler, time.Hour).Err()
			}
			return h.infoInt("stats", "evicted_keys") > before+300
		})
		h.do("config", "set", "maxmemory", 0)
		h.eventually("the fillers are gone", func() bool {
			keys, err := h.redis.Keys(context.Background(), "filler:*").Result()
			return err == nil && (len(keys) == 0 || h.redis.Unlink(context.Background(), keys...).Err() != nil)
		})
	}
}

// The store forgets in every way that it can, while one breaker is open, one forced open, one retuned, one closed.
func TestScenario24TheStoreForgets(t *testing.T) {
	scenario := scoreboard.Start(t, 24, "data loss")
	h := newHarness(t, scenario, plan{replicas: 3, names: names(4), policy: calm})
	h.load(10 * time.Millisecond)
	open, forced, retuned := h.names[0], h.names[1], h.names[2]
	policy := calm
	policy.ConsecutiveFailures = 7
	h.reach(h.command(store.Command{Name: open, Action: store.Trip, For: 24 * time.Hour}))
	h.reach(h.command(store.Command{Name: forced, Action: store.ForceOpen, Why: "INC-42"}))
	h.reach(h.command(store.Command{Name: retuned, Action: store.Retune, Policy: policy}))
	h.converge()
	reached := h.reached(open) + h.reached(forced)
	back, lifted, forgotten, converged, cases := 0, 0, 0, time.Duration(0), 0
	for range scoreboard.Pick(scenario, 1, 5) {
		for _, l := range losses() {
			cases++
			before := map[string]store.Snapshot{}
			for _, name := range h.names {
				before[name] = h.read(name)
			}
			l.lose(h, h.names)
			converged = max(converged, h.converge())
			for _, name := range h.names {
				now := h.read(name)
				if was := before[name]; now.Generation < was.Generation || now.Rev < was.Rev {
					back++
					t.Logf("%s: %s from %d, %d to %d, %d", l.name, name, was.Generation, was.Rev, now.Generation, now.Rev)
				}
			}
			if s := h.read(forced); s.Mode != store.ForcedOpen || s.ModeNote.Why != "INC-42" {
				lifted++
				t.Logf("%s: %+v", l.name, s)
			}
			if h.read(open).State != store.Open || !h.read(retuned).Retuned || h.read(retuned).Policy.ConsecutiveFailures != 7 {
				forgotten++
				t.Logf("%s: %+v, %+v", l.name, h.read(open), h.read(retuned))
			}
		}
	}
	scenario.Report("losses", cases)
	scenario.Zero("numbers of the store that went back", back)
	scenario.Zero("ForcedOpen lifted", lifted)
	scenario.Zero("trips and policies forgotten", forgotten)
	scenario.Zero("calls through open breakers", h.reached(open)+h.reached(forced)-reached)
	scenario.Within("converged", converged, 2*refresh)
	scenario.Zero("wrong verdicts", h.unasked())
	h.promised()
}

// The scripts are forgotten ten times a second, while the tier fails and comes back.
func TestScenario24ScriptsAreFlushed(t *testing.T) {
	scenario := scoreboard.Start(t, 24, "data loss: SCRIPT FLUSH every 100 ms")
	policy := store.Policy{ConsecutiveFailures: 5, OpenFor: 100 * time.Millisecond, Probes: 2, ProbeSuccesses: 2, ProbeLease: 2 * time.Second}
	h := newHarness(t, scenario, plan{server: redistest.Start(t), replicas: 3, names: names(3), policy: policy})
	h.load(5 * time.Millisecond)
	ctx, stop := context.WithCancel(t.Context())
	var flushing sync.WaitGroup
	var flushes atomic.Int64
	flushing.Go(func() {
		for ctx.Err() == nil {
			if h.redis.ScriptFlush(ctx).Err() == nil {
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
			for _, name := range h.names {
				if h.read(name).State != state {
					return false
				}
			}
			return true
		}
	}
	for round := 0; round < scoreboard.Pick(scenario, 2, 10) || flushes.Load() < 5; round++ {
		h.fail(true)
		h.eventually("all breakers have tripped", func() bool { return !is(store.Closed)() })
		h.fail(false)
		h.eventually("all breakers have closed", is(store.Closed))
	}
	stop()
	flushing.Wait()
	scenario.Within("converged", h.converge(), 2*refresh)
	scenario.AtLeast("flushes", int(flushes.Load()), 5)
	errors := 0
	for _, r := range h.fleet {
		errors += int(r.Manager.Status().ExchangeErrors)
	}
	scenario.Report("failed exchanges", errors)
	h.promised()
}
