package memorystore

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/commontrip/commontrip/store"
)

const queued = 1024 // events that wait for one watcher; more become a Resync

// watchers are the queues of every Watch: a list that is replaced, never changed, so that publishing takes no lock.
type watchers struct {
	mu   sync.Mutex // of replacing
	list atomic.Pointer[[]*watcher]
}

// watcher is the queue between the store and one Watch.
type watcher struct {
	mu     sync.Mutex
	events []store.Event
	missed bool
	wake   chan struct{} // holds a token while there may be something to take
}

// Watch implements [store.Store]. fn runs on the caller's goroutine.
func (s *Store) Watch(ctx context.Context, fn func(store.Event)) error {
	if fn == nil {
		panic("memorystore: Watch needs a function; it was given nil")
	}
	if err := s.enter(ctx, "Watch"); err != nil {
		return err
	}
	w := &watcher{missed: true, wake: make(chan struct{}, 1)}
	w.wake <- struct{}{}
	s.watch.add(w)
	defer s.watch.remove(w)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.done:
			return store.ErrClosed
		case <-w.wake:
		}
		for _, event := range w.take() {
			if err := s.enter(ctx, "Watch"); err != nil {
				return err
			}
			fn(event)
		}
	}
}

// send queues an event, or notes that one was missed.
func (w *watcher) send(event store.Event) {
	w.mu.Lock()
	if len(w.events) >= queued {
		w.events, w.missed = nil, true
	} else {
		w.events = append(w.events, event)
	}
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// take empties the queue. If something was missed, a Resync stands first.
func (w *watcher) take() []store.Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	events := w.events
	w.events = nil
	if w.missed {
		w.missed = false
		events = slices.Insert(events, 0, store.Event{Resync: true})
	}
	return events
}

// any reports that there is a watcher.
func (l *watchers) any() bool { return len(l.load()) > 0 }

// send queues an event for every watcher.
func (l *watchers) send(event store.Event) {
	for _, w := range l.load() {
		w.send(copyOf(event))
	}
}

// copyOf gives a watcher memory of its own.
func copyOf(e store.Event) store.Event {
	e.Transition.Errors = slices.Clone(e.Transition.Errors)
	e.Transition.Witnesses = slices.Clone(e.Transition.Witnesses)
	e.Snapshot.Errors = slices.Clone(e.Snapshot.Errors)
	return e
}

// load is the list.
func (l *watchers) load() []*watcher {
	if list := l.list.Load(); list != nil {
		return *list
	}
	return nil
}

// add begins a Watch.
func (l *watchers) add(w *watcher) {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := append(slices.Clone(l.load()), w)
	l.list.Store(&list)
}

// remove ends one.
func (l *watchers) remove(w *watcher) {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := slices.DeleteFunc(slices.Clone(l.load()), func(other *watcher) bool { return other == w })
	l.list.Store(&list)
}
