package dashboard

import (
	"bytes"
	"encoding/json"

	"github.com/commontrip/commontrip/health"
	"github.com/commontrip/commontrip/store"
)

// contact is how the store answers.
type contact struct {
	Up         *bool    `json:"up"`                   // null: not asked yet since somebody looks
	Problem    string   `json:"problem,omitempty"`    // if not up
	Unreadable []string `json:"unreadable,omitempty"` // breakers that the store holds and nobody can read, the first ten
	LeftOut    int      `json:"left_out,omitempty"`   // breakers that no replica reports on, beyond those that are listed
	SinceMS    int64    `json:"since_ms"`             // when it last answered, by the server's uptime
}

// message is what a stream carries. Each kind fills what concerns it.
type message struct {
	Now        int64                   `json:"now"` // the server's uptime in ms; what as_of_ms and since_ms are told by
	About      *about                  `json:"about,omitempty"`
	Store      *contact                `json:"store,omitempty"`
	Seconds    int                     `json:"seconds,omitempty"`  // that the rates of this tick stand for
	Rows       []json.RawMessage       `json:"rows,omitempty"`     // hello: all; tick: those that changed; transition: that one, if it is news
	Gone       []string                `json:"gone,omitempty"`     // names of breakers that were removed
	Sparks     map[string][][3]float32 `json:"sparks,omitempty"`   // a point a second: calls, failures, refused
	Replicas   *replicas               `json:"replicas,omitempty"` // those that are not with the fleet
	Replica    *replicaView            `json:"replica,omitempty"`  // this replica, if a Manager is given
	Health     []health.Status         `json:"health,omitempty"`   // if a Monitor is given
	Transition *store.Transition       `json:"transition,omitempty"`
}

// about is what does not change while a stream lasts.
type about struct {
	Kind     string `json:"kind"`     // of store
	Operator string `json:"operator"` // who may command by this page; empty: it is read-only
	Commands bool   `json:"commands"` // whether anybody may
}

// replicas are those of the fleet that a person should know of, by the rosters looked at so far.
type replicas struct {
	Degraded []string `json:"degraded"` // refuse on their own verdict while the fleet's breaker is closed
	Disagree []string `json:"disagree"` // report another policy than the fleet's
}

// replicaView is how this replica fares.
type replicaView struct {
	Name            string `json:"name"`
	StoreUp         bool   `json:"store_up"`
	SinceExchangeMS int64  `json:"since_exchange_ms"`
}

// event is a message in the form of server-sent events. JSON has no raw line breaks, so it is one line of data.
func event(kind string, m message) []byte {
	text, err := json.Marshal(m)
	if err != nil {
		text = []byte("{}")
	}
	return bytes.Join([][]byte{[]byte("event: " + kind + "\ndata: "), text, []byte("\n\n")}, nil)
}
