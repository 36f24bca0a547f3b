// Package store is the contract between a replica and the place that keeps the fleet's verdict.
//
// A Store holds, for each breaker by its name: state, generation, window, probe leases, an operator's mode and policy, a
// roster of replicas and a short history. Replicas send it what they saw ([Report]); one atomic step in the store judges
// what the whole fleet saw and answers with the state that holds for all ([Snapshot]).
//
// The nouns:
//
//   - A generation is one stretch of one state. Its number grows at each transition and never comes back.
//   - A rev counts what operators leave standing: a forced mode, a retuned policy, and their ends.
//   - A run is a number of equal outcomes, one after the other; a report is a list of runs.
//   - A lease is the right to send one probe to a tier that is half-open. At most [Policy].Probes
//     live at once, fleet-wide.
//   - A snapshot is what the store holds about one breaker, as of now.
//
// Time in a store is the store's own clock, in integer milliseconds. Replicas send ages and receive durations, so that
// no two machines' clocks are ever compared.
//
// An error from a store means that the store failed, unless it is [ErrInvalid] or [ErrUnknown]: then the request was
// wrong. A refusal is a value: a [Grant] without leases.
//
// Package memorystore (store/memory) is the reference, package redisstore (store/redis) the one for fleets, and package
// postgresstore (store/postgres) the one for fleets without a Redis. Package storekit (store/kit) makes a store of any place
// that can change a few records atomically; docs/store.md leads through it. Run package storetest on yours. A store that does
// not pass every law there is not a store.
//
// docs/architecture.md shows how a store and the replicas work together. docs/machine.md says line by line what a store does
// with each request.
package store
