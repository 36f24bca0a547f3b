package topology

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
	"github.com/commontrip/commontrip/tests/fleet"
)

// Shards is a Cluster of masters that goes on without the slots of one that died.
type Shards struct {
	Nodes  []Node
	Open   func() (store.Store, error)
	Revive bool // a node that was killed may come back at the same address
}

// Migrations moves slots of a Cluster under load, takes one away from everybody, and kills a node. Breakers of other slots
// must not notice, and those of the slots that suffered must be whole after it.
func Migrations(t *testing.T, scenario *scoreboard.Scenario, s Shards, moves int) {
	f := fleet.New(t, 4, func(int) (store.Store, error) { return s.Open() }, nil)
	names := []string{"{", "}{", "a{b}c", "{}", "{same}1", "{same}2"}
	for i := len(names); i < 12; i++ {
		names = append(names, fmt.Sprintf("tier-%d", i))
	}
	for _, name := range names {
		f.Register(name, store.Policy{ConsecutiveFailures: 5, OpenFor: time.Hour})
	}
	truth, err := s.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer truth.Close()
	rest := fleet.Work(f.Replicas, 50*time.Millisecond, names...)
	defer rest()
	f.Converge(truth)

	m := migrations{t: t, s: s, f: f, truth: truth, slots: map[string]string{}, tripped: map[string]uint64{}}
	for i := range moves {
		m.migrate(names[i%len(names)])
	}
	m.unserve(names[0])
	m.kill(names)
	rest()
	took, held := f.Converge(truth)
	for name, generation := range m.tripped {
		if held[name].State != store.Open || held[name].Generation < generation {
			m.forgotten++
		}
	}
	scenario.Report("slots moved", moves)
	scenario.Zero("breakers of other slots disturbed", m.disturbed)
	scenario.Zero("trips forgotten", m.forgotten)
	for _, e := range []string{"MOVED", "ASK", "CLUSTERDOWN"} {
		scenario.Report("replies of "+e, m.errorReplies(e))
	}
	scenario.AtLeast("replies that redirect", m.errorReplies("MOVED")+m.errorReplies("ASK"), 1)
	scenario.Zero("replies of CROSSSLOT", m.errorReplies("CROSSSLOT"))
	scenario.Report("longest that a moving slot's breakers took to know of a trip", m.knew)
	scenario.Report("slot or node back until the fleet's verdict rules again", m.back)
	scenario.Within("until all hold one view", took, 2*fleet.Refresh)
	f.Tally(scenario)
}

type migrations struct {
	t                    *testing.T
	s                    Shards
	f                    *fleet.Fleet
	truth                store.Store
	slots                map[string]string // by name
	disturbed, forgotten int
	knew, back           time.Duration
	tripped              map[string]uint64 // breakers that must be open at the end, in that generation
	died                 map[string]int    // error replies of a node before it was killed
}

// key is a breaker's hash under the default prefix.
func key(name string) string {
	return "commontrip:{" + strings.NewReplacer("%", "%25", "{", "%7B", "}", "%7D").Replace(name) + "}"
}

// slot is the slot of a breaker, as the Cluster says.
func (m *migrations) slot(name string) string {
	m.t.Helper()
	if m.slots[name] == "" {
		line, err := m.s.Nodes[0].Command("CLUSTER", "KEYSLOT", key(name))
		if err != nil || !strings.HasPrefix(line, ":") {
			m.t.Fatal(line, err)
		}
		m.slots[name] = line[1:]
	}
	return m.slots[name]
}

// owner is the node that serves a slot.
func (m *migrations) owner(slot string) Node {
	m.t.Helper()
	for _, n := range m.s.Nodes {
		nodes, err := n.Text("CLUSTER", "NODES")
		if err != nil {
			continue
		}
		for line := range strings.Lines(nodes) {
			if fields := strings.Fields(line); strings.Contains(fields[2], "myself") && owns(fields[8:], slot) {
				return n
			}
		}
	}
	m.t.Fatalf("nobody owns slot %s", slot)
	return nil
}

// owns reports that ranges as CLUSTER NODES gives them contain a slot.
func owns(ranges []string, slot string) bool {
	want, _ := strconv.Atoi(slot)
	for _, r := range ranges {
		from, to, isRange := strings.Cut(r, "-")
		first, err := strconv.Atoi(from)
		last := first
		if isRange {
			last, _ = strconv.Atoi(to)
		}
		if err == nil && first <= want && want <= last {
			return true
		}
	}
	return false
}

func (m *migrations) id(n Node) string {
	m.t.Helper()
	id, err := n.Text("CLUSTER", "MYID")
	if err != nil {
		m.t.Fatal(err)
	}
	return id
}

// migrate moves a breaker's slot to the next node, with its key, and trips it on the way.
func (m *migrations) migrate(name string) {
	m.t.Helper()
	slot := m.slot(name)
	source := m.owner(slot)
	target := m.s.Nodes[(slices.Index(m.s.Nodes, source)+1)%len(m.s.Nodes)]
	Must(m.t, target, "CLUSTER", "SETSLOT", slot, "IMPORTING", m.id(source))
	Must(m.t, source, "CLUSTER", "SETSLOT", slot, "MIGRATING", m.id(target))
	m.reported(name)
	host, port, err := net.SplitHostPort(target.Peer())
	if err != nil {
		m.t.Fatal(err)
	}
	if line, err := source.Command("MIGRATE", host, port, key(name), "0", "5000"); err != nil || line != "+OK" && line != "+NOKEY" {
		m.t.Fatal(line, err)
	}
	m.reported(name)
	before := m.f.Replicas[0].Command(m.t, store.Command{Name: name, Action: store.Trip})
	m.knew = max(m.knew, fleet.All(m.t, "all know of a trip in a slot that moves", m.f.Replicas, name, func(s breaker.Status) bool {
		return s.Fleet.Generation >= before.Generation
	}))
	for _, n := range []Node{target, source} {
		Must(m.t, n, "CLUSTER", "SETSLOT", slot, "NODE", m.id(target))
	}
	after := m.f.Replicas[1].Command(m.t, store.Command{Name: name, Action: store.Reset})
	if after.Generation <= before.Generation {
		m.forgotten++
	}
	m.reported(name)
	m.watch(func(other string) bool { return m.slot(other) != slot }, "a slot moved")
}

// reported waits until every replica's outcomes of a breaker have been reported since.
func (m *migrations) reported(name string) {
	m.t.Helper()
	for _, r := range m.f.Replicas {
		start, b := time.Now(), r.Breaker(name)
		await.Eventually(m.t, "outcomes are reported", func() string {
			if s := b.Status(); s.Verdict == breaker.Fleet && s.FleetAge < time.Since(start) {
				return ""
			}
			return fmt.Sprintf("%+v", b.Status())
		})
	}
}

// watch counts the breakers that stand on an own verdict, of those that must not.
func (m *migrations) watch(spared func(name string) bool, when string) {
	for _, name := range m.f.Tiers() {
		if !spared(name) {
			continue
		}
		for _, r := range m.f.Replicas {
			if s := r.Breaker(name).Status(); s.Verdict == breaker.Own {
				m.t.Errorf("%s: %s stands alone on %s", when, r.Manager.Replica(), name)
				m.disturbed++
			}
		}
	}
}

// unserve takes a slot away from its node: CLUSTERDOWN, until it is given back.
func (m *migrations) unserve(name string) {
	m.t.Helper()
	slot := m.slot(name)
	owner := m.owner(slot)
	tripped := m.f.Replicas[0].Command(m.t, store.Command{Name: name, Action: store.Trip})
	Must(m.t, owner, "CLUSTER", "DELSLOTS", slot) // the others hear of it, and forget it by themselves
	fleet.All(m.t, "a breaker whose slot nobody serves stands on its own", m.f.Replicas, name, func(s breaker.Status) bool {
		return s.Verdict == breaker.Own
	})
	m.watch(func(other string) bool { return m.slot(other) != slot }, "a slot is not served")
	Must(m.t, owner, "CLUSTER", "ADDSLOTS", slot)
	m.backToFleet(name)
	m.tripped[name] = tripped.Generation
}

func (m *migrations) backToFleet(name string) {
	m.t.Helper()
	m.back = max(m.back, fleet.All(m.t, "the fleet's verdict rules again", m.f.Replicas, name, func(s breaker.Status) bool {
		return s.Verdict == breaker.Fleet
	}))
}

// kill ends the node that holds most of what is called, and lets it come back with nothing.
func (m *migrations) kill(names []string) {
	m.t.Helper()
	shares := map[Node][]string{}
	for _, name := range names {
		n := m.owner(m.slot(name))
		shares[n] = append(shares[n], name)
	}
	dying := slices.MaxFunc(slices.Collect(maps.Keys(shares)), func(a, b Node) int { return len(shares[a]) - len(shares[b]) })
	lost := shares[dying]
	m.died = map[string]int{}
	for _, e := range []string{"MOVED", "ASK", "CLUSTERDOWN", "CROSSSLOT"} {
		m.died[e] = errorReplies(dying, e)
	}
	lanes := map[int]bool{} // the breakers of a lane share their fate
	for _, name := range lost {
		lanes[m.truth.Lane(name)] = true
	}
	tripped := m.f.Replicas[0].Command(m.t, store.Command{Name: lost[0], Action: store.Trip})
	fleet.All(m.t, "all know of a trip", m.f.Replicas, lost[0], func(s breaker.Status) bool {
		return s.Fleet.Generation >= tripped.Generation
	})
	dying.Kill()
	fleet.All(m.t, "the breakers of a dead node stand on their own", m.f.Replicas, lost[0], func(s breaker.Status) bool {
		return s.Verdict == breaker.Own
	})
	m.watch(func(name string) bool { return !lanes[m.truth.Lane(name)] }, "a node is dead")
	if !m.s.Revive {
		return
	}
	dying.Restart()
	m.backToFleet(lost[0])
	m.tripped[lost[0]] = tripped.Generation
}

// errorReplies is how often the Cluster answered so.
func (m *migrations) errorReplies(kind string) int {
	n := m.died[kind]
	for _, node := range m.s.Nodes {
		n += errorReplies(node, kind)
	}
	return n
}

func errorReplies(n Node, kind string) int {
	fields, err := Info(n, "errorstats")
	if err != nil {
		return 0
	}
	count, _ := strconv.Atoi(strings.TrimPrefix(fields["errorstat_"+kind], "count="))
	return count
}
