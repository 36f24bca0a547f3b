package storekit

import (
	"slices"
	"sync"

	"github.com/commontrip/commontrip/store"
)

const queued = 1024 // events that wait for one Watch; more become a Resync

// queue stands between the back end and one Watch, so that a slow fn holds nobody up.
type queue struct {
	mu     sync.Mutex
	events []store.Event
	missed bool          // a Resync stands before the events
	wake   chan struct{} // holds a token while there may be something to take
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

// send queues an event. A Resync makes all that wait before it needless.
func (q *queue) send(event store.Event) {
	q.mu.Lock()
	if event.Resync || len(q.events) >= queued {
		q.events, q.missed = nil, true
	} else {
		q.events = append(q.events, event)
	}
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take empties the queue.
func (q *queue) take() []store.Event {
	q.mu.Lock()
	defer q.mu.Unlock()
	events := q.events
	q.events = nil
	if q.missed {
		q.missed = false
		events = slices.Insert(events, 0, store.Event{Resync: true})
	}
	return events
}
