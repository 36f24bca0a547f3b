package redisstore

import (
	"context"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/commontrip/commontrip/internal/limits"
	"github.com/commontrip/commontrip/scripts/lua"
	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/redistest"
)

// otherSync is a client's hook that runs another script wherever the store asks for lua.Sync.
type otherSync struct{ source, sha string }

func (otherSync) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (o otherSync) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if args := cmd.Args(); len(args) > 1 {
			switch args[1] {
			case lua.Sync.SHA:
				args[1] = o.sha
			case lua.Sync.Source:
				args[1] = o.source
			}
		}
		return next(ctx, cmd)
	}
}

func (o otherSync) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next // a duel sends one report at a time
}

// TestTheFastPathComesToTheSame plays the same histories on two stores, of which one has no fast path, and compares their
// hashes after every step, field by field: also what no read shows.
func TestTheFastPathComesToTheSame(t *testing.T) {
	const end = "\nuntil true\n"
	if strings.Count(lua.Sync.Source, end) != 1 {
		t.Fatal("the end of the fast path is not to be found in the script of a report")
	}
	srv := redistest.Start(t)
	begin := func(prefix, script string) *duel {
		d := newDuel(t, srv.SocketURL())
		d.redis.keys.prefix = prefix
		client := d.redis.client.(*redis.Client)
		sha, err := client.ScriptLoad(t.Context(), script).Result()
		if err != nil {
			t.Fatal(err)
		}
		client.AddHook(otherSync{script, sha})
		d.begin("x")
		return d
	}
	full := begin("full", lua.FullSync().Source)
	fast := begin("fast", strings.Replace(lua.Sync.Source, end, end+"redis.call('INCR', 'declined')\n", 1))
	seed := uint64(time.Now().UnixNano())
	if n, err := strconv.ParseUint(os.Getenv("COMMONTRIP_DIFF_SEED"), 10, 64); err == nil {
		seed = n
	}
	t.Logf("COMMONTRIP_DIFF_SEED=%d", seed)
	reports, histories := 0, uint64(32)
	if testing.Short() {
		histories = 8 // each kind of them at least once
	}
	for history := range histories {
		g := newGenerator(rand.New(rand.NewPCG(seed, history)), fast)
		g.calm, g.heavy = []int{1, 4, 4, 25}[history%4], history%8 == 7
		for range 150 {
			st := g.next()
			if _, ok := st.request.(store.Report); ok {
				reports++
			}
			for _, d := range []*duel{full, fast} {
				if got, want := d.play(st); got != want {
					t.Fatalf("history %d, %+v: Lua\n%s\nGo\n%s", history, st, got, want)
				}
			}
			if left, right := hashOf(t, full), hashOf(t, fast); !maps.Equal(left, right) {
				t.Fatalf("history %d, %+v: the full path leaves\n%q\nthe fast path\n%q", history, st, left, right)
			}
		}
		for _, d := range []*duel{full, fast} {
			d.play(step{g.now, wipe{}})
			d.begin("x")
		}
	}
	declined, err := fast.redis.client.(*redis.Client).Get(t.Context(), "declined").Int()
	if err != nil || declined == 0 || declined > reports*4/5 {
		t.Errorf("%d of %d reports took the full path, %v; want some, and four of five at most", declined, reports, err)
	}
}

// hashOf is what lies in a duel's hash, but for empty fields, which are as absent ones.
func hashOf(t *testing.T, d *duel) map[string]string {
	t.Helper()
	fields, err := d.redis.client.HGetAll(t.Context(), d.redis.keys.breaker(d.name)).Result()
	if err != nil {
		t.Fatal(err)
	}
	maps.DeleteFunc(fields, func(_, value string) bool { return value == "" })
	return fields
}

// TestTheFastPathLeavesAlone plays what random histories seldom meet.
func TestTheFastPathLeavesAlone(t *testing.T) {
	const now, day = nowMillis / limits.SliceFor * limits.SliceFor, 24 * 3600 * second
	report := func(seq uint64, known store.Known, good int) store.Report {
		r := store.Report{Policy: store.Policy{WindowCalls: 10}, Replica: "web-0#1", Seq: seq, MaxAge: time.Second, Known: known}
		if good > 0 {
			r.Runs = []store.Run{{Outcome: store.Success, Count: good}}
		}
		return r
	}
	other := report(2, store.Known{}, 1)
	other.Policy.WindowCalls = 20
	half := report(3, store.Known{}, 3)
	half.Policy = store.Policy{WindowCalls: 40, FailureRate: 0.5, MinCalls: 5}
	worse := half
	half.Runs = append(half.Runs, store.Run{Outcome: store.Failure, Count: 1})
	worse.Seq, worse.Runs = 4, []store.Run{{Outcome: store.Failure, Count: 2}}
	d := newDuel(t, redistest.Start(t).SocketURL())
	nothing, more := store.Known{}, store.Known{Generation: now + 100, Rev: now + 100, Reason: store.ByTime, Cause: "web-1#1"}
	for name, steps := range map[string][]step{
		"a rate of a window that is not full": {{now, half}, {now, worse}},
		"another policy":                      {{now, report(1, nothing, 1)}, {now, other}},
		"a report sent again":                 {{now, report(1, nothing, 1)}, {now, report(2, nothing, 1)}, {now, report(2, nothing, 1)}},
		"a tombstone brought back unseen": {
			{now, report(1, nothing, 1)},
			{now + 1, remove{}},
			{now + 2, report(2, more, 0)},
			{now + 20*second, report(3, more, 0)},
			{now + day + 10*second, report(4, more, 0)}, // a day after the first sign of life, not after the second
		},
	} {
		d.begin(name)
		for i, st := range steps {
			if got, want := d.play(st); got != want {
				t.Errorf("%s, step %d: Lua\n%s\nGo\n%s", name, i, got, want)
				break
			}
		}
	}
}
