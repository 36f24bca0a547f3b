package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/chaos/topology"
)

// quorum is a topology.Deployment where two of three Sentinels find the next master, and clients ask them for it.
type quorum struct {
	watched
	underSentinels topology.Watched
	master         *node
	dead           *node // killed by the last failover
}

func newQuorum(t *testing.T) *quorum {
	q := &quorum{watched: sentinels(t, ownImage(t))}
	q.master = q.nodes[0]
	q.underSentinels = topology.Watched{
		Name: "main", Open: func() (store.Store, error) { return q.open() }, Direct: q.Direct,
		Nodes: asNodes(q.nodes), Sentinels: asNodes(q.guards),
	}
	return q
}

func asNodes(nodes []*node) (all []topology.Node) {
	for _, n := range nodes {
		all = append(all, n)
	}
	return all
}

// except are those nodes that are not n.
func except(n *node, nodes []*node) (others []*node) {
	for _, o := range nodes {
		if o != n {
			others = append(others, o)
		}
	}
	return others
}

func (q *quorum) Ready(t testing.TB) topology.Node {
	t.Helper()
	if q.dead != nil {
		q.dead.Restart()
		topology.Follow(t, q.dead, q.master) // the Sentinels would do so after ten seconds
		q.dead = nil
	}
	if settled := q.underSentinels.Settled(t); settled != q.master {
		t.Fatalf("the Sentinels settled on %s, not on %s", settled.Peer(), q.master.Peer())
	}
	topology.Must(t, q.master, "FLUSHALL")
	return q.master
}

func (q *quorum) Route(t testing.TB) topology.Route {
	t.Helper()
	return q.servers.route(t, func(dial dialer) (store.Store, error) { return q.via(dial) })
}

func (q *quorum) Direct(n topology.Node) (store.Store, error) { return simple().open(n.Addr()) }

func (q *quorum) inStep(t testing.TB) (replicas []*node) {
	t.Helper()
	replicas = except(q.master, q.nodes)
	for _, r := range replicas {
		topology.InStep(t, r, q.master)
	}
	return replicas
}

// Detach cuts the replicas off from the master alone: the Sentinels see them all.
func (q *quorum) Detach(t testing.TB) {
	t.Helper()
	q.master.drop(t, q.inStep(t))
}

func (q *quorum) FailOver(t testing.TB) topology.Node {
	t.Helper()
	q.dead = q.master
	q.master.Kill()
	q.master = q.another(t, q.guards)
	return q.master
}

// Split leaves the master in a minority with one Sentinel, which cannot depose it alone.
func (q *quorum) Split(t testing.TB, here, there topology.Route) topology.Node {
	t.Helper()
	others := append(q.inStep(t), q.guards[1:]...)
	q.servers.divide(t, here, there, q.minority(), others)
	return q.another(t, q.guards[1:])
}

func (q *quorum) minority() []*node { return []*node{q.guards[0], q.master} }

// Heal demotes the first: the Sentinels let the newer one win.
func (q *quorum) Heal(t testing.TB, here, there topology.Route, _ bool) topology.Node {
	t.Helper()
	q.servers.unite(t, here, there, q.minority())
	first := q.master
	q.master = q.another(t, q.guards)
	topology.Follow(t, first, q.master) // the Sentinels would do so after ten seconds
	return q.master
}

// another waits until some Sentinels name another master than the present one.
func (q *quorum) another(t testing.TB, guards []*node) (named *node) {
	t.Helper()
	await.Eventually(t, "the Sentinels name another master", func() string {
		named = nil
		for _, g := range guards {
			info, err := topology.Info(g, "sentinel")
			if err != nil {
				return err.Error()
			}
			found := false
			for _, n := range except(q.master, q.nodes) {
				if strings.Contains(info["master0"], "address="+n.inside+",") && (named == nil || named == n) {
					named, found = n, true
				}
			}
			if !found {
				return fmt.Sprint(g.inside, " says ", info["master0"])
			}
		}
		return ""
	})
	return named
}

// replicated is a topology.Deployment in which a Cluster promotes the replica of a master. That master has all slots but
// two, so that the breakers of a scenario are its own; the masters of those two have a vote each.
type replicated struct {
	shards
	voters          []*node
	master, replica *node
}

func newReplicated(t *testing.T) *replicated {
	r := &replicated{shards: cluster(t, ownImage(t), []int{0, 16382, 16383})}
	r.master, r.voters = r.nodes[0], r.nodes[1:]
	r.replica = clustered(r.servers)
	id, err := r.master.Text("CLUSTER", "MYID")
	if err != nil {
		t.Fatal(err)
	}
	topology.Must(t, r.replica, "CLUSTER", "MEET", strings.TrimSuffix(r.master.inside, ":6379"), "6379")
	await.Eventually(t, "the replica knows its master", func() string {
		line, err := r.replica.Command("CLUSTER", "REPLICATE", id)
		if line == "+OK" && err == nil {
			return ""
		}
		return fmt.Sprint(line, err)
	})
	return r
}

func (r *replicated) Ready(t testing.TB) topology.Node {
	t.Helper()
	topology.Must(t, r.master, "FLUSHALL")
	all := slices.Concat(r.voters, []*node{r.master, r.replica})
	r.settled(t, all)
	await.Eventually(t, "all nodes know the replica: who does not, does not vote for it", func() string {
		for _, n := range all {
			text, err := n.Text("CLUSTER", "NODES")
			if _, rest, known := strings.Cut(text, r.replica.inside+"@"); err != nil || !known ||
				!strings.Contains(strings.SplitN(rest, "\n", 2)[0], "slave ") {
				return fmt.Sprint(n.inside, " says ", text, err)
			}
		}
		return ""
	})
	return r.master
}

// settled waits until some nodes say that all is well with the master.
func (r *replicated) settled(t testing.TB, nodes []*node) {
	t.Helper()
	await.Eventually(t, "the Cluster knows its master", func() string {
		for _, n := range nodes {
			text, err := n.Text("CLUSTER", "NODES")
			if err != nil {
				return err.Error()
			}
			for line := range strings.Lines(text) {
				if strings.Contains(line, r.master.inside+"@") && strings.Contains(line, "master ") &&
					strings.Contains(line, " 0-") {
					text = ""
					break
				}
			}
			if text != "" {
				return n.inside + " says " + text
			}
		}
		return ""
	})
}

func (r *replicated) Route(t testing.TB) topology.Route {
	t.Helper()
	return r.servers.route(t, func(dial dialer) (store.Store, error) { return r.via(dial) })
}

func (r *replicated) Direct(n topology.Node) (store.Store, error) { return simple().open(n.Addr()) }

func (r *replicated) Detach(t testing.TB) {
	t.Helper()
	topology.InStep(t, r.replica, r.master)
	r.master.drop(t, []*node{r.replica})
}

func (r *replicated) FailOver(t testing.TB) topology.Node {
	t.Helper()
	r.master.Kill()
	return r.promoted(t)
}

// promoted waits until the others have made the replica a master.
func (r *replicated) promoted(t testing.TB) topology.Node {
	t.Helper()
	r.master, r.replica = r.replica, r.master
	r.settled(t, append(r.voters, r.master))
	return r.master
}

// Split leaves the master in a minority, where it goes on until cluster-node-timeout tells it that it is alone.
func (r *replicated) Split(t testing.TB, here, there topology.Route) topology.Node {
	t.Helper()
	topology.InStep(t, r.replica, r.master)
	topology.Must(t, r.master, "CONFIG", "SET", "cluster-node-timeout", "60000")
	r.servers.divide(t, here, there, []*node{r.master}, append(r.voters, r.replica))
	return r.promoted(t)
}

// Heal demotes the first: in a Cluster the newer one wins.
func (r *replicated) Heal(t testing.TB, here, there topology.Route, _ bool) topology.Node {
	t.Helper()
	r.servers.unite(t, here, there, []*node{r.replica})
	topology.Must(t, r.replica, "CONFIG", "SET", "cluster-node-timeout", nodeTimeout)
	topology.InStep(t, r.replica, r.master)
	return r.master
}
