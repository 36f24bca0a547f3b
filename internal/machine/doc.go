// Package machine is the state machine of one breaker: state x request x now -> state. It is pure: no lock, no clock, no
// goroutine, no I/O. A store keeps one [Machine] a name, hands it normalised requests one at a time, and gives it the
// time; package memorystore does so in process, and the scripts of the Redis store are the same machine in Lua.
//
// The machine in Lua (scripts/lua) is told in files and functions of the same names and in the same order, so that whoever
// changes a law opens two files of one name. A test compares the names. The numbers that both need are in package limits.
//
// # The steps of a report (sync.go)
//
//  1. Time. The machine's own time never goes back: a clock that does is carried on from where it was (time.go).
//  2. Again? A sequence number seen before from this replica: its outcomes, refusals and announcement are skipped.
//  3. Repair. A replica that knows higher numbers than the machine tells it what was lost (repair.go).
//  4. Expiry of leases and of operators' commands whose time is over (transition.go).
//  5. Policy: an operator's, else the fleet's (policy.go), and the roster of the replicas that report (roster.go).
//  6. Outcomes, in order, into the window and the totals (outcomes.go, window.go, totals.go, labels.go); each adverse one is
//     judged (judge.go).
//  7. A transition begins a new generation and goes into the history (transition.go).
//
// Claims and settlements of probes (claim.go, settle.go, probes.go), commands (command.go) and removal (remove.go,
// tombstone.go) take those of the steps that apply. Reads (snapshot.go, history.go) write nothing.
//
// # Units
//
// Time is in integer milliseconds of machine time, rates are integers in 1/10000, so that this machine and the one in
// Lua compute the same numbers.
package machine
