package topology

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
	"github.com/commontrip/commontrip/tests/fleet"
)

// Watched is a master with replicas under Sentinels.
type Watched struct {
	Nodes     []Node
	Sentinels []Node
	Name      string                            // of the master, to the Sentinels
	Open      func() (store.Store, error)       // by the Sentinels
	Direct    func(n Node) (store.Store, error) // at one node
}

// Blow is what befalls a master.
type Blow uint8

// The blows.
const (
	Killed  Blow = iota // it dies, and comes back empty
	Stopped             // it hangs, and goes on
)

// Failovers strikes the master once for each blow, under load, and lets the Sentinels find another one. The node that was
// struck comes back as a replica, but for the last.
func Failovers(t *testing.T, scenario *scoreboard.Scenario, w Watched, blows []Blow) {
	f := fleet.New(t, 5, func(int) (store.Store, error) { return w.Open() }, nil)
	for _, name := range []string{"tier", "pushed"} {
		f.Register(name, store.DefaultPolicy())
	}
	call(f.Replicas, "pushed", 1)
	rest := fleet.Work(f.Replicas, 5*time.Millisecond, "tier")
	defer rest()
	e := ears(t, f)
	var spans failoverSpans
	left := 0
	for i, blow := range blows {
		struck, promoted := w.strike(t, f, e, blow, &spans)
		if i == len(blows)-1 && blow == Killed {
			break
		}
		left += w.comeBack(t, struck, promoted, blow, i == len(blows)-1)
	}
	rest()
	master, err := w.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	took, _ := f.Converge(master)
	scenario.Report("failovers", len(blows))
	scenario.Zero("subscribers left on an old master", left)
	spans.report(scenario)
	scenario.Within("until all hold one view", took, 2*fleet.Refresh)
	f.Tally(scenario)
}

// failoverSpans are times of each failover. A replica's role is the first to change; no client can find it before a Sentinel
// names it, which Sentinels do after they have asked it, once a second.
type failoverSpans struct{ role, named, pushes, pushesFromRole, verdict []time.Duration }

func (s *failoverSpans) report(scenario *scoreboard.Scenario) {
	for _, of := range []struct {
		name  string
		spans []time.Duration
		bar   time.Duration
	}{
		{"blow until a replica is a master", s.role, 0},
		{"master until a Sentinel names it", s.named, 0},
		{"master until every replica hears its pushes", s.pushesFromRole, 0},
		{"named until every replica hears its pushes", s.pushes, time.Second},
		{"named until the fleet's verdict rules again", s.verdict, time.Second},
	} {
		slices.Sort(of.spans)
		n := len(of.spans)
		scenario.Report(of.name+", least", of.spans[0])
		scenario.Report(of.name+", median", of.spans[n/2])
		if of.bar == 0 {
			scenario.Report(of.name+", largest", of.spans[n-1])
		} else {
			scenario.Within(of.name+", largest", of.spans[n-1], of.bar)
		}
	}
}

// strike hits the master and waits for what follows.
func (w Watched) strike(t *testing.T, f *fleet.Fleet, e *listening, blow Blow, spans *failoverSpans) (struck, next Node) {
	t.Helper()
	struck = w.Settled(t)
	e.reset()
	start := time.Now()
	if blow == Stopped {
		struck.Stop()
	} else {
		struck.Kill()
	}
	next, master, named := w.promoted(t, struck)
	pushed := e.pushedFrom(t, w, next)
	fleet.All(t, "the fleet's verdict rules again", f.Replicas, "tier", func(s breaker.Status) bool {
		return s.Verdict == breaker.Fleet
	})
	spans.role = append(spans.role, master.Sub(start))
	spans.named = append(spans.named, named.Sub(master))
	spans.pushesFromRole = append(spans.pushesFromRole, pushed.Sub(master))
	spans.pushes = append(spans.pushes, max(0, pushed.Sub(named)))
	spans.verdict = append(spans.verdict, max(0, time.Since(named)))
	return struck, next
}

// promoted waits until a Sentinel names another master than the one that was struck: before, no client can find it. It
// tells since when that one says that it is a master. Another may have said so before: if Sentinels do not see in time
// what they have done, they give that failover up and promote the other replica.
func (w Watched) promoted(t *testing.T, struck Node) (n Node, master, named time.Time) {
	t.Helper()
	since := map[Node]time.Time{}
	await.Eventually(t, "another master is named", func() string {
		for _, other := range w.Nodes {
			if other == struck {
				continue
			}
			role, err := Info(other, "replication")
			if err != nil || role["role"] != "master" {
				delete(since, other)
				continue
			}
			if since[other].IsZero() {
				since[other] = time.Now()
			}
			for _, s := range w.Sentinels {
				if text, err := s.Text("INFO", "sentinel"); err == nil && strings.Contains(text, "address="+other.Peer()+",") {
					n, master, named = other, since[other], time.Now()
					return ""
				}
			}
		}
		return "no Sentinel names a replica that says that it is a master"
	})
	return n, master, named
}

// comeBack lets the node that was struck become a replica, and counts who has not left it by then.
func (w Watched) comeBack(t *testing.T, struck, promoted Node, blow Blow, last bool) (left int) {
	t.Helper()
	if blow == Stopped {
		struck.Cont()
	} else {
		struck.Restart()
	}
	end := time.Now().Add(patience / 2)
	await.Eventually(t, "nobody listens to the old master", func() string {
		var err error
		if left, err = listeners(struck); err == nil && left == 0 || time.Now().After(end) {
			return ""
		}
		return fmt.Sprint(left, err)
	})
	if !last {
		Follow(t, struck, promoted) // the Sentinels would do so after ten seconds
	}
	return left
}

// listeners is how many replicas listen at a node; the Sentinels do so, too.
func listeners(n Node) (count int, err error) {
	text, err := n.Text("CLIENT", "LIST", "TYPE", "PUBSUB")
	for line := range strings.Lines(text) {
		if !strings.Contains(line, "name=sentinel-") {
			count++
		}
	}
	return count, err
}

// Settled waits until all Sentinels agree on a master that lacks nothing, and tells which.
func (w Watched) Settled(t testing.TB) (master Node) {
	t.Helper()
	await.Eventually(t, "the Sentinels are settled", func() string {
		master = nil
		for _, s := range w.Sentinels {
			text, err := s.Text("INFO", "sentinel")
			if err != nil {
				return err.Error()
			}
			agrees := false
			for _, n := range w.Nodes {
				want := fmt.Sprintf("name=%s,status=ok,address=%s,slaves=%d,sentinels=%d", w.Name, n.Peer(), len(w.Nodes)-1,
					len(w.Sentinels))
				if strings.Contains(text, want) && (master == nil || master == n) {
					master, agrees = n, true
				}
			}
			if !agrees {
				return text
			}
		}
		for _, n := range w.Nodes { // on a busy machine the Sentinels may have changed their minds meanwhile
			if n == master {
				continue
			}
			if fields, err := Info(n, "replication"); err != nil || fields["master_link_status"] != "up" {
				return fmt.Sprint(fields, err)
			}
		}
		return ""
	})
	return master
}

// listening is what the stores of a fleet hear, each by a Watch of its own.
type listening struct {
	mu    sync.Mutex
	heard []map[uint64]time.Time // by store: when a generation of "pushed" was first heard of
}

// ears listens to the pushes of every replica's store until the test ends.
func ears(t *testing.T, f *fleet.Fleet) *listening {
	t.Helper()
	e := &listening{heard: make([]map[uint64]time.Time, len(f.Replicas))}
	e.reset()
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for i, r := range f.Replicas {
		all.Go(func() { _ = r.Store.Watch(ctx, func(event store.Event) { e.hear(i, event) }) })
	}
	t.Cleanup(func() {
		cancel()
		all.Wait()
	})
	return e
}

func (e *listening) hear(i int, event store.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !event.Resync && event.Transition.Name == "pushed" {
		e.heard[i][event.Transition.Generation] = time.Now()
	}
}

func (e *listening) reset() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range e.heard {
		e.heard[i] = map[uint64]time.Time{}
	}
}

// pushedFrom makes transitions at a node until each store has heard of one, and tells when the last of them first did.
func (e *listening) pushedFrom(t *testing.T, w Watched, n Node) time.Time {
	t.Helper()
	operator, err := w.Direct(n)
	if err != nil {
		t.Fatal(err)
	}
	defer operator.Close()
	var first uint64
	actions := []store.Action{store.Trip, store.Reset}
	await.Eventually(t, "every replica hears pushes of the new master", func() string {
		r, err := operator.Command(context.Background(), store.Command{Name: "pushed", Action: actions[0], By: "operator"})
		if err != nil {
			return err.Error()
		}
		slices.Reverse(actions)
		if first == 0 {
			first = r.Snapshot.Generation
		}
		if deaf := e.deaf(first); deaf > 0 {
			return fmt.Sprintf("%d hear nothing", deaf)
		}
		return ""
	})
	e.mu.Lock()
	defer e.mu.Unlock()
	var last time.Time
	for _, heard := range e.heard {
		if at := earliest(heard, first); at.After(last) {
			last = at
		}
	}
	return last
}

// deaf counts those that have heard of nothing from a generation on.
func (e *listening) deaf(from uint64) (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, heard := range e.heard {
		if earliest(heard, from).IsZero() {
			n++
		}
	}
	return n
}

// earliest is when a generation from that on was first heard of.
func earliest(heard map[uint64]time.Time, from uint64) (at time.Time) {
	for generation, when := range heard {
		if generation >= from && (at.IsZero() || when.Before(at)) {
			at = when
		}
	}
	return at
}
