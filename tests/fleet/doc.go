// Package fleet is the one test fleet: replicas in this process that call the same tiers, each with a Manager and a store of
// its own, and what they may never do. Any test of a fleet stands on it. Its own tests simulate whole fleets: hundreds of
// Managers over one memory store, each behind a network of its own that delays, loses, doubles and reorders, in the virtual
// time of testing/synctest, so that an hour takes seconds.
package fleet
