package topology

import (
	"context"
	_ "embed"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
	"github.com/commontrip/commontrip/tests/fleet"
	"github.com/commontrip/commontrip/tests/redistest"
)

//go:embed testdata/skew.c
var skewSource []byte

// skewed is a redis-server whose clock can jump.
type skewed struct {
	*redistest.Server
	file string
}

// startSkewed compiles what is preloaded, for this machine's C library.
func startSkewed(t *testing.T) skewed {
	t.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil {
		const hint = "cc is not in PATH; get it with: apt-get install gcc libc6-dev"
		if os.Getenv("REQUIRE_CC") == "1" {
			t.Fatal(hint)
		}
		t.Skip(hint)
	}
	dir := t.TempDir()
	source, library := filepath.Join(dir, "skew.c"), filepath.Join(dir, "skew.so")
	s := skewed{file: filepath.Join(dir, "skew")}
	if err := os.WriteFile(source, skewSource, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), cc, "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library, source).CombinedOutput(); err != nil {
		t.Fatalf("cc: %v\n%s", err, out)
	}
	s.jump(t, 0)
	s.Server = redistest.Host{Env: []string{"LD_PRELOAD=" + library, "SKEW_FILE=" + s.file}}.Start(t)
	return s
}

// jump sets how far the server's clock is off, and waits until it says so.
func (s skewed) jump(t *testing.T, off time.Duration) {
	t.Helper()
	f, err := os.OpenFile(s.file, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(off.Milliseconds())), 0); err != nil {
		t.Fatal(err)
	}
	if s.Server == nil {
		return
	}
	await.Eventually(t, "the server's clock has jumped", func() string {
		text, err := s.Text("EVAL", "return redis.call('TIME')[1]", "0")
		seconds, _ := strconv.ParseInt(text, 10, 64)
		if is := time.Until(time.Unix(seconds, 0)); err != nil || (is-off).Abs() > time.Minute {
			return fmt.Sprintf("it is off by %v, %v", is, err)
		}
		return ""
	})
}

const (
	clockOpenFor = 2 * time.Second
	clockLease   = 2 * time.Second
	timedFor     = 30 * time.Minute // of a command that ends
)

// TestScenario14TheClockOfRedisJumps lets it jump there and back, each time with a breaker in every state.
func TestScenario14TheClockOfRedisJumps(t *testing.T) {
	scenario := scoreboard.Start(t, 14, "Redis clock jumps")
	jumps := []time.Duration{time.Hour, -time.Hour, 24 * time.Hour, -24 * time.Hour}
	var c clockScenario
	for range scoreboard.Pick(scenario, 1, 5) {
		for _, off := range jumps {
			c.play(t, off)
		}
	}
	scenario.Report("jumps", c.jumps)
	scenario.Zero("breakers stuck open", c.stuckOpen)
	// A step back costs the time in which no script ran: at the latest the first claim, after OpenFor, is one.
	scenario.Within("jump until an open one has closed", longest(c.open), 2*clockOpenFor+time.Second)
	scenario.Zero("leases stuck", c.stuckLeases)
	scenario.Within("jump until one whose probes died has closed", longest(c.leases), clockLease+time.Second)
	scenario.Zero("closed breakers that moved", c.falseMoves)
	scenario.Zero("standing commands lost", c.lostCommands)
	scenario.Zero("timed commands that a step back made longer", c.stretched)
	scenario.Zero("verdicts forgotten with their key", c.forgotten)
	scenario.Zero("transitions whose generation did not grow", c.generationsBack)
	scenario.Within("until all hold one view", longest(c.converged), 2*time.Second)
	fleet.Tally(t, scenario, c.fleets...)
}

func longest(spans []time.Duration) (d time.Duration) {
	for _, s := range spans {
		d = max(d, s)
	}
	return d
}

// clockScenario is what the jumps add up to.
type clockScenario struct {
	fleets                             []*fleet.Fleet
	jumps                              int
	stuckOpen, stuckLeases, falseMoves int
	lostCommands, stretched, forgotten int
	generationsBack                    int
	open, leases, converged            []time.Duration
}

// play jumps there, and back, on a server of its own.
func (c *clockScenario) play(t *testing.T, off time.Duration) {
	server := startSkewed(t)
	defer server.Kill()
	f := fleet.New(t, 3, func(int) (store.Store, error) { return redisstore.Open(server.URL()) }, nil)
	defer f.Close()
	c.fleets = append(c.fleets, f)
	brief := store.Policy{
		ConsecutiveFailures: 3, OpenFor: clockOpenFor, Probes: 2, ProbeSuccesses: 2, ProbeLease: clockLease,
	}
	long := store.Policy{ConsecutiveFailures: 3, OpenFor: 24 * time.Hour}
	for name, policy := range map[string]store.Policy{
		"closed": brief, "open": brief, "half-open": brief, "forced": brief, "timed": brief, "expiring": long,
	} {
		f.Register(name, policy)
	}
	truth := openTest(t, server.URL())
	f.Replicas[0].Command(t, store.Command{Name: "forced", Action: store.ForceOpen})
	fleet.All(t, "the command is heard", f.Replicas, "forced", func(s breaker.Status) bool { return s.Mode == store.ForcedOpen })
	rest := fleet.Work(f.Replicas, 10*time.Millisecond, "closed", "forced", "expiring")
	defer rest()
	for _, to := range []time.Duration{off, 0} {
		c.jump(t, server, f, truth, to)
	}
	rest()
	took, _ := f.Converge(truth)
	c.converged = append(c.converged, took)
	if n := f.Tier("forced").Count().Calls; n > 0 {
		t.Errorf("%d calls went through a breaker that is forced open", n)
		c.lostCommands++
	}
}

// jump brings breakers into their states, lets the clock jump to where it is off by so much, and sees what becomes of them.
func (c *clockScenario) jump(t *testing.T, server skewed, f *fleet.Fleet, truth store.Store, to time.Duration) {
	t.Helper()
	c.jumps++
	operator := f.Replicas[0]
	operator.Command(t, store.Command{Name: "timed", Action: store.ForceOpen, For: timedFor})
	operator.Command(t, store.Command{Name: "expiring", Action: store.Trip})
	if line, err := server.Command("PEXPIRE", "commontrip:{expiring}", fmt.Sprint(timedFor.Milliseconds())); err != nil || line != ":1" {
		t.Fatal(line, err)
	}
	operator.Command(t, store.Command{Name: "half-open", Action: store.Trip, For: time.Millisecond})
	takeAll(t, truth, "half-open", 2)
	operator.Command(t, store.Command{Name: "open", Action: store.Trip})
	before := read(t, truth)
	server.jump(t, to)
	jumped := time.Now()

	rest := fleet.Work(f.Replicas, 5*time.Millisecond, "open", "half-open")
	closed := map[string]time.Duration{}
	soon(func() bool {
		now := read(t, truth)
		for _, name := range []string{"open", "half-open"} {
			if _, is := closed[name]; !is && now[name].State == store.Closed {
				closed[name] = time.Since(jumped)
			}
		}
		return len(closed) == 2
	})
	for name, seen := range map[string]struct {
		stuck *int
		took  *[]time.Duration
	}{"half-open": {&c.stuckLeases, &c.leases}, "open": {&c.stuckOpen, &c.open}} {
		if took, is := closed[name]; is {
			*seen.took = append(*seen.took, took)
		} else {
			*seen.stuck++
		}
	}
	rest()
	if !soon(func() bool { return read(t, truth)["expiring"].State == store.Open }) {
		c.forgotten++
	}
	after := read(t, truth)
	for _, name := range []string{"open", "half-open"} {
		if after[name].Generation <= before[name].Generation {
			c.generationsBack++
		}
	}
	if after["expiring"].Generation < before["expiring"].Generation {
		c.forgotten++
	}
	if after["closed"].Generation != before["closed"].Generation || after["closed"].State != store.Closed {
		c.falseMoves++
	}
	if after["forced"].Mode != store.ForcedOpen {
		c.lostCommands++
	}
	if left := after["timed"].ModeNote.EndsIn; left > timedFor {
		t.Errorf("a command for %v ends in %v", timedFor, left)
		c.stretched++
	}
}

// takeAll leases all probes of a breaker for a replica that dies with them.
func takeAll(t *testing.T, s store.Store, name string, probes int) {
	t.Helper()
	await.Eventually(t, "all probes are leased", func() string {
		g, err := s.Claim(t.Context(), store.Claim{
			Name: name, ID: "dead", Policy: store.DefaultPolicy(), Replica: "dead#1", Want: probes,
		})
		if err == nil && len(g.Leases) == probes {
			return ""
		}
		return fmt.Sprint(g, err)
	})
}

func read(t *testing.T, s store.Store) map[string]store.Snapshot {
	t.Helper()
	all, err := s.Read(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]store.Snapshot{}
	for _, snapshot := range all {
		byName[snapshot.Name] = snapshot
	}
	return byName
}

// soon waits for what is counted if it does not come.
func soon(met func() bool) bool {
	waiting, cancel := await.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for ; waiting.Err() == nil; <-time.After(5 * time.Millisecond) {
		if met() {
			return true
		}
	}
	return false
}
