// Package memorystore keeps breakers in the memory of one process. It is what a breaker without a fleet uses, the store of
// tests, and the reference for every other store.
//
//	s := memorystore.New()
//	defer s.Close()
//	results := s.Sync(ctx, []store.Report{{Name: "users-api", Replica: "web-1#a1", ...}})
//
// Each breaker has a lock of its own, held while one request about it is judged and never while anything of the caller's
// runs. A name that nobody reported on costs nothing to read. A removed name leaves a tombstone for a day; tombstones
// whose day is over are swept as other names come and go.
//
// The store starts no goroutine. Watch runs on its caller's; a watcher that is slow or blocks loses events and is told
// so by a Resync, and holds up nobody else.
//
// For tests of a fleet without a server, a [Link] is a replica's way to a Store that can be cut.
//
// What the store does with each request is said line by line in docs/machine.md.
package memorystore
