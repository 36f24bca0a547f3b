// Package fleet simulates whole fleets in one process: hundreds of Managers over one memory store, each behind a network
// of its own that delays, loses, doubles and reorders, in a testing/synctest bubble where an hour takes seconds.
package fleet
