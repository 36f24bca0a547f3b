// Package breaker guards calls to a tier (an API, a database, an SDK) with a circuit breaker whose verdict a whole fleet
// shares: when the tier fails, every replica sees one trip state, at in-process speed.
//
// # One call
//
//	user, err := breaker.Do(ctx, users, func(ctx context.Context) (User, error) { return fetchUser(ctx, id) })
//
// [Do] runs the function, or refuses with an [*OpenError] that says why and when to ask again. [Breaker.Run] is the same
// for a function that gives an error only, and [Breaker.Acquire] for a call that is no one function. A panic or a
// runtime.Goexit is a failure, a call that its caller cancelled says nothing, and a deadline is a failure; see
// [Classifier].
//
// # One process
//
// [New] makes a breaker on a memory store of its own. Each failure is judged before Do returns. There is nothing to close.
//
// # A fleet
//
// [NewManager] connects a replica with a store that all replicas reach, and [Manager.Register] makes its breakers. A call
// in closed or open state does no I/O: outcomes go to the store in batches, each within [Timing].FlushInterval; the store
// judges what the whole fleet saw, and pushes a trip to every replica. What a push misses, the next exchange repairs.
// [Manager.Close] reports what is pending.
//
// # How it moves
//
//   - Closed: calls go through. A rule of the [Policy] that holds over the window opens the breaker.
//   - Open: calls are refused until the open time is over, which doubles with each failed round of probes.
//   - Half-open: a few calls go through as probes, each under a lease of a budget that the whole fleet shares. A probe's
//     context ends shortly before its lease, unless it is done before; then it lives on as the caller's own. Enough
//     successes close the breaker, failures open it again.
//
// Each of these is a generation with a number of its own. A call belongs to the generation that admitted it, so a late
// result moves no newer one. An operator can force the breaker open or closed, trip it, reset it or give it another policy,
// for all replicas at once; see [Breaker.Command].
//
// # When the store is away
//
// Calls never wait for the store and never fail because of it. There is one exception: the call that asks for a probe waits
// for its lease, at most [Timing].ClaimTimeout.
//
// Each replica also keeps an own verdict, from its own outcomes alone. While the store answers, the fleet's verdict rules.
// [Timing].StaleAfter after the last answer the own verdict rules, beside what was last known of the fleet: an open state
// lasts until its time, and is then probed by this replica alone. [StoreDown] sets other ways. If an own verdict is open, it
// outlives the store's return until its own probes close it, so that the return causes no thundering herd.
//
// If the policy asks for several reporters, the own verdict counts at all times: a replica whose network is broken isolates
// itself and leaves the fleet alone.
//
// # What it tells
//
// [Breaker.Status] and [Manager.Status] ask nobody. A listener hears each [Event] in order, outside all locks; an event is
// one readable sentence and a slog.LogValuer.
//
// # A window of time in one process
//
// On a local store plain successes are only counted, and reported when something else happens. A window of time needs their
// ages: then each call reads the clock, and the successes of one tenth of the window count as one moment. If no failure
// comes, they are reported a few hundred moments at a time.
//
// # From inside
//
// docs/architecture.md shows a replica's rooms, its goroutines and the order of its locks, and follows a call, a push, a probe
// and a command through them. docs/machine.md has the fine print of the state machine. A comment `mutant:` marks a place
// that `make mutants` breaks on purpose, to see that a test notices.
package breaker
