package upgrade

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/commontrip/commontrip/internal/lab/process"
	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/redistest"
)

// sight is what an agent prints.
type sight struct {
	State, Mode, Verdict string
	StoreUp              bool
	Calls, Lost          uint64
	Pending              int
	Heard                map[string]int
}

// buildAgents builds the agent of the old release and that of this one.
func buildAgents(t *testing.T) (old, now string) {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	tree := filepath.Join(dir, "tree")
	if err := os.MkdirAll(tree, 0o755); err != nil {
		t.Fatal(err)
	}
	base, err := os.ReadFile("../api/base.txt") // the commit of the last release, with which this one shares stores
	if err != nil {
		t.Fatal(err)
	}
	oldRelease := strings.TrimSpace(string(base))
	archive := filepath.Join(dir, "old.tar")
	if out, err := command(root, "git", "archive", "-o", archive, oldRelease); err != nil {
		if os.Getenv("REQUIRE_OLD_RELEASE") == "1" {
			t.Fatalf("the old release %s is not in this tree's history: %v\n%s", oldRelease, err, out)
		}
		t.Skipf("the old release %s is not in this tree's history (REQUIRE_OLD_RELEASE=1: or fail): %v", oldRelease, err)
	}
	agent := filepath.Join(tree, "tests", "upgrade", "agent")
	source, err := os.ReadFile("agent/main.go")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := command(root, "tar", "-xf", archive, "-C", tree); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := os.MkdirAll(agent, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(agent, "main.go"), source, 0o644); err != nil {
		t.Fatal(err)
	}
	old, now = filepath.Join(dir, "old"), filepath.Join(dir, "now")
	for binary, in := range map[string]string{old: tree, now: root} {
		if out, err := command(in, "go", "build", "-o", binary, "./tests/upgrade/agent"); err != nil {
			t.Fatalf("in %s: %v\n%s", in, err, out)
		}
	}
	return old, now
}

func command(dir, name string, args ...string) ([]byte, error) {
	c := exec.Command(name, args...)
	c.Dir = dir
	return c.CombinedOutput()
}

// agent is a replica in a process of its own.
type agent struct {
	t     *testing.T
	name  string
	child *process.Child[string, sight]

	mu   sync.Mutex
	last sight
}

func start(t *testing.T, binary, url, name string) *agent {
	t.Helper()
	a := &agent{t: t, name: name}
	var err error
	a.child, err = process.Start[string, sight](process.Spec{Name: name, Path: binary, Args: []string{"-url", url, "-name", name}}, a.hear)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.child.Kill)
	a.until("has started", func(s sight) bool { return s.StoreUp && s.Calls > 0 })
	return a
}

func (a *agent) hear(s sight) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last = s
}

func (a *agent) sees() sight {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last
}

func (a *agent) until(what string, met func(sight) bool) {
	a.t.Helper()
	await.Eventually(a.t, a.name+" "+what, func() string {
		if s := a.sees(); !met(s) {
			return fmt.Sprintf("it sees %+v\n%s", s, a.child.Log())
		}
		return ""
	})
}

// do tells the agent to do something, and gives what it sees then.
func (a *agent) do(line string) sight {
	a.t.Helper()
	waiting, cancel := await.WithTimeout(a.t.Context(), time.Minute)
	defer cancel()
	s, err := a.child.Ask(waiting, line)
	if err != nil {
		a.t.Fatalf("told to %s: %v", line, err)
	}
	a.hear(s)
	return s
}

// quit ends the agent and gives what it saw last.
func (a *agent) quit() sight {
	a.t.Helper()
	s := a.do("quit")
	<-a.child.Ended()
	return s
}

// TestAnOldReleaseAndThisOneShareAStore: a fleet is upgraded replica by replica, and back.
func TestAnOldReleaseAndThisOneShareAStore(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds the old release")
	}
	old, now := buildAgents(t)
	for _, c := range []struct {
		name, first, second string
		forgets             bool
	}{
		{"upgrade", old, now, false},
		{"downgrade", now, old, false},
		{"upgrade of a store that forgets", old, now, true},
		{"downgrade of a store that forgets", now, old, true},
	} {
		t.Run(c.name, func(t *testing.T) { sharedStore(t, c.first, c.second, c.forgets) })
	}
}

func sharedStore(t *testing.T, first, second string, forgets bool) {
	srv := redistest.Start(t)
	a := start(t, first, srv.URL(), "first")
	b := start(t, second, srv.URL(), "second")
	both := []*agent{a, b}
	all := func(what string, met func(sight) bool) {
		t.Helper()
		for _, x := range both {
			x.until(what, met)
		}
	}
	settled := func() {
		t.Helper()
		all("is closed", func(s sight) bool { return s.State == "closed" && s.Mode == "auto" && s.Verdict == "fleet" })
	}
	settled()
	for i, x := range both {
		other := both[1-i]
		for _, y := range both {
			y.do("fail")
		}
		all("is open", func(s sight) bool { return s.State == "open" })
		for _, y := range both {
			y.do("ok")
		}
		settled()
		x.do("command force-open")
		all("is forced open", func(s sight) bool { return s.Mode == "forced-open" })
		other.do("command lift")
		settled()
		x.do("command retune")
		other.do("command restore")
		x.do("command trip")
		settled()
		for _, y := range both {
			y.do("history")
		}
	}
	reader, err := redisstore.Open(srv.URL(), redisstore.WithPrefix("upgrade"), redisstore.WithTimeout(30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	// The store loses its memory, and is told by both.
	if forgets {
		a.do("command force-closed")
		all("is forced closed", func(s sight) bool { return s.Mode == "forced-closed" })
		if got, err := srv.Command("FLUSHALL"); err != nil || got != "+OK" {
			t.Fatal(got, err)
		}
		await.Until(t, "a replica tells the store what it has lost", func() bool {
			snapshots, err := reader.Read(t.Context(), "tier")
			return err == nil && len(snapshots) == 1 && snapshots[0].Mode == store.ForcedClosed
		})
		b.do("command lift")
		settled()
	}

	// One goes, and the other goes on.
	ends := []sight{a.quit()}
	calls := b.sees().Calls
	b.until("goes on alone", func(s sight) bool { return s.Calls > calls+100 && s.State == "closed" })
	ends = append(ends, b.quit())
	for i, s := range ends {
		if s.Lost > 0 || s.Pending > 0 || s.Heard["store-lost"] > 0 || s.Heard["disowned"] > 0 {
			t.Errorf("%s ends as %+v", both[i].name, s)
		}
	}
	snapshots, err := reader.Read(t.Context(), "steady")
	if err != nil || len(snapshots) != 1 {
		t.Fatal(snapshots, err)
	}
	if got, want := snapshots[0].Totals, ends[0].Calls+ends[1].Calls; !forgets && (got.Calls != want || got.Late > 0) {
		t.Errorf("of %d outcomes the store counts %+v", want, got)
	}
}
