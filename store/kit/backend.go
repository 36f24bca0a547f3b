package storekit

import (
	"context"

	"github.com/commontrip/commontrip/store"
)

// MaxNames is how many names a Step is about at most: as many breakers as a replica's Manager reports on at once.
const MaxNames = 500

// Record is what a Backend keeps under a name. Only the kit reads Data. The other fields are there so that a Backend can find
// records without reading Data.
type Record struct {
	Name            string // unique; 1..200 bytes of UTF-8, compared byte by byte
	Data            []byte // 0.1 to some 50 kB: it grows with the history and the number of replicas
	Shown           bool   // false: a name that was removed. A Look for all leaves it out
	Generation, Rev uint64 // at most 2^53-1
	Expires         int64  // ms of the Backend's clock from which on a Sweep forgets the record; 0 = never
}

// Effect is what a Judge wants done. All of it happens, or none of it.
type Effect struct {
	Put  []Record // written whole, over what may be there
	Push [][]byte // messages to every Follow, in order, once the rest is committed; UTF-8 without control characters
}

// Judge decides on a step. now is the Backend's clock in ms. held are the records that exist of the names that the step is about,
// in any order. It keeps nothing that it was given, does no I/O, and may be called again.
type Judge func(now int64, held []Record) Effect

// Backend is a place that keeps records. All methods are safe for concurrent use, and return soon after ctx has ended. A
// Backend may also implement [store.Pinger] and [Versioner].
type Backend interface {
	// Step calls judge and carries out its Effect as one atomic step: no other step about one of the names comes between what
	// judge was shown and what it wants done. The names are sorted, each occurs once, and judge's Effect is about these names
	// only. There are at most [MaxNames], and none for a step that only pushes.
	//
	// A record that the Effect does not put needs no check at the end, such as that of a compare-and-swap. What the kit says about it is
	// then what a read would have shown at the time of the clock. If the Effect puts and pushes nothing, there is nothing to do.
	//
	// The clock must be read when nothing can come between any more: after the locks were taken, or together with the records if
	// a compare-and-swap finds out later. A clock that was read before a wait seems to have stepped back.
	//
	// If somebody else came between, Step calls judge again, and the last call counts. After an error the step may have happened or not,
	// but not in part.
	Step(ctx context.Context, names []string, judge Judge) error
	// Look reads the clock and those of the records that exist, in any order; no names = all that are Shown. It writes nothing.
	Look(ctx context.Context, names []string) (now int64, records []Record, err error)
	// Follow calls ready once it hears every push from now on, and then push with each, in order and one at a time, its own
	// Store's too. It returns as soon as it may have missed one. The kit then calls it again. Neither function blocks.
	Follow(ctx context.Context, ready func(), push func([]byte)) error
	// Sweep forgets the records whose Expires is from 1 to now. It is called every ten minutes or so.
	Sweep(ctx context.Context, now int64) error
	// Close is called once, when no other method runs any more.
	Close() error
}

// Versioner is implemented by a Backend that can read two numbers for less than whole records.
type Versioner interface {
	// Versions gives the numbers of those records that exist and are Shown, in any order.
	Versions(ctx context.Context, names []string) ([]store.Version, error)
}
