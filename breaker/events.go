package breaker

import (
	"fmt"

	"github.com/commontrip/commontrip/store"
)

// EventKind says what an [Event] tells.
type EventKind uint8

// The kinds.
const (
	Transitioned   EventKind = iota + 1 // the fleet's state changed, or a timed command ended
	Commanded                           // an operator's command was carried out, a Trip or Reset included
	StoreLost                           // no answer for StaleAfter: the replica's own verdict rules
	StoreBack                           // the store answers again
	OwnTripped                          // the replica's own verdict opened
	OwnClosed                           // the replica's own verdict closed
	PolicyConflict                      // a replica reports another policy than the fleet's
	Repaired                            // a store that had lost the verdict was told by a replica
	Disowned                            // the store refused what this replica knew for 15 s, its clock having been wrong: that is dropped
)

var eventKindTexts = []string{
	"", "transitioned", "commanded", "store-lost", "store-back", "own-tripped", "own-closed", "policy-conflict", "repaired", "disowned",
}

func (k EventKind) String() string {
	if k > 0 && int(k) < len(eventKindTexts) {
		return eventKindTexts[k]
	}
	return fmt.Sprintf("EventKind(%d)", uint8(k))
}

// MarshalText gives the kind's text, such as "store-lost".
func (k EventKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Event is something worth a line in a log.
type Event struct {
	Kind       EventKind
	Name       string           // the breaker; empty: the Manager itself
	Transition store.Transition // of Transitioned, Commanded, Repaired; of OwnTripped, OwnClosed: the own verdict's, with the fleet's Generation and this replica's time of day
	Err        error            // of StoreLost and Disowned; else what this listener missed because it was too slow
}
