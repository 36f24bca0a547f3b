// Package chaos attacks a fleet for real, breaks what is below it, heals it, and demands that everybody agrees again. Each
// attack is a scenario of the scoreboard (package scoreboard), known by its number. This is the table of them: what each
// attacks, and the folders whose tests TestScenarioNN play it.
//
//	 1  a network that delays, loses, doubles and reorders, while tier and replicas come and go: tests/fleet
//	 2  a fleet of which no replica has the traffic to trip alone: tests/chaos, tests/fleet
//	 3  a thousand replicas that come back to a tier at once: tests/fleet
//	 4  differences between the machine in Lua and the machine in Go: store/redis
//	 5  requests that are cut, doubled and late on their way to Redis: tests/chaos
//	 6  kill -9 of a replica at every point of every verb: tests/chaos
//	 7  kill -9 of Redis at every point of every verb, and of PostgreSQL under load: tests/chaos, tests/chaos/topology
//	 8  a rolling deploy under the same names: tests/chaos
//	 9  Close while the store is well, slow or hung: tests/chaos
//	10  a Redis or PostgreSQL that hangs under load; own verdicts beside a shared one: tests/chaos, tests/chaos/topology
//	11  a Redis or PostgreSQL that is slow, or busy with what somebody else does: tests/chaos, tests/chaos/topology
//	12  a replica that is halted and resumed beyond its lease and window: tests/chaos
//	13  wall clocks of replicas that jump: tests/chaos
//	14  the clock of Redis that jumps: tests/chaos/topology
//	15  a failover that loses acknowledged writes, or must not: tests/chaos/topology
//	16  Sentinels that find another master: tests/chaos/topology
//	17  two masters at one time: tests/chaos/topology
//	18  a Cluster whose slots move, and whose node dies: tests/chaos/topology
//	19  a network that is cut for half of a fleet, one way or both: tests/chaos/topology
//	20  slices of one byte, resets, and lost packets: tests/chaos, tests/chaos/topology
//	21  pushes that are lost, doubled, reordered and forged: tests/chaos
//	22  every error that Redis answers: tests/chaos
//	23  garbage in replies and in what is stored: tests/chaos
//	24  a store that forgets data or scripts: tests/chaos
//	25  scripts that are killed half-way, and pushes that are not allowed: tests/chaos
//	26  a replica that poisons what is shared: tests/chaos
//	27  users' functions that panic, block and call back: tests/chaos
//	28  what stays behind: goroutines, timers, memory: tests/chaos
//	29  claims, settlements and commands at once: are they linearizable: tests/chaos
//	30  floods of names: tests/chaos
//	31  names that mean something to a terminal, a log, a page or a shell: tests/chaos
//	32  policies, environments and schemas that are wrong or of another release: tests/chaos
//	33  replicas that start late, without a store, or in a crowd with a wrong password: tests/chaos
//	34  the operator's page, from outside: dashboard, tests/browser
//	35  the operator's page, by what is stored: tests/browser
//	36  TLS, rights and secrets: tests/deploy
//	37  the supply chain: tests/arch
//	38  bugs put in on purpose: tests/mutants
//
// The files of this folder are named for how they attack: process_ kills, halts and resumes real processes (package
// replica), wire_ goes wrong between replicas and Redis (package respfault), virtual_ needs virtual time only, linear_ checks
// histories of concurrent clients, outage_ and chains_ are laws that need no profile. Package topology plays what befalls
// servers, on processes of this machine and for tests/integration in containers; command report keeps what runs left.
package chaos
