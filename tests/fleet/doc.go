// Package fleet simulates whole fleets in one process: hundreds of Managers over one memory store, each behind a network
// of its own that delays, loses, doubles and reorders, in the virtual time of testing/synctest, so that an hour takes seconds.
package fleet
