package chaos

import (
	"bytes"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/chaos/respfault"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
	"github.com/commontrip/commontrip/tests/redistest"
)

// garbage is what a reply may become that is none of ours. Absent fields of a hash are a true reply to a read.
type garbage struct {
	name  string
	make  func(reply []byte) []byte
	reads bool // also of replies to reads
}

// each makes every element of a list again, and a number of what is none.
func each(fn func(i int, element []byte) []byte) func([]byte) []byte {
	return func(reply []byte) []byte {
		parts, ok := respfault.Split(reply)
		if !ok {
			return []byte(":7\r\n")
		}
		for i := range parts {
			parts[i] = fn(i, parts[i])
		}
		return respfault.List(parts...)
	}
}

func resized(fn func([][]byte) [][]byte) func([]byte) []byte {
	return func(reply []byte) []byte {
		parts, ok := respfault.Split(reply)
		if !ok {
			return []byte(":7\r\n")
		}
		return respfault.List(fn(parts)...)
	}
}

func always(raw string) func([]byte) []byte { return func([]byte) []byte { return []byte(raw) } }

func texts(text string) func([]byte) []byte {
	return each(func(int, []byte) []byte { return respfault.Bulk(text) })
}

const huge = 64 << 20

func garbages() []garbage {
	return []garbage{
		{"nil", always("$-1\r\n"), true},
		{"nil list", always("*-1\r\n"), true},
		{"null", always("_\r\n"), true},
		{"empty list", always("*0\r\n"), true},
		{"number", always(":7\r\n"), true},
		{"text", always("+OK\r\n"), true},
		{"not a number", always(",nan\r\n"), true},
		{"truth", always("#t\r\n"), true},
		{"map", always("%1\r\n+what\r\n+ever\r\n"), true},
		{"one element less", resized(func(parts [][]byte) [][]byte { return parts[1:] }), true},
		{"one element more", resized(func(parts [][]byte) [][]byte { return append(parts, respfault.Bulk("1")) }), true},
		{"nested", each(func(_ int, e []byte) []byte { return respfault.List(e) }), true},
		{"elements are numbers", each(func(int, []byte) []byte { return []byte(":1\r\n") }), true},
		{"elements are nil", each(func(int, []byte) []byte { return []byte("$-1\r\n") }), false},
		{"elements are doubles", each(func(int, []byte) []byte { return []byte(",inf\r\n") }), true},
		{"NaN", texts("NaN"), true},
		{"negative", texts("-1"), true},
		{"2^53", texts("9007199254740992"), true},
		{"1e3", texts("1e3"), true},
		{"many digits", texts(strings.Repeat("9", 400)), true},
		{"control characters", texts("\x00\r\n\x1b"), true},
		{"unknown state", each(func(_ int, e []byte) []byte {
			if bytes.Count(e, []byte(" ")) == 4 {
				return respfault.Bulk("7 1 1 1 1")
			}
			return bytes.ReplaceAll(e, []byte("ok"), []byte("no"))
		}), false},
		{"64 MB", func([]byte) []byte { return respfault.Bulk(strings.Repeat("x", huge)) }, true},
	}
}

func heap() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// Each kind of garbage as the reply to each verb, and each verb cut off in mid-reply: an error of the store's, never a
// word of its.
func TestScenario23GarbageIsAnErrorOfTheStore(t *testing.T) {
	scenario := scoreboard.Start(t, 23, "garbage and lies: each reply to each verb")
	server := redistest.Start(t)
	proxy := respfault.Start(t, server.Addr())
	s := open(t, proxy.URL())
	report := store.Report{Name: "x", Policy: store.DefaultPolicy(), Replica: "r#1", Seq: 1, MaxAge: time.Second, Runs: []store.Run{{Outcome: store.Failure, Count: 3}}}
	if err := s.Sync(t.Context(), []store.Report{report})[0].Err; err != nil {
		t.Fatal(err)
	}
	before, cases, taken := heap(), 0, 0
	ask := func(what string, verb respfault.Verb, fn func() error) {
		cases++
		if err := fn(); err == nil || isWord(err) {
			taken++
			t.Logf("%s as the reply to %s: %v", what, verb, err)
		}
		proxy.Heal()
	}
	scripts := []respfault.Verb{respfault.Sync, respfault.Claim, respfault.Settle, respfault.Command, respfault.Remove}
	for verb, fn := range asked(t.Context(), s, "x") {
		for _, g := range garbages() {
			if g.name == "64 MB" && verb != respfault.Sync || !g.reads && !slices.Contains(scripts, verb) ||
				verb == respfault.Roster && (g.name == "map" || g.name == "empty list") { // a hash without replicas
				continue
			}
			proxy.On(verb, respfault.Rule{Reply: func(_ respfault.Request, reply []byte) []byte { return g.make(reply) }})
			ask(g.name, verb, fn)
		}
		for _, part := range []int{0, 1, 2, 3} {
			proxy.On(verb, respfault.Rule{Act: respfault.CutAfter, Reply: func(_ respfault.Request, reply []byte) []byte {
				return reply[:len(reply)*part/4+min(part, 1)*min(1, len(reply)%4)]
			}})
			ask("a part of a reply", verb, fn)
		}
	}
	scenario.Report("cases", cases)
	scenario.Zero("taken for the store's word", taken)
	scenario.AtMost("heap growth in bytes", heap()-before, 16<<20)
}

// Every replica is answered another kind of garbage, or lies, while one breaker is open and another forced open.
func TestScenario23AFleetThatIsAnsweredGarbage(t *testing.T) {
	scenario := scoreboard.Start(t, 23, "garbage and lies: a fleet")
	kinds := slices.DeleteFunc(garbages(), func(g garbage) bool { return g.name == "64 MB" })
	h := newHarness(t, scenario, plan{replicas: len(kinds) + 3, names: names(3), policy: calm})
	h.load(100 * time.Millisecond)
	h.reach(h.command(store.Command{Name: h.names[0], Action: store.Trip, For: time.Hour}))
	h.reach(h.command(store.Command{Name: h.names[1], Action: store.ForceOpen}))
	h.converge()
	reached := h.reached(h.names[0]) + h.reached(h.names[1])
	for i, r := range h.fleet {
		rule := respfault.Rule{}
		switch i - len(kinds) {
		case 0:
			rule.Reply = older()
		case 1:
			rule.Reply = zero
		case 2:
			rule = respfault.Rule{Act: respfault.CutAfter, Reply: func(_ respfault.Request, reply []byte) []byte { return reply[:len(reply)/2] }}
		default:
			rule.Reply = func(_ respfault.Request, reply []byte) []byte { return kinds[i].make(reply) }
		}
		for _, verb := range respfault.Verbs() {
			if verb != respfault.Watch {
				r.proxy.On(verb, rule)
			}
		}
	}
	for i, r := range h.fleet[:len(kinds)] {
		if kinds[i].name == "elements are nil" {
			continue // of Versions: the breaker is gone; of Sync: garbage
		}
		h.eventually(r.Name+" stands on its own verdict", func() bool { return r.Breaker(h.names[2]).Status().Verdict == breaker.Own })
	}
	trips := 0
	for _, r := range h.fleet {
		trips += r.Count(tripped)
	}
	scenario.Zero("calls through open breakers", h.reached(h.names[0])+h.reached(h.names[1])-reached)
	h.heal()
	scenario.Within("converged", h.converge(), 2*refresh)
	scenario.Report("kinds", len(h.fleet))
	scenario.Zero("false trips of own verdicts", trips)
	scenario.Zero("wrong verdicts", h.unasked())
	h.promised()
}

// older lies by the first reply that each breaker got to each verb.
func older() func(respfault.Request, []byte) []byte {
	var mu sync.Mutex
	first := map[string][]byte{}
	return func(r respfault.Request, reply []byte) []byte {
		mu.Lock()
		defer mu.Unlock()
		at := string(r.Verb) + r.Key
		if first[at] == nil {
			first[at] = reply
		}
		return first[at]
	}
}

// zero lies that the generation is 0, and whatever else is so large a number.
func zero(_ respfault.Request, reply []byte) []byte {
	return each(func(_ int, e []byte) []byte {
		if len(e) == len("$13\r\n1700000000000\r\n") {
			return respfault.Bulk("0")
		}
		return e
	})(reply)
}

// A hand writes into the hashes: each field in turn becomes nonsense, and then the hash is taken away.
func TestScenario23FieldsOverwrittenByHand(t *testing.T) {
	scenario := scoreboard.Start(t, 23, "garbage and lies: fields overwritten by hand")
	h := newHarness(t, scenario, plan{replicas: 2, names: names(3), policy: calm})
	h.load(10 * time.Millisecond)
	h.reach(h.command(store.Command{Name: h.names[1], Action: store.Trip, For: time.Hour}))
	h.reach(h.command(store.Command{Name: h.names[2], Action: store.ForceOpen}))
	h.reach(h.command(store.Command{Name: h.names[0], Action: store.Retune, Policy: calm}))
	h.converge()
	reached := h.reached(h.names[1]) + h.reached(h.names[2])
	nonsense := []string{"", "x", "-1", "NaN", "1e999", "9007199254740992", "\x00", "1 2 3", strings.Repeat("7 ", 9), strings.Repeat("9", 400), "2\n\n\n"}
	rng, cases, converged := scenario.Rand(), 0, time.Duration(0)
	for range scoreboard.Pick(scenario, 1, 5) {
		written := map[string]bool{}
		for _, name := range h.names {
			for field := range h.redis.HGetAll(t.Context(), key(name)).Val() {
				written[field] = true
			}
		}
		for _, field := range slices.Sorted(maps.Keys(written)) {
			for _, name := range h.names {
				h.do("hset", key(name), field, nonsense[rng.IntN(len(nonsense))])
				cases++
			}
			h.exchanges(2)
			for _, name := range h.names {
				h.do("del", key(name))
			}
			converged = max(converged, h.converge())
		}
	}
	scenario.Report("cases", cases)
	scenario.Within("converged", converged, 2*refresh)
	scenario.Zero("calls through open breakers", h.reached(h.names[1])+h.reached(h.names[2])-reached)
	scenario.Zero("wrong verdicts", h.unasked())
	h.promised()
}

// A hand, or a broken server, gives numbers that no clock can have made. No replica takes them over: they could not be
// brought back to a store that has lost them.
func TestScenario23NumbersFarAheadOfTheClock(t *testing.T) {
	scenario := scoreboard.Start(t, 23, "garbage and lies: numbers far ahead of the clock")
	h := newHarness(t, scenario, plan{replicas: 3, names: names(2), policy: calm})
	h.load(10 * time.Millisecond)
	frozen := 0
	for _, field := range []string{"generation", "rev"} {
		for _, number := range []string{"9007199254740991", fmt.Sprint(time.Now().Add(100 * time.Hour).UnixMilli())} {
			h.do("hset", key(h.names[0]), field, number)
			h.exchanges(5)
			h.do("del", key(h.names[0]))
			scenario.Within("converged", h.converge(), 2*refresh)
			counted := h.read(h.names[0]).Totals.Calls
			if !await.Met(func() bool { return h.read(h.names[0]).Totals.Calls > counted }) {
				frozen++
			}
			h.reach(h.command(store.Command{Name: h.names[0], Action: store.Trip}))
			h.reach(h.command(store.Command{Name: h.names[0], Action: store.Reset}))
		}
	}
	scenario.Zero("breakers frozen", frozen)
	scenario.Zero("wrong verdicts", h.unasked())
	h.promised()
}

// exchanges waits until every replica has had n more exchanges.
func (h *harness) exchanges(n uint64) {
	h.t.Helper()
	for _, r := range h.fleet {
		until := r.Manager.Status().Exchanges + n
		h.eventually(fmt.Sprintf("%s exchanges", r.Name), func() bool { return r.Manager.Status().Exchanges >= until })
	}
}
