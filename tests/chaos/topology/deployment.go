package topology

import (
	"testing"

	"github.com/commontrip/commontrip/internal/lab/relay"
	"github.com/commontrip/commontrip/store"
)

// Deployment is a master with replicas, and whatever makes one of them the next master.
type Deployment interface {
	// Ready empties the deployment, and waits until all its nodes are there and in step.
	Ready(t testing.TB) (master Node)
	// Route is a way to the deployment for a part of a fleet. It leads to the master.
	Route(t testing.TB) Route
	// Direct opens a store at a node, by no Route.
	Direct(n Node) (store.Store, error)
	// Detach keeps the replicas, once they are in step, from what the master writes from then on.
	Detach(t testing.TB)
	// FailOver kills the master, and returns when another can be found.
	FailOver(t testing.TB) (promoted Node)
	// Split makes a second master while the first lives: here leads to the first still, there to the second alone.
	Split(t testing.TB, here, there Route) (second Node)
	// Heal ends a Split: both routes lead to the winner, the other is its replica. Which one wins is asked for, and given
	// by a deployment that leaves the choice.
	Heal(t testing.TB, here, there Route, firstWins bool) (winner Node)
}

// Route is what lies between a part of a fleet and a Deployment.
type Route interface {
	Open() (store.Store, error)
	To(n Node)           // leads from now on where n is, and ends the connections to elsewhere; nil: nowhere
	Hold(ways relay.Way) // as that of a relay
}

// Pair is a master and its replica that somebody promotes by hand, behind addresses that follow him.
type Pair struct {
	Master, Replica Node
	Open            func(addr string) (store.Store, error) // at a node's address, or at a relay before it
	dead            bool                                   // Replica was killed
}

// Ready is a Deployment's.
func (p *Pair) Ready(t testing.TB) Node {
	t.Helper()
	if p.dead {
		p.Replica.Restart()
		p.dead = false
	}
	Must(t, p.Master, "FLUSHALL")
	Follow(t, p.Replica, p.Master)
	return p.Master
}

// Route is a relay.
func (p *Pair) Route(t testing.TB) Route {
	t.Helper()
	return floating{NewRelay(t, p.Master.Addr()), p.Open}
}

// floating is an address that stays.
type floating struct {
	*relay.Relay
	open func(addr string) (store.Store, error)
}

func (f floating) Open() (store.Store, error) { return f.open(f.Addr()) }

func (f floating) To(n Node) {
	if n == nil {
		f.Relay.To("")
		return
	}
	f.Relay.To(n.Addr())
}

// Direct is a Deployment's.
func (p *Pair) Direct(n Node) (store.Store, error) { return p.Open(n.Addr()) }

// Detach is a Deployment's.
func (p *Pair) Detach(t testing.TB) {
	t.Helper()
	InStep(t, p.Replica, p.Master)
	Detach(t, p.Replica)
}

// FailOver lets the two change their parts.
func (p *Pair) FailOver(t testing.TB) Node {
	t.Helper()
	p.Master.Kill()
	Promote(t, p.Replica)
	p.Master, p.Replica, p.dead = p.Replica, p.Master, true
	return p.Master
}

// Split is a Deployment's.
func (p *Pair) Split(t testing.TB, _, there Route) Node {
	t.Helper()
	InStep(t, p.Replica, p.Master)
	Promote(t, p.Replica)
	there.To(p.Replica)
	return p.Replica
}

// Heal demotes either; the winner is the Master from then on.
func (p *Pair) Heal(t testing.TB, here, there Route, firstWins bool) Node {
	t.Helper()
	moving := there
	if !firstWins {
		p.Master, p.Replica, moving = p.Replica, p.Master, here
	}
	moving.To(nil)
	Follow(t, p.Replica, p.Master)
	moving.To(p.Master)
	return p.Master
}

// view opens a store at a node for as long as the test.
func view(t testing.TB, d Deployment, n Node) store.Store {
	t.Helper()
	s, err := d.Direct(n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}
