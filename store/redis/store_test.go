package redisstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/commontrip/commontrip/internal/limits"
	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/redistest"
)

func TestOptionsOutOfRangeAreRefusedWithIt(t *testing.T) {
	client := redis.NewClient(&redis.Options{})
	defer client.Close()
	for want, o := range map[string]Option{
		"timeout is 0s; want 1ms..1m0s": WithTimeout(0), "timeout is 2m0s; want": WithTimeout(2 * time.Minute),
		"budget is 0; want 1..1000000": WithBudget(0), "budget is -1; want": WithBudget(-1), "prefix is \"a{\"; want": WithPrefix("a{"),
	} {
		if _, err := Open("redis://localhost", o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
		if _, err := New(client, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
}

func TestANilClientPanicsWithASentence(t *testing.T) {
	defer func() {
		if v := fmt.Sprint(recover()); !strings.Contains(v, "New needs a client") {
			t.Errorf("it panics with %q", v)
		}
	}()
	_, _ = New(nil)
}

func TestARingIsRefused(t *testing.T) {
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": "localhost:1"}})
	defer ring.Close()
	if _, err := New(ring); err == nil || !strings.Contains(err.Error(), "Ring") {
		t.Errorf("%v; want a refusal", err)
	}
}

func TestCloseLeavesAForeignClientOpen(t *testing.T) {
	srv := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: srv.Addr()})
	defer client.Close()
	s, err := New(client)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := client.Ping(context.Background()).Err(); err != nil {
		t.Errorf("the client is closed: %v", err)
	}
	own := openOn(t, "redis://"+srv.Addr())
	own.Close()
	if err := own.client.Ping(context.Background()).Err(); err == nil {
		t.Error("the store's own client is still open")
	}
}

func TestAgainIsTheBudgetOverTheReplicas(t *testing.T) {
	s := &Store{settings: settings{budget: 500}}
	for replicas, want := range map[int]time.Duration{0: 0, 1: 2 * time.Millisecond, 10: 20 * time.Millisecond, 100: 200 * time.Millisecond, 500: time.Second, 5000: time.Second} {
		if got := s.again(replicas); got != want {
			t.Errorf("%d replicas: %v; want %v", replicas, got, want)
		}
	}
}

func TestNamesShareALaneOnlyByTheirSlot(t *testing.T) {
	single := &Store{keys: keys{"p"}}
	cluster := &Store{keys: keys{"p"}, cluster: true}
	seen := map[int]bool{}
	for i := range 1000 {
		name := fmt.Sprintf("b-%d", i)
		if single.Lane(name) != 0 {
			t.Fatalf("one server has lane %d", single.Lane(name))
		}
		lane := cluster.Lane(name)
		if lane < 0 || lane >= clusterLanes || lane != slotOf(cluster.keys.breaker(name))/512 {
			t.Fatalf("%s has lane %d", name, lane)
		}
		seen[lane] = true
	}
	if len(seen) != clusterLanes {
		t.Errorf("%d lanes are used; want %d", len(seen), clusterLanes)
	}
	if cluster.Lane("") != 0 || cluster.Lane("\xff") != 0 {
		t.Error("a bad name has a lane")
	}
}

// TestTheServersOwnClock runs on it: everywhere else the clock is given.
func TestTheServersOwnClock(t *testing.T) {
	srv := redistest.Start(t)
	s, c, ctx := openOn(t, srv.URL()), admin(t, srv), context.Background()
	before, _ := c.Time(ctx).Result()
	r := s.Sync(ctx, []store.Report{failures("x", "web#1", 1, 5)})[0]
	after, _ := c.Time(ctx).Result()
	if r.Err != nil || r.Snapshot.State != store.Open {
		t.Fatalf("%+v", r)
	}
	since := r.Snapshot.Since
	if since.Before(before.Truncate(time.Millisecond)) || since.After(after) {
		t.Errorf("open since %v; want %v..%v", since, before, after)
	}
	if g := r.Snapshot.Generation; g != uint64(since.UnixMilli()) {
		t.Errorf("generation %d; want the clock in ms, %d", g, since.UnixMilli())
	}
	all, err := s.Read(ctx, "x")
	if err != nil || len(all) != 1 || all[0].Since != since || all[0].RetryIn > r.Snapshot.RetryIn || all[0].RetryIn <= 0 {
		t.Errorf("%+v, %v", all, err)
	}
}

// TestABreakerThatOnlyReportsIsKept: reports that change nothing but numbers set the time to live again, too, once an hour, or
// each ten minutes while nothing ever happened.
func TestABreakerThatOnlyReportsIsKept(t *testing.T) {
	for name, c := range map[string]struct {
		happened    bool
		again, kept time.Duration
	}{
		"nothing happened": {false, 10 * time.Minute, time.Hour},
		"it has opened":    {true, time.Hour, 25 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) { onlyReportsKeepIt(t, c.happened, c.again, c.kept) })
	}
}

func onlyReportsKeepIt(t *testing.T, happened bool, again, kept time.Duration) {
	srv := redistest.Start(t)
	now := time.UnixMilli(nowMillis/limits.SliceFor*limits.SliceFor + limits.SliceFor/2) // an hour later the report is not the first of its slice
	s, c, ctx := openOn(t, srv.URL(), WithClock(func() time.Time { return now })), admin(t, srv), context.Background()
	key := s.keys.breaker("x")
	var known store.Known
	if happened {
		s.Sync(ctx, []store.Report{{Name: "x", Replica: "web#0", Seq: 1}})
		for _, a := range []store.Action{store.Trip, store.Reset} {
			result, err := s.Command(ctx, store.Command{Name: "x", Action: a, By: "me"})
			if err != nil {
				t.Fatal(err)
			}
			known = result.Snapshot.Known()
		}
	}
	reports := uint64(again / (10 * time.Second))
	for seq := range reports + 1 {
		r := store.Report{Name: "x", Replica: "web#1", Seq: seq + 1, Known: known, Generation: known.Generation, MaxAge: time.Second, Runs: []store.Run{{Outcome: store.Success, Count: 1}}}
		if result := s.Sync(ctx, []store.Report{r})[0]; result.Err != nil {
			t.Fatal(result.Err)
		}
		now = now.Add(10 * time.Second)
		left, err := c.PTTL(ctx, key).Result()
		if err != nil {
			t.Fatal(err)
		}
		switch seq {
		case 0:
			c.PExpire(ctx, key, again)
		case 1, reports - 1:
			if left > again {
				t.Errorf("report %d sets the time to live", seq)
			}
		case reports:
			if left <= kept-time.Minute || left > kept {
				t.Errorf("after %v of reports the hash is kept for %v; want %v", again, left, kept)
			}
		}
	}
}

func TestTheTimeToLiveIsABroomAndNeverAClock(t *testing.T) {
	srv := redistest.Start(t)
	s, c, ctx := openOn(t, srv.URL()), admin(t, srv), context.Background()
	left := func() time.Duration {
		t.Helper()
		d, err := c.PTTL(ctx, s.keys.breaker("x")).Result()
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	between := func(what string, lo, hi time.Duration) {
		t.Helper()
		if d := left(); d < lo || d > hi {
			t.Errorf("%s: kept for %v; want %v..%v", what, d, lo, hi)
		}
	}
	command := func(cmd store.Command) {
		t.Helper()
		cmd.Name, cmd.By = "x", "me"
		if _, err := s.Command(ctx, cmd); err != nil {
			t.Fatal(err)
		}
	}
	const day = 24 * time.Hour
	s.Sync(ctx, []store.Report{failures("x", "web#1", 1, 1)})
	between("at first", 59*time.Minute, time.Hour)
	command(store.Command{Action: store.Trip})
	between("once it has opened", day, day+time.Hour)
	command(store.Command{Action: store.ForceOpen, For: 10 * time.Hour})
	between("with a command of 10 h", 99*time.Hour, 101*time.Hour)
	command(store.Command{Action: store.ForceOpen})
	if d := left(); d >= 0 {
		t.Errorf("with a command without end: kept for %v; want for ever", d)
	}
	command(store.Command{Action: store.Lift})
	between("lifted", day, day+time.Hour)
	command(store.Command{Action: store.Retune, Policy: store.Policy{WindowTime: 5 * time.Hour}, For: time.Hour})
	between("with a window of 5 h", 49*time.Hour, 51*time.Hour)

	c.PExpire(ctx, s.keys.breaker("x"), time.Hour)
	if _, err := s.Read(ctx, "x"); err != nil {
		t.Fatal(err)
	}
	_, _ = s.Versions(ctx, "x")
	_, _ = s.Roster(ctx, "x")
	_, _ = s.History(ctx, "x", 0)
	between("after reads", 0, time.Hour)
	if err := s.Remove(ctx, "x"); err != nil {
		t.Fatal(err)
	}
	between("removed", day, 2*day)
}

// TestReadsWriteNothing is about polling a dashboard that closed the breaker.
func TestReadsWriteNothing(t *testing.T) {
	srv := redistest.Start(t)
	s, c, ctx := openOn(t, srv.URL()), admin(t, srv), context.Background()
	s.Sync(ctx, []store.Report{failures("x", "web#1", 1, 5), failures("y", "web#1", 1, 5)})
	dirty := func() string {
		info, err := c.Info(ctx, "persistence").Result()
		if err != nil {
			t.Fatal(err)
		}
		_, after, _ := strings.Cut(info, "rdb_changes_since_last_save:")
		return strings.Fields(after)[0]
	}
	before := dirty()
	for range 3 {
		if all, err := s.Read(ctx); err != nil || len(all) != 2 {
			t.Fatal(all, err)
		}
		_, _ = s.Read(ctx, "x", "none")
		_, _ = s.Versions(ctx, "x", "none")
		_, _ = s.Roster(ctx, "x")
		_, _ = s.History(ctx, "x", 0)
	}
	if after := dirty(); after != before {
		t.Errorf("the server counted %s changes and now %s", before, after)
	}
}

func TestALostIndexComesBack(t *testing.T) {
	srv := redistest.Start(t)
	s, c, ctx := openOn(t, srv.URL()), admin(t, srv), context.Background()
	names := func() []string {
		t.Helper()
		all, err := s.Read(ctx)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, b := range all {
			out = append(out, b.Name)
		}
		return out
	}
	s.Sync(ctx, []store.Report{failures("b", "web#1", 1, 1), failures("a", "web#1", 1, 1)})
	if got := names(); !slices.Equal(got, []string{"a", "b"}) {
		t.Fatalf("%v", got)
	}
	do(t, c, "del", s.keys.names())
	openOn(t, srv.URL()).Sync(ctx, []store.Report{failures("a", "web#2", 1, 1)}) // a handle that has not reported yet
	if got := names(); !slices.Equal(got, []string{"a"}) {
		t.Errorf("%v; want a", got)
	}
	s.index.added["b"] = time.Now().Add(-indexAgain - time.Second)
	s.Sync(ctx, []store.Report{failures("b", "web#1", 2, 1)})
	if got := names(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("%v; want a and b", got)
	}
	do(t, c, "flushall")
	s.Sync(ctx, []store.Report{failures("b", "web#1", 3, 1)})
	if got := names(); !slices.Equal(got, []string{"b"}) {
		t.Errorf("%v; want b, which is new to the server", got)
	}
}

// TestAStoreThatCameBackEmptyListsWhatReportsAtOnce: each replica had added its names to the index minutes ago, and would
// do so again minutes later only.
func TestAStoreThatCameBackEmptyListsWhatReportsAtOnce(t *testing.T) {
	srv := redistest.Start(t)
	first, second, ctx := openOn(t, srv.URL()), openOn(t, srv.URL()), context.Background()
	report := func(seq uint64) {
		t.Helper()
		for _, r := range append(first.Sync(ctx, []store.Report{failures("a", "web#1", seq, 1), failures("b", "web#1", seq, 1)}),
			second.Sync(ctx, []store.Report{failures("b", "web#2", seq, 1), failures("c", "web#2", seq, 1)})...) {
			if r.Err != nil {
				t.Fatal(r.Err)
			}
		}
	}
	report(1)
	if got, err := srv.Command("FLUSHALL"); err != nil || got != "+OK" {
		t.Fatal(got, err)
	}
	report(2)
	all, err := first.Read(ctx)
	var listed []string
	for _, snapshot := range all {
		listed = append(listed, snapshot.Name)
	}
	if slices.Sort(listed); err != nil || !slices.Equal(listed, []string{"a", "b", "c"}) {
		t.Errorf("after one report of each replica %v are listed, %v", listed, err)
	}
}

// TestANameThatIsNewToTheStoreIsWantedUntilItWasAdded: its addition failed, and nothing is added for a while. Then the name was
// forgotten for ten minutes, since it had been added to the store of before.
func TestANameThatIsNewToTheStoreIsWantedUntilItWasAdded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var x index
		x.note([]string{"a", "b"})
		if !x.wants("a", true) {
			t.Error("a name that is new to the store is not wanted")
		}
		x.pause()
		if x.wants("b", true) {
			t.Error("a name is wanted in a pause")
		}
		time.Sleep(indexPause)
		for _, name := range []string{"a", "b"} {
			if !x.wants(name, false) {
				t.Errorf("%s is not wanted after the pause", name)
			}
		}
		if x.note([]string{"a", "b"}); x.wants("a", false) || x.wants("b", false) {
			t.Error("a name that was added is wanted at once again")
		}
	})
}

// TestTheIndexIsSwept: however many names a flood leaves behind, replicas that live take them out.
func TestTheIndexIsSwept(t *testing.T) {
	srv := redistest.Start(t)
	s, c, ctx := openOn(t, srv.URL()), admin(t, srv), context.Background()
	for i := range 30 {
		flood := []any{"sadd", s.keys.names(), fmt.Sprintf("\xff\x00%d", i)}
		for n := range 100 {
			flood = append(flood, fmt.Sprintf("gone-%d-%d", i, n))
		}
		do(t, c, flood...)
	}
	if all, err := s.Read(ctx); err != nil || len(all) != 0 {
		t.Fatal(all, err)
	}
	seq := uint64(0)
	await.Until(t, "the names that are gone are taken out", func() bool {
		seq++
		for i := range 10 {
			if r := s.Sync(ctx, []store.Report{failures(fmt.Sprintf("b-%d", i), "web#1", seq, 1)})[0]; r.Err != nil {
				t.Fatal(r.Err)
			}
		}
		members, err := c.SMembers(ctx, s.keys.names()).Result()
		living := 0
		for _, m := range members {
			if strings.HasPrefix(m, "b-") {
				living++
			}
		}
		if err != nil || living != 10 {
			t.Fatalf("%d of 10 names that live are listed, %v", living, err)
		}
		return len(members) <= 14 // one in four is not worth a hurry
	})
	if left, err := c.PTTL(ctx, s.keys.names()).Result(); err != nil || left <= 0 {
		t.Errorf("the list is kept for %v, %v; want a time to live", left, err)
	}
}

func TestNamesThatAreGoneCanBeTakenOutAtOnce(t *testing.T) {
	srv := redistest.Start(t)
	s, c, ctx := openOn(t, srv.URL()), admin(t, srv), context.Background()
	s.Sync(ctx, []store.Report{failures("lives", "web#1", 1, 1)})
	for i := range 2500 {
		do(t, c, "sadd", s.keys.names(), fmt.Sprintf("gone-%d", i))
	}
	do(t, c, "sadd", s.keys.names(), "another")
	if err := s.Remove(ctx, "another"); err != nil {
		t.Fatal(err)
	}
	if listed, err := c.SIsMember(ctx, s.keys.names(), "another").Result(); err != nil || listed {
		t.Errorf("a removal leaves the name of a breaker that is gone in the list (%v)", err)
	}
	if _, err := s.Sweep(ctx); err != nil {
		t.Error(err)
	}
	if members, err := c.SMembers(ctx, s.keys.names()).Result(); err != nil || !slices.Equal(members, []string{"lives"}) {
		t.Errorf("%d names are listed, %v; want that which lives", len(members), err)
	}
}

// TestARefusedClaimOfABigFleetWaitsForTheBudget: all replicas of a fleet ask for the few places of a half-open breaker.
func TestARefusedClaimOfABigFleetWaitsForTheBudget(t *testing.T) {
	srv := redistest.Start(t)
	s, ctx := openOn(t, srv.SocketURL(), WithBudget(500)), context.Background()
	const replicas = 400
	fleetOf(t, s, "x", replicas)
	if _, err := s.Command(ctx, store.Command{Name: "x", Action: store.ForceOpen, By: "me"}); err != nil {
		t.Fatal(err)
	}
	result, err := s.Command(ctx, store.Command{Name: "x", Action: store.Lift, By: "me"})
	if err != nil || result.Snapshot.State != store.HalfOpen {
		t.Fatal(result.Snapshot, err)
	}
	claim := func(i int) store.Grant {
		t.Helper()
		g, err := s.Claim(ctx, store.Claim{Name: "x", ID: fmt.Sprint(i), Replica: fmt.Sprintf("web-%d#1", i), Want: 1})
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	for i := range result.Snapshot.Policy.Probes {
		if len(claim(i).Leases) != 1 {
			t.Fatalf("claim %d gets no lease", i)
		}
	}
	var sum time.Duration
	for i := range 50 {
		g := claim(100 + i)
		if len(g.Leases) > 0 {
			t.Fatal("there is a place too many")
		}
		sum += g.RetryIn
	}
	if rate := replicas / (sum / 50).Seconds(); rate > 700 {
		t.Errorf("%d replicas that are refused ask %.0f times a second; want the budget of 500, about", replicas, rate)
	}
}

// TestTheRosterIsSwept: replicas that died do not stay, and those that live do.
func TestTheRosterIsSwept(t *testing.T) {
	now := time.UnixMilli(nowMillis)
	srv := redistest.Start(t)
	s := openOn(t, srv.SocketURL(), WithClock(func() time.Time { return now }))
	c, ctx := admin(t, srv), context.Background()
	fleetOf(t, s, "x", 300)
	now = now.Add(2 * time.Minute)
	seq := uint64(1)
	report := func(replica string) {
		t.Helper()
		seq++
		if r := s.Sync(ctx, []store.Report{failures("x", replica, seq, 1)})[0]; r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	for range 200 {
		report("web-7#1")
		report("new#1")
	}
	now = now.Add(30 * time.Second) // what one slice's sweep leaves behind, the next one's takes
	for range 10 {
		report("web-7#1")
		report("new#1")
	}
	roster, err := s.Roster(ctx, "x")
	if err != nil || len(roster) != 2 {
		t.Fatalf("%v, %v; want the two that live", roster, err)
	}
	fields, err := c.HKeys(ctx, s.keys.breaker("x")).Result()
	if err != nil {
		t.Fatal(err)
	}
	var kept []string
	for _, f := range fields {
		if strings.HasPrefix(f, "r:") || strings.HasPrefix(f, "q") {
			kept = append(kept, f)
		}
	}
	slices.Sort(kept)
	if !slices.Equal(kept, []string{"q0", "q1", "r:new#1", "r:web-7#1"}) {
		t.Errorf("the hash keeps %v; want the two that live", kept)
	}
}

// TestAPolicyThatDiffersTakesRoomOnlyWhileItDiffers: the hash keeps it until its replica agrees, or is gone.
func TestAPolicyThatDiffersTakesRoomOnlyWhileItDiffers(t *testing.T) {
	now := time.UnixMilli(nowMillis)
	srv := redistest.Start(t)
	s := openOn(t, srv.SocketURL(), WithClock(func() time.Time { return now }))
	c, ctx := admin(t, srv), context.Background()
	seq := uint64(0)
	report := func(replica string, change func(r *store.Report)) {
		t.Helper()
		seq++
		r := plainReport(replica, seq)
		change(&r)
		if got := s.Sync(ctx, []store.Report{r})[0]; got.Err != nil {
			t.Fatal(got.Err)
		}
	}
	agrees := func(*store.Report) {}
	differs := func(r *store.Report) { r.Policy.OpenFor = 9 * time.Second }
	kept := func(when string, want ...string) {
		t.Helper()
		fields, err := c.HKeys(ctx, s.keys.breaker("x")).Result()
		if err != nil {
			t.Fatal(err)
		}
		fields = slices.DeleteFunc(fields, func(f string) bool { return !strings.HasPrefix(f, "p:") })
		if slices.Sort(fields); !slices.Equal(fields, want) {
			t.Errorf("%s the hash keeps %v; want %v", when, fields, want)
		}
	}
	report("a#1", agrees)
	report("b#1", differs)
	report("c#1", differs)
	kept("while two differ", "p:b#1", "p:c#1")
	report("b#1", agrees)
	kept("while one differs", "p:c#1")
	report("a#1", func(r *store.Report) { differs(r); r.Announce = true })
	report("b#1", func(r *store.Report) { differs(r); r.Known = store.Known{} })
	snapshots, err := s.Read(ctx, "x")
	if err != nil || len(snapshots) != 1 {
		t.Fatal(snapshots, err)
	}
	report("c#1", func(r *store.Report) { differs(r); r.Known = snapshots[0].Known() }) // which the fast path must not take
	kept("after the announcement")
	report("d#1", agrees)
	kept("while another differs", "p:d#1")
	for range 3 {
		now = now.Add(30 * time.Second)
		for range 5 {
			report("a#1", differs)
		}
	}
	kept("when it is gone")
}

// TestAScriptsTimeDoesNotGrowWithTheRoster compares what the server spends, by the least of many batches.
func TestAScriptsTimeDoesNotGrowWithTheRoster(t *testing.T) {
	if testing.Short() {
		t.Skip("it measures: not with -short")
	}
	s, client := benchServer(t)
	fleetOf(t, s, "small", 10)
	fleetOf(t, s, "large", 1000)
	seqs := map[string]*uint64{"small": new(uint64), "large": new(uint64)}
	*seqs["small"], *seqs["large"] = 1, 1
	least := map[string]float64{"small": 1e9, "large": 1e9}
	for range 40 {
		for _, name := range []string{"small", "large"} { // by turns: the machine's load changes
			least[name] = min(least[name], syncTime(t, s, client, name, 3, seqs[name]))
		}
		if least["large"] <= 1.3*least["small"] {
			break
		}
	}
	t.Logf("a report of 100 outcomes: %.0f µs in a roster of 10, %.0f µs in one of 1000", least["small"], least["large"])
	if least["large"] > 1.3*least["small"] {
		t.Errorf("the script's time grows with the roster: %.0f µs for 10 replicas, %.0f µs for 1000", least["small"], least["large"])
	}
}

// TestNoReportIsJudgedOneByOneAtFullPrice compares what the server spends on 4096 adverse outcomes in 256 runs. If a quorum
// was missing, each of them was judged, for some sixty times of what they cost if no rule is near.
func TestNoReportIsJudgedOneByOneAtFullPrice(t *testing.T) {
	if testing.Short() {
		t.Skip("it measures: not with -short")
	}
	s, client := benchServer(t)
	least := make([]float64, len(hardReports))
	const plain, most = 1, 4.0
	for i := range least {
		least[i] = 1e9
	}
	for range 20 {
		dear := 0
		for i := range hardReports { // by turns: the machine's load changes
			least[i] = min(least[i], hardTime(t, s, client, i, 3))
			if least[i] > most*least[plain] {
				dear++
			}
		}
		if dear == 0 {
			break
		}
	}
	for i, hard := range hardReports {
		t.Logf("%4.0f µs: %s", least[i], hard.name)
		if least[i] > most*least[plain] {
			t.Errorf("%s: %.0f µs, which is more than %v times the %.0f µs of a report that is not judged", hard.name, least[i], most, least[plain])
		}
	}
}

func TestErrorsSayWhatTheyAre(t *testing.T) {
	srv := miniredis.RunT(t)
	s := openOn(t, "redis://"+srv.Addr())
	srv.SetError("LOADING so it is")
	err := s.Sync(context.Background(), []store.Report{failures("x", "web#1", 1, 1)})[0].Err
	var failed *Error
	if !errors.As(err, &failed) || errors.Is(err, store.ErrInvalid) || errors.Is(err, store.ErrUnknown) {
		t.Errorf("%v; want an *Error", err)
	}
}
