package breaker

import (
	"context"
	"fmt"
	"sync"

	"github.com/commontrip/commontrip/internal/guard"
)

// listener is a user's function and the events that wait for it. It has a goroutine only while some do.
type listener struct {
	fn func(Event)

	mu      sync.Mutex
	queue   []Event
	dropped int
	running bool
	idle    chan struct{} // closed once nothing waits; nil: nobody asks
}

const queued = 1024 // events that wait for one listener

func listen(fns []func(Event)) []*listener {
	listeners := make([]*listener, len(fns))
	for i, fn := range fns {
		listeners[i] = &listener{fn: fn}
	}
	return listeners
}

// hear lets an event wait. It never blocks.
func (l *listener) hear(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) >= queued {
		l.dropped++
		return
	}
	if l.dropped > 0 && e.Err == nil {
		e.Err = fmt.Errorf("%d events before this one were dropped: the listener is too slow", l.dropped)
		l.dropped = 0
	}
	l.queue = append(l.queue, e)
	if !l.running {
		l.running = true
		go l.serve()
	}
}

// serve calls fn until nothing waits. An fn that calls runtime.Goexit ends this goroutine, so another goes on.
func (l *listener) serve() {
	done := false
	defer func() {
		if !done {
			go l.serve()
		}
	}()
	for {
		e, ok := l.next()
		if !ok {
			done = true
			return
		}
		l.call(e)
	}
}

func (l *listener) next() (Event, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == 0 {
		l.queue, l.running = nil, false
		if l.idle != nil {
			close(l.idle)
			l.idle = nil
		}
		return Event{}, false
	}
	e := l.queue[0]
	l.queue[0] = Event{}
	l.queue = l.queue[1:]
	return e, true
}

// call outlives a panic in fn: there is nobody to hand it to.
func (l *listener) call(e Event) {
	// mutant: listener
	defer func() { _ = recover() }()
	l.fn(e)
}

// drain waits until fn has been told everything.
func (l *listener) drain(ctx context.Context) error {
	l.mu.Lock()
	if !l.running {
		l.mu.Unlock()
		return nil
	}
	if l.idle == nil {
		l.idle = make(chan struct{})
	}
	idle := l.idle
	l.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("a listener has not heard everything: %w", guard.Ended(ctx))
	}
}
