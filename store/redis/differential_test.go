package redisstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/commontrip/commontrip/internal/machine"
	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
	"github.com/commontrip/commontrip/tests/redistest"
)

// step is one request of a random history, with the store's clock at it.
type step struct {
	now     int64
	request any // store.Report, Claim, Settlement, Command, or remove, wipe
}

type (
	remove struct{}
	wipe   struct{}
)

// duel runs the same steps through the machine in Go and the one in Lua.
type duel struct {
	tb     testing.TB
	redis  *Store
	now    int64
	spread int
	name   string
	played int
	pure   machine.Machine
	leases []lease // ever granted
}

func newDuel(tb testing.TB, url string) *duel {
	d := &duel{tb: tb}
	s, err := Open(url, WithTimeout(time.Minute), WithClock(func() time.Time { return time.UnixMilli(d.now) }))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	s.spread = func() int { return d.spread }
	d.redis = s
	return d
}

func (d *duel) begin(name string) {
	d.name, d.played, d.pure, d.leases = name, 0, machine.Machine{}, nil
}

// play runs one step on both and gives what each of them answers and then shows, both empty if that is the same.
func (d *duel) play(st step) (got, want string) {
	ctx := context.Background()
	d.now, d.spread = st.now, int(st.now%51)
	d.played++
	var lua, pure []any
	switch r := st.request.(type) {
	case store.Report:
		r.Name = d.name
		result := d.redis.Sync(ctx, []store.Report{r})[0]
		result.Again = 0
		lua = append(lua, result)
		if normal, err := r.Normalize(); err != nil {
			pure = append(pure, store.Result{Err: err})
		} else {
			pure = append(pure, d.pure.Report(st.now, normal))
		}
	case store.Claim:
		r.Name = d.name
		grant, err := d.redis.Claim(ctx, r)
		lua = append(lua, grant, err)
		normal, err := r.Normalize()
		if err == nil {
			grant, err = d.pure.Claim(st.now, normal, int64(d.spread))
		} else {
			grant = store.Grant{}
		}
		pure = append(pure, grant, err)
		for _, l := range grant.Leases {
			d.leases = append(d.leases, lease{l, r.Replica})
		}
	case store.Settlement:
		r.Lease.Name = d.name
		result, err := d.redis.Settle(ctx, r)
		lua = append(lua, result, err)
		normal, err := r.Normalize()
		if err == nil {
			result = d.pure.Settle(st.now, normal)
		} else {
			result = store.Result{}
		}
		pure = append(pure, result, err)
	case store.Command:
		r.Name = d.name
		result, err := d.redis.Command(ctx, r)
		lua = append(lua, result, err)
		normal, err := r.Normalize()
		if err == nil {
			result, err = d.pure.Command(st.now, normal)
		} else {
			result = store.Result{}
		}
		pure = append(pure, result, err)
	case remove:
		lua = append(lua, d.redis.Remove(ctx, d.name))
		d.pure.Remove(st.now)
		pure = append(pure, error(nil))
	case wipe:
		if err := d.redis.client.Del(ctx, d.redis.keys.breaker(d.name)).Err(); err != nil {
			d.tb.Fatal(err)
		}
		d.pure = machine.Machine{}
	}
	limit := 4 // the history grows by less in a step; now and then all of it
	if d.played%16 == 0 {
		limit = 0
	}
	lua, pure = append(lua, d.luaShows(ctx, limit)...), append(pure, d.pureShows(limit)...)
	if reflect.DeepEqual(lua, pure) {
		return "", ""
	}
	return d.show(lua), d.show(pure)
}

// luaShows reads everything that the store tells of the breaker, at once.
func (d *duel) luaShows(ctx context.Context, limit int) []any {
	var snapshots, versions, roster, history any
	var errs [4]error
	var reads sync.WaitGroup
	reads.Go(func() { snapshots, errs[0] = d.redis.Read(ctx, d.name) })
	reads.Go(func() { versions, errs[1] = d.redis.Versions(ctx, d.name) })
	reads.Go(func() { roster, errs[2] = d.redis.Roster(ctx, d.name) })
	reads.Go(func() { history, errs[3] = d.redis.History(ctx, d.name, limit) })
	reads.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		return []any{err.Error()}
	}
	return []any{snapshots, versions, roster, history}
}

func (d *duel) pureShows(limit int) []any {
	var snapshots []store.Snapshot
	var versions []store.Version
	if s, ok := d.pure.Snapshot(d.now, d.name); ok {
		snapshots = append(snapshots, s)
	}
	if v, ok := d.pure.Version(d.now, d.name); ok {
		versions = append(versions, v)
	}
	return []any{snapshots, versions, d.pure.Roster(d.now), d.pure.History(d.now, d.name, limit)}
}

// show writes values a line each. Of errors it shows what they are, not their words.
func (d *duel) show(values []any) string {
	var b strings.Builder
	for _, v := range values {
		switch v := v.(type) {
		case store.Result:
			fmt.Fprintf(&b, "snapshot %+v\nmade %s\nerror %s\n", v.Snapshot, transitionText(v.Made), errorText(v.Err))
		case store.Grant:
			fmt.Fprintf(&b, "leases %+v retry %v\nmade %s\nsnapshot %+v\n", v.Leases, v.RetryIn, transitionText(v.Made), v.Snapshot)
		case error, nil:
			err, _ := v.(error)
			fmt.Fprintf(&b, "error %s\n", errorText(err))
		default:
			fmt.Fprintf(&b, "%+v\n", v)
		}
	}
	return b.String()
}

func transitionText(t *store.Transition) string {
	if t == nil {
		return "none"
	}
	return fmt.Sprintf("%+v", *t)
}

func errorText(err error) string {
	switch {
	case err == nil:
		return "none"
	case isA(err, store.ErrInvalid):
		return "invalid"
	case isA(err, store.ErrUnknown):
		return "unknown"
	default:
		return err.Error()
	}
}

// TestDifferential plays random histories of one breaker through the machine in Go and the one in Lua and compares
// answers, snapshot, roster and history after every step. COMMONTRIP_DIFF_STEPS says how many steps, COMMONTRIP_DIFF_SEED
// from where. A history on which they differ is cut down to the steps that it needs.
func TestDifferential(t *testing.T) {
	steps, seed := 5000, uint64(time.Now().UnixNano())
	if n, err := strconv.Atoi(os.Getenv("COMMONTRIP_DIFF_STEPS")); err == nil {
		steps = n
	}
	if n, err := strconv.ParseUint(os.Getenv("COMMONTRIP_DIFF_SEED"), 10, 64); err == nil {
		seed = n
	}
	t.Logf("COMMONTRIP_DIFF_SEED=%d COMMONTRIP_DIFF_STEPS=%d", seed, steps)
	histories, played := differential(t, steps, seed)
	if !t.Failed() {
		t.Logf("%d histories, %d steps, no difference", histories, played)
	}
}

// Scenario 4 of the scoreboard. COMMONTRIP_DIFF_STEPS plays more than its profile asks for.
func TestScenario04GoAgainstLua(t *testing.T) {
	scenario := scoreboard.Start(t, 4, "Lua against Go")
	steps := scoreboard.Pick(scenario, 20_000, 200_000)
	if n, err := strconv.Atoi(os.Getenv("COMMONTRIP_DIFF_STEPS")); err == nil {
		steps = n
	}
	began := time.Now()
	histories, played := differential(t, steps, scenario.Seed())
	scenario.Report("histories", histories)
	scenario.AtLeast("steps", played, steps)
	scenario.Report("steps a second", int(float64(played)/time.Since(began).Seconds()))
	differences := 0
	if t.Failed() {
		differences = 1 // the first one ends it
	}
	scenario.Zero("differences", differences)
}

// differential plays histories until they have that number of steps, or differ.
func differential(t *testing.T, steps int, seed uint64) (histories, played int) {
	t.Helper()
	url := redistest.Start(t).SocketURL()
	var next, left atomic.Int64
	left.Store(int64(steps))
	var players sync.WaitGroup
	for range min(4*runtime.GOMAXPROCS(0), 1+steps/350) { // a history has some 350 steps, and each player ends its own
		d := newDuel(t, url)
		players.Go(func() {
			for left.Load() > 0 && !t.Failed() {
				history := next.Add(1) - 1
				left.Add(-int64(playHistory(t, d, seed, uint64(history))))
			}
		})
	}
	players.Wait()
	return int(next.Load()), steps - int(left.Load())
}

// playHistory plays one random history to its end, or until the two differ, and gives its steps.
func playHistory(t *testing.T, d *duel, seed, history uint64) int {
	g := newGenerator(rand.New(rand.NewPCG(seed, history)), d)
	d.begin(fmt.Sprintf("history-%d", history))
	var played []step
	for range 50 + g.IntN(600) {
		st := g.next()
		played = append(played, st)
		if got, want := d.play(st); got != want {
			report(t, d, played)
			break
		}
	}
	if err := d.redis.client.Unlink(context.Background(), d.redis.keys.breaker(d.name)).Err(); err != nil {
		t.Error(err)
	}
	return len(played)
}

// report prints the shortest part of a history on which the two still differ.
func report(t *testing.T, d *duel, played []step) {
	t.Helper()
	attempt, name := 0, d.name
	differ := func(steps []step) (got, want string, at int) {
		attempt++
		d.begin(fmt.Sprintf("%s-shrunk-%d", name, attempt))
		for i, st := range steps {
			if got, want = d.play(st); got != want {
				return got, want, i
			}
		}
		return "", "", -1
	}
	for size := len(played) / 2; size > 0 && attempt < 3000; size /= 2 {
		for from := 0; from+size <= len(played); {
			shorter := append(append([]step{}, played[:from]...), played[from+size:]...)
			if _, _, at := differ(shorter); at >= 0 {
				played = shorter[:at+1]
			} else {
				from += size
			}
		}
	}
	got, want, _ := differ(played)
	var b strings.Builder
	for _, st := range played {
		fmt.Fprintf(&b, "at %d: %T%+v\n", st.now, st.request, st.request)
	}
	t.Errorf("after these steps\n%s\nthe machine in Go gives\n%s\nthe one in Lua\n%s\nfirst at %s", b.String(), want, got, firstDifference(got, want))
}

func firstDifference(a, b string) string {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return fmt.Sprintf("%q against %q", a[max(0, n-60):min(len(a), n+60)], b[max(0, n-60):min(len(b), n+60)])
}

// TestOfEqualPlacesTheEarlierArrivalGoes fills the sixteen places behind a rate's failures within one bucket: whoever
// failed again there arrived later than one that did not.
func TestOfEqualPlacesTheEarlierArrivalGoes(t *testing.T) {
	d := newDuel(t, redistest.Start(t).SocketURL())
	d.begin("x")
	policy := store.Policy{WindowTime: time.Hour, FailureRate: 1, MinCalls: 30, Reporters: 16}
	seqs := map[string]uint64{}
	fail := func(replica string, n int) {
		t.Helper()
		seqs[replica]++
		r := failures("x", replica, seqs[replica], n)
		r.Policy = policy
		if got, want := d.play(step{nowMillis, r}); got != want {
			t.Fatalf("Lua\n%s\nGo\n%s", got, want)
		}
	}
	for i := 1; i <= 16; i++ {
		fail(fmt.Sprintf("r%02d", i), 1)
	}
	fail("r01", 1)  // again, in the same bucket
	fail("r17", 13) // one too many: r02 goes; and the rate trips
	history, err := d.redis.History(context.Background(), "x", 1)
	if err != nil || len(history) != 1 || strings.Join(history[0].Witnesses[:2], " ") != "r01 r03" {
		t.Errorf("%+v, %v; want witnesses from r01 and r03 on", history, err)
	}
}
