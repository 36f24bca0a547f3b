// Package topology plays what befalls the servers behind a fleet: clocks that jump, failovers that lose writes, Sentinels, two
// masters, a Cluster whose slots move, and networks that cut, lose and slow down what they carry. The bodies of the tests
// do not care how the servers are run: as processes on this machine, as here, or in containers (tests/integration). Each
// takes a scenario of the scoreboard and what it needs of the deployment, plays the fault under a fleet of replicas, heals
// it, and demands that the store and all replicas hold one view again.
//
// The tests named for PostgreSQL play on servers of this machine what befalls one: processes that are killed or stand still,
// commits that wait, a standby that is promoted, and a network that is cut.
package topology
