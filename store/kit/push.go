package storekit

import (
	"encoding/json"

	"github.com/commontrip/commontrip/store"
)

// pushed is a push, in the one JSON form. One that tells of no transition says that something happened, and a heartbeat that
// the way is open. What a reader does not know is passed over, or is a Resync to it.
type pushed struct {
	Transition *store.Transition `json:"transition,omitempty"`
	Snapshot   *store.Snapshot   `json:"snapshot,omitempty"`
	Heartbeat  bool              `json:"heartbeat,omitempty"`
}

var (
	heartbeat = []byte(`{"heartbeat":true}`)
	resync    = []byte(`{}`)
)

// encodePush is the push of a transition.
func (s *Store) encodePush(t store.Transition, after store.Snapshot) []byte {
	data, err := json.Marshal(pushed{Transition: &t, Snapshot: &after})
	if err != nil || s.maxPush > 0 && len(data) > s.maxPush {
		return resync
	}
	return data
}

// decodePush reads a push. ok is false for a heartbeat, of which nobody needs to hear.
func decodePush(data []byte) (event store.Event, ok bool) {
	var p pushed
	switch err := json.Unmarshal(data, &p); {
	case err != nil:
		return store.Event{Resync: true}, true
	case p.Heartbeat:
		return store.Event{}, false
	case p.Transition == nil || p.Snapshot == nil || store.ValidateName(p.Snapshot.Name) != nil || p.Transition.Name != p.Snapshot.Name:
		return store.Event{Resync: true}, true
	}
	return store.Event{Transition: *p.Transition, Snapshot: *p.Snapshot}, true
}
