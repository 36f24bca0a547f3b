package memorystore

import (
	"sync"

	"github.com/commontrip/commontrip/internal/machine"
	"github.com/commontrip/commontrip/store"
)

// entry is what stands under a name.
type entry struct {
	mu      sync.Mutex
	machine machine.Machine
	gone    bool // taken out of the map: look again
	queued  bool // waits among the tombstones
}

// write runs one request on a name's machine, publishes what it wrote to the history and lets go of a machine of which
// nothing is left. If the name has none, create says whether to make one.
func (s *Store) write(name string, create bool, request func(m *machine.Machine, now int64)) {
	for {
		e := s.entry(name, create)
		if e == nil {
			return
		}
		if s.try(name, e, request) {
			return
		}
	}
}

// try runs the request, unless the entry has left the map: then it gives false.
func (s *Store) try(name string, e *entry, request func(m *machine.Machine, now int64)) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.gone {
		return false
	}
	request(&e.machine, s.millis())
	s.publish(name, &e.machine)
	if e.machine.Absent() {
		s.drop(name, e)
	}
	return true
}

// drop takes an entry out of the map. e is locked.
func (s *Store) drop(name string, e *entry) {
	e.gone = true
	s.entries.CompareAndDelete(name, e)
}

// read looks at a name's machine, if it has one.
func (s *Store) read(name string, look func(m *machine.Machine, now int64)) {
	e := s.entry(name, false)
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	look(&e.machine, s.millis())
}

// entry is what stands under a name. If nothing does, create says whether to make one.
func (s *Store) entry(name string, create bool) *entry {
	if e, ok := s.entries.Load(name); ok {
		return e.(*entry)
	}
	if !create {
		return nil
	}
	s.sweep()
	e, _ := s.entries.LoadOrStore(name, &entry{})
	return e.(*entry)
}

// millis is the store's clock.
func (s *Store) millis() int64 { return s.now().UnixMilli() }

// publish hands what the last request wrote to the watchers. e's lock is held, so that one breaker's events keep the order
// of its transitions.
func (s *Store) publish(name string, m *machine.Machine) {
	if !s.watch.any() {
		return
	}
	for _, t := range m.Written() {
		s.watch.send(store.Event{Transition: t, Snapshot: m.Current(name)})
	}
}
