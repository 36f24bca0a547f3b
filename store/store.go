package store

import "context"

// Store keeps the verdict of every breaker of a name space. All methods are safe for concurrent use, and none keeps a
// slice that it was given after it returned. After Close they return [ErrClosed].
//
// Each request is one atomic step with one reading of the store's clock, taken when nothing can come between any more: after a
// wait for a lock, not before it. A request may be sent again after any error: reports carry a sequence number, claims an
// id, and settling twice changes nothing. No request waits for ever: not for a lock whose holder froze, and not longer than
// the store's own bound if its context has no deadline.
//
// The duties that no signature shows:
//
//   - Making a store does no I/O. A server that is down shows in the first request.
//   - Names are ordered byte by byte, in Read of all and in a Roster.
//   - A name that was removed is forgotten 24 h after the last request about it, and takes no room some time later. A store
//     that keeps breakers for many programs also forgets those that nobody has reported on for a day, unless a command stands.
//   - The newest 16 replicas are remembered as witnesses of each kind of adverse outcomes, and 8 of them are shown. A
//     difference of policies is shown for 60 s after it was last reported.
//   - A Watch makes a connection that is lost or silent again by itself.
//
// The interface does not grow. What a store can do beyond it is an interface of its own, such as [Pinger], that callers ask
// for by a type assertion.
type Store interface {
	// Sync hands in reports and returns one Result a report, in order. One report's error is its own.
	Sync(ctx context.Context, reports []Report) []Result
	// Claim leases probes. A refusal is a Grant without leases.
	Claim(ctx context.Context, c Claim) (Grant, error)
	// Settle says how a probe went; the Result's Err stays nil. Twice, or too late, changes nothing and is not an error. For a
	// name that the store does not know, the Result's Snapshot has the Name and nothing else.
	Settle(ctx context.Context, s Settlement) (Result, error)
	// Command carries out an operator's command; the Result's Err stays nil. ErrUnknown for a name that Read does not show.
	Command(ctx context.Context, c Command) (Result, error)
	// Read never writes. Named breakers come in the order asked, unknown ones left out; no names = all, by name. An
	// *[UnreadableError] comes beside the snapshots of the others.
	Read(ctx context.Context, names ...string) ([]Snapshot, error)
	// Versions is Read of two numbers only, at the least cost; no names = none. What cannot be read is left out.
	Versions(ctx context.Context, names ...string) ([]Version, error)
	// Roster lists who reports on a breaker, by name; none for an unknown one.
	Roster(ctx context.Context, name string) ([]Replica, error)
	// History lists transitions, newest first; limit <= 0 is all that are kept: 50, and the one since which the breaker was not
	// closed, if that is older. Between the last two there may then be a gap.
	History(ctx context.Context, name string, limit int) ([]Transition, error)
	// Watch calls fn, never twice at once, first with a Resync, again with one after any gap, and with every transition
	// in between. It returns ctx.Err() or ErrClosed. fn may call the store; while it blocks, later events wait or
	// become a Resync.
	Watch(ctx context.Context, fn func(Event)) error
	// Remove forgets a breaker, but for a tombstone that keeps its numbers from coming back; an unknown one is not an error.
	Remove(ctx context.Context, name string) error
	// Lane groups names that share their fate, such as one Redis node; a small number, 0 on.
	Lane(name string) int
	// Info says what kind of store this is.
	Info() Info
	// Close is idempotent.
	Close() error
}

// Event is what a Watch tells: either a Resync (something may have been missed: read again) or a transition with the
// snapshot just after it.
type Event struct {
	Resync     bool
	Transition Transition
	Snapshot   Snapshot
}

// Info describes a store. It grows by fields.
type Info struct {
	Kind   string // "redis", "memory"
	Remote bool   // calls to it are I/O: replicas batch what they report
}

// Connections is what a store has of connections to its server now, and how often none was at hand.
type Connections struct {
	InUse, Idle, Most int
	Waits             uint64 // exchanges that waited until a connection was free or made, since the store was opened
}

// Pooled is implemented by stores that can tell of their connections without I/O. What a Watch listens on may be beside them.
type Pooled interface {
	Connections() Connections
}

// Pinger is implemented by stores that can be asked for a sign of life.
type Pinger interface {
	Ping(ctx context.Context) error
}
