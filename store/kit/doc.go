// Package storekit makes a whole store of any back end that can change a few records atomically: a database with
// transactions, a key-value store with compare-and-swap, a file with a lock.
//
// You write a [Backend], which is five methods and knows nothing about breakers. [New] makes a [store.Store] of it. The kit
// brings the rest: the state machine, the form in which it is saved, the checks of requests, how long a replica waits before
// its next report, pushes, Watch with its Resync, tombstones and their end, and a watchdog for connections that went silent.
//
//	s, err := storekit.New(backend, storekit.WithKind("etcd"))
//
// A Step is about one name as a rule, and about [MaxNames] at most. A back end on compare-and-swap checks at the end only what it
// writes: a record that a step leaves as it was need not be checked.
//
// Package storetest then says whether it is a store: hand it a Harness. The test of this package has a back end on a
// compare-and-swap map in less than 100 lines, and package postgresstore (store/postgres) is one on PostgreSQL.
//
// docs/store.md leads through it.
package storekit
