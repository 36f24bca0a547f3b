package health

import "sync"

// maxQueued bounds what waits for a listener that blocks; the oldest changes are dropped beyond it.
const maxQueued = 1024

// listener gives one function its statuses one at a time, in order, on a goroutine that lives only while there are
// some. The caller that brings them never waits.
type listener struct {
	fn func(Status)

	mu    sync.Mutex
	queue []Status
	idle  chan struct{} // closed when the queue has been worked off; nil = it is
}

func (l *listener) put(s Status) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == maxQueued {
		l.queue = l.queue[1:]
	}
	l.queue = append(l.queue, s)
	if l.idle == nil {
		l.idle = make(chan struct{})
		go l.work()
	}
}

// work calls fn until the queue is empty. A panic in fn is spent on that call; if fn ends the goroutine
// (runtime.Goexit), another one takes over.
func (l *listener) work() {
	done := false
	defer func() {
		if !done {
			go l.work()
		}
	}()
	for {
		s, ok := l.next()
		if !ok {
			done = true
			return
		}
		l.call(s)
	}
}

func (l *listener) next() (Status, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == 0 {
		l.queue = nil
		close(l.idle)
		l.idle = nil
		return Status{}, false
	}
	s := l.queue[0]
	l.queue = l.queue[1:]
	return s, true
}

func (l *listener) call(s Status) {
	defer func() { _ = recover() }()
	l.fn(s)
}

// drained is closed when fn has seen everything that has been put so far.
func (l *listener) drained() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.idle != nil {
		return l.idle
	}
	none := make(chan struct{})
	close(none)
	return none
}
