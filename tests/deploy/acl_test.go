package deploy

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
	"github.com/commontrip/commontrip/store/storetest"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
	"github.com/commontrip/commontrip/tests/redistest"
)

const (
	users  = "../../deploy/redis-users.acl"
	writer = "commontrip"
	viewer = "commontrip-viewer"
	secret = "not-a-secret"
)

// secured is a server that has loaded the users' file, each user switched on as docs/operations.md says.
type secured struct {
	*redistest.Server
	admin *redis.Client
}

func secure(t *testing.T, args ...string) *secured {
	t.Helper()
	file, err := os.ReadFile(users)
	if err != nil {
		t.Fatal(err)
	}
	own := t.TempDir() + "/users.acl"
	if err := os.WriteFile(own, file, 0o600); err != nil {
		t.Fatal(err)
	}
	s := &secured{Server: redistest.Start(t, append([]string{"--aclfile", own}, args...)...)}
	s.admin = redis.NewClient(&redis.Options{Addr: s.Addr()})
	t.Cleanup(func() { _ = s.admin.Close() })
	for _, user := range []string{writer, viewer} {
		s.must(t, "acl", "setuser", user, "on", ">"+secret)
	}
	return s
}

func (s *secured) must(t testing.TB, args ...any) {
	t.Helper()
	if err := s.admin.Do(context.Background(), args...).Err(); err != nil {
		t.Fatal(args, err)
	}
}

func (s *secured) url(user string) string { return "redis://" + user + ":" + secret + "@" + s.Addr() }

func (s *secured) as(t *testing.T, user string) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: s.Addr(), Username: user, Password: secret, DisableIdentity: true})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// patient lets a busy machine take its time: what is tested here are rights.
var patient = redisstore.WithTimeout(10 * time.Second)

func open(t testing.TB, url string) *redisstore.Store {
	t.Helper()
	s, err := redisstore.Open(url, patient)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestTheUserOfReplicasMayDoAllThatAStoreDoes(t *testing.T) {
	s := secure(t)
	storetest.Run(t, func(t testing.TB) storetest.Harness {
		s.must(t, "flushall")
		return storetest.Harness{
			Open: func(t testing.TB, now func() time.Time) store.Store {
				opened, err := redisstore.Open(s.url(writer), redisstore.WithClock(now), patient)
				if err != nil {
					t.Fatal(err)
				}
				return opened
			},
			Wipe: func(t testing.TB) { s.must(t, "flushall") },
		}
	})
}

// trip lets a store do something of every kind with a breaker, on the server's own clock, and wants nothing denied.
func trip(t *testing.T, name string, s *redisstore.Store, watched store.Store) {
	t.Helper()
	ctx, cancel := await.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	stood, pushed := make(chan bool, 64), make(chan bool, 64)
	go func() {
		_ = watched.Watch(ctx, func(e store.Event) {
			if e.Resync {
				stood <- true
			} else {
				pushed <- true
			}
		})
	}()
	arrives(ctx, t, stood, "the subscription")
	policy := store.Policy{ConsecutiveFailures: 2, OpenFor: time.Millisecond}
	report := store.Report{
		Name: name, Policy: policy, Replica: "a#1", Announce: true, Seq: 1, MaxAge: time.Second,
		Runs: []store.Run{{Outcome: store.Failure, Count: 2, Label: "timeout"}},
	}
	ok := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	ok("Sync", s.Sync(ctx, []store.Report{report})[0].Err)
	arrives(ctx, t, pushed, "the push")
	var grant store.Grant
	for len(grant.Leases) == 0 && ctx.Err() == nil {
		var err error
		grant, err = s.Claim(ctx, store.Claim{Name: name, ID: "c", Policy: policy, Replica: "a#1", Want: 1})
		ok("Claim", err)
	}
	for _, l := range grant.Leases {
		_, err := s.Settle(ctx, store.Settlement{Lease: l, Replica: "a#1", Outcome: store.Success})
		ok("Settle", err)
	}
	for _, c := range []store.Command{{Action: store.ForceOpen}, {Action: store.Lift}, {Action: store.Retune, Policy: policy}} {
		c.Name, c.By = name, "oncall"
		_, err := s.Command(ctx, c)
		ok(c.Action.String(), err)
	}
	look(ctx, t, name, s)
	ok("Ping", s.Ping(ctx))
	ok("Remove", s.Remove(ctx, name))
	if p := s.Pushes(); p.Denied > 0 {
		t.Errorf("%d pushes were denied", p.Denied)
	}
}

func look(ctx context.Context, t *testing.T, name string, s store.Store) {
	t.Helper()
	all, err := s.Read(ctx)
	one, err2 := s.Read(ctx, name)
	versions, err3 := s.Versions(ctx, name)
	roster, err4 := s.Roster(ctx, name)
	history, err5 := s.History(ctx, name, 0)
	if err := errors.Join(err, err2, err3, err4, err5); err != nil {
		t.Error(err)
	}
	if len(all) == 0 || len(one) != 1 || len(versions) != 1 || len(roster) != 1 || len(history) == 0 {
		t.Errorf("seen: %d of all, %d named, %d versions, %d replicas, %d entries", len(all), len(one), len(versions), len(roster), len(history))
	}
}

func arrives(ctx context.Context, t *testing.T, c <-chan bool, what string) {
	t.Helper()
	select {
	case <-c:
	case <-ctx.Done():
		t.Fatalf("waited in vain for %s", what)
	}
}

func TestNoRightIsGivenThatIsNotUsed(t *testing.T) {
	s := secure(t)
	replica := open(t, s.url(writer))
	trip(t, "mcp", replica, replica)
	// Index upkeep comes by chance: names whose breakers are gone are taken out.
	s.must(t, "sadd", "commontrip:names", "gone")
	trip(t, "sdk", open(t, s.url(writer)), replica)
	stats, err := s.admin.Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	// In a Cluster, for pushes that are no longer wanted, if the roster is swept: not here.
	elsewhere := []string{"cluster|slots", "asking", "unsubscribe", "hdel"}
	for _, right := range rights(t, writer) {
		if slices.Contains(elsewhere, right) {
			continue
		}
		if !strings.Contains(stats, "cmdstat_"+right+":") {
			t.Errorf("+%s is granted, and nothing used it:\n%s", right, stats)
		}
	}
}

// rights are the commands that the file grants to a user.
func rights(t *testing.T, user string) (commands []string) {
	t.Helper()
	file, err := os.ReadFile(users)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(file)) {
		if words := strings.Fields(line); words[1] == user {
			for _, w := range words[2:] {
				if c, ok := strings.CutPrefix(w, "+"); ok {
					commands = append(commands, c)
				}
			}
		}
	}
	if len(commands) == 0 {
		t.Fatalf("no user %s in the file", user)
	}
	return commands
}

// trespass lets both users try what is none of theirs.
func trespass(t *testing.T) (commands, allowed int) {
	s := secure(t)
	s.must(t, "set", "foreign", "1")
	s.must(t, "hset", "foreign:h", "f", "1")
	for _, user := range []string{writer, viewer} {
		c := s.as(t, user)
		for _, args := range [][]any{
			{"flushall"},
			{"flushdb"},
			{"keys", "*"},
			{"scan", "0"},
			{"dbsize"},
			{"randomkey"},
			{"config", "get", "*"},
			{"config", "set", "maxmemory", "1"},
			{"shutdown"},
			{"acl", "list"},
			{"acl", "setuser", user, "+@all"},
			{"client", "kill", "id", "1"},
			{"monitor"},
			{"info"},
			{"script", "flush"},
			{"script", "kill"},
			{"function", "flush"},
			{"replicaof", "no", "one"},
			{"cluster", "reset"},
			{"get", "foreign"},
			{"set", "foreign", "2"},
			{"del", "foreign"},
			{"del", "commontrip:names"},
			{"hmget", "foreign:h", "f"},
			{"hset", "foreign:h", "f", "2"},
			{"smembers", "foreign"},
			{"hmget", "commontripped:{mcp}", "v"},
			{"eval", "return redis.call('HMGET', KEYS[1], 'f')", "1", "foreign:h"},
			{"eval", "return redis.call('HMGET', 'foreign:h', 'f')", "0"},
			{"eval", "return redis.call('FLUSHALL')", "0"},
			{"eval", "return redis.call('PUBLISH', 'foreign', 'x')", "0"},
			{"publish", "foreign", "x"},
			{"subscribe", "foreign"},
			{"psubscribe", "*"},
			{"subscribe", "commontrip:other"},
			{"rename", "foreign", "commontrip:x"},
			{"restore", "commontrip:x", "0", "x"},
			{"migrate", "h", "1", "k", "0", "1"},
		} {
			commands++
			s.must(t, "acl", "log", "reset")
			if err := c.Do(t.Context(), args...).Err(); err == nil || !s.refused(t, user) {
				allowed++
				t.Errorf("%s: %v: %v; want it refused", user, args, err)
			}
		}
	}
	return commands, allowed
}

// refused reports whether the server logged that this user lacks a right. What it answers is worded by each release in its
// own way, and in a script otherwise than outside.
func (s *secured) refused(t *testing.T, user string) bool {
	t.Helper()
	entries, err := s.admin.ACLLog(t.Context(), 10).Result()
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(entries, func(e *redis.ACLLogEntry) bool { return e.Username == user })
}

func TestWhatIsNoneOfOursIsRefused(t *testing.T) { trespass(t) }

func TestScenario36NothingBeyondTheListIsAllowed(t *testing.T) {
	scenario := scoreboard.Start(t, 36, "the least rights: commands, keys and channels that are none of ours")
	commands, allowed := trespass(t)
	scenario.AtLeast("commands tried", commands, 50)
	scenario.Zero("commands allowed beyond the list", allowed)
}

func TestTheViewerSeesAllAndChangesNothing(t *testing.T) {
	s := secure(t)
	replica, watcher := open(t, s.url(writer)), open(t, s.url(viewer))
	ctx := t.Context()
	report := store.Report{
		Name: "mcp", Policy: store.DefaultPolicy(), Replica: "a#1", Seq: 1, MaxAge: time.Second,
		Runs: []store.Run{{Outcome: store.Failure, Count: 5}},
	}
	if r := replica.Sync(ctx, []store.Report{report})[0]; r.Err != nil || r.Made == nil {
		t.Fatalf("%+v", r)
	}
	look(ctx, t, "mcp", watcher)
	before, _ := replica.Versions(ctx, "mcp")
	report.Seq++
	if r := watcher.Sync(ctx, []store.Report{report})[0]; r.Err == nil {
		t.Error("the viewer reports")
	}
	if _, err := watcher.Command(ctx, store.Command{Name: "mcp", Action: store.Reset, By: "viewer"}); err == nil {
		t.Error("the viewer commands")
	}
	if err := watcher.Remove(ctx, "mcp"); err == nil {
		t.Error("the viewer removes")
	}
	if after, _ := replica.Versions(ctx, "mcp"); !slices.Equal(before, after) {
		t.Errorf("%v became %v", before, after)
	}
	trip(t, "sdk", replica, watcher) // whose pushes the viewer hears
}

func TestAClusterNeedsNoMore(t *testing.T) {
	s := secure(t, "--cluster-enabled", "yes")
	if err := s.admin.ClusterAddSlotsRange(t.Context(), 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	await.Until(t, "the Cluster comes up", func() bool {
		info, err := s.admin.ClusterInfo(t.Context()).Result()
		return err == nil && strings.Contains(info, "cluster_state:ok")
	})
	replica := open(t, s.url(writer)+"?addr="+s.Addr())
	watcher := open(t, s.url(viewer)+"?addr="+s.Addr())
	trip(t, "mcp", replica, watcher)
	if replica.Lane("mcp") == 0 && replica.Lane("sdk") == 0 && replica.Lane("rest") == 0 {
		t.Error("it was taken for a single server")
	}
}

func TestNobodyGetsInBeforeAPasswordIsSet(t *testing.T) {
	file, err := os.ReadFile(users)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(file)) {
		if words := strings.Fields(line); !slices.Contains(words, "off") || !slices.Contains(words, "resetpass") ||
			!slices.Contains(words, "-@all") || slices.Contains(words, "nopass") {
			t.Errorf("not shut: %s", line)
		}
	}
}
