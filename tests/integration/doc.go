// Package integration runs the Redis store and small fleets against servers in containers, in the shapes in which Redis
// is run: alone, as a Cluster of three nodes, as a master with two replicas under three Sentinels, with TLS, and for a
// user with the least rights. In each of them the whole conformance suite must hold, and a fleet must share one verdict.
// Then their servers fail: scenarios 15 to 19 of the scoreboard are played where they can happen, by the same bodies as on
// processes (tests/chaos/topology); the table in TestScenarios says what is played where. Lost writes, two masters and a network
// that swallows what goes through it befall whatever has a master and a replica: a pair of each kind, a master under
// Sentinels, and one of a Cluster, where the servers' own network falls in two. It is cut by nft in the containers.
//
// `make integration` runs it. It needs Docker and no registry: the servers are this machine's redis-server, in an image
// that scripts/redis-image.sh makes. If a registry answers, the newest Redis and Valkey take the suite too.
//
// Every container, network and image of a run has a label with the time at which the run started. The run removes them
// by that label, whatever became of its tests, and fails if a test left one behind; what a killed run left is removed
// by the first run that starts longer than the time limit after it. Clients reach a container by a port of the loopback,
// whatever address the servers tell each other.
package integration
