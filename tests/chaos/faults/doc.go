// Package faults holds what can befall a deployment of Redis, as bodies of tests that do not care how its servers are
// run: as processes on this machine (tests/chaos/topology), or in containers (tests/integration). Each takes a scenario of
// the scoreboard and what it needs of the deployment, plays the fault under a fleet of replicas, heals it, and demands that
// the store and all replicas hold one view again.
package faults
