package memorystore

import "sync"

// graves are the names of tombstones, the oldest first. Each removal, and each new name, looks at the oldest few, so that
// there are never more of them than were removed in a day and in as many requests as there were.
type graves struct {
	mu    sync.Mutex
	names []string
}

const swept = 2 // graves looked at each time

// bury remembers a name that was removed.
func (s *Store) bury(name string) {
	found, ok := s.entries.Load(name)
	if !ok {
		return
	}
	e := found.(*entry)
	e.mu.Lock()
	fresh := !e.gone && !e.buried && e.machine.Removed()
	if fresh {
		e.buried = true
	}
	e.mu.Unlock()
	if fresh {
		s.graves.push(name)
	}
	s.sweep()
}

// sweep looks at the oldest graves: one whose day is over is let go of, one that is still a tombstone waits on, one that
// became a breaker again is none any more.
func (s *Store) sweep() {
	for range swept {
		name, ok := s.graves.pop()
		if !ok {
			return
		}
		found, ok := s.entries.Load(name)
		if ok && s.visit(name, found.(*entry)) {
			s.graves.push(name)
		}
	}
}

// visit reports whether the name is still a tombstone.
func (s *Store) visit(name string, e *entry) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	s.drop(name, e, s.millis())
	e.buried = !e.gone && e.machine.Removed()
	return e.buried
}

func (g *graves) push(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.names = append(g.names, name)
}

func (g *graves) pop() (string, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.names) == 0 {
		return "", false
	}
	name := g.names[0]
	g.names = g.names[1:]
	return name, true
}
