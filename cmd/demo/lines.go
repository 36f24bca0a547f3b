package main

import (
	"bufio"
	"encoding/json"
	"io"
	"sync"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
)

// The parent and its children speak in JSON, one message a line: orders go down a child's standard input, what it has
// to say comes up its standard output. A child whose input ends, ends: no process outlives the parent, however that
// goes.

// order is what the parent tells a child.
type order struct {
	ID      int           `json:"id"` // of the answer that is waited for; 0: none is
	Do      verb          `json:"do"`
	Tier    *tierSpec     `json:"tier,omitempty"`
	Replica *replicaSpec  `json:"replica,omitempty"`
	Mode    mode          `json:"mode,omitempty"`
	Latency time.Duration `json:"latency,omitempty"`
	Up      bool          `json:"up,omitempty"`
}

type verb string

const (
	start   verb = "start"   // the first: Tier or Replica says what to be
	behave  verb = "behave"  // a tier: take Mode and Latency
	network verb = "network" // a replica: its network to the tier works, or not
	census  verb = "census"  // answer with all that was counted; the largest waits start again
	stop    verb = "stop"    // finish, and end
)

// said is what a child tells the parent.
type said struct {
	ID      int           `json:"id,omitempty"`    // of the order that it answers
	URL     string        `json:"url,omitempty"`   // a tier's answer to start
	Error   string        `json:"error,omitempty"` // why it could not
	Replica *replicaTally `json:"replica,omitempty"`
	Tier    *tierTally    `json:"tier,omitempty"`
	Event   *heard        `json:"event,omitempty"`
	Late    time.Duration `json:"late,omitempty"` // the latest beat of its pulse since the child last said something
}

// heard is a breaker's event, and when a replica's listener was told of it.
type heard struct {
	Kind       string           `json:"kind"`
	Breaker    string           `json:"breaker"`
	Text       string           `json:"text"`
	At         time.Time        `json:"at"`
	Transition store.Transition `json:"transition"`
}

func hear(e breaker.Event, at time.Time) *heard {
	return &heard{Kind: e.Kind.String(), Breaker: e.Name, Text: e.String(), At: at, Transition: e.Transition}
}

func (h *heard) is(k breaker.EventKind) bool { return h.Kind == k.String() }

// mouth writes what a child says. It is safe for concurrent use.
type mouth struct {
	pulse *pulse

	mu  sync.Mutex
	out *json.Encoder
}

func newMouth(w io.Writer, p *pulse) *mouth { return &mouth{pulse: p, out: json.NewEncoder(w)} }

// say adds how late this process is, and drops what cannot be written: then the parent is gone, and the end of the child's input says so.
func (m *mouth) say(s said) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s.Late = m.pulse.take(time.Now())
	_ = m.out.Encode(s)
}

// orders gives the parent's orders until the input ends.
func orders(r io.Reader) <-chan order {
	ch := make(chan order)
	go func() {
		defer close(ch)
		for dec := json.NewDecoder(bufio.NewReader(r)); ; {
			var o order
			if dec.Decode(&o) != nil {
				return
			}
			ch <- o
		}
	}()
	return ch
}
