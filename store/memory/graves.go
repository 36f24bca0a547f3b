package memorystore

import (
	"sync"
	"time"
)

// graves are the names of tombstones in the order in which they are looked at. Removals and new names sweep those that are
// due: there are at most as many tombstones as were removed, or asked about, within four days.
type graves struct {
	mu    sync.Mutex
	queue []grave
}

type grave struct {
	name string
	due  int64 // when to look at it, ms of the store's clock
}

const (
	rest  = int64(48 * time.Hour / time.Millisecond) // a tombstone's day, and one more lest the clock step back
	swept = 4                                        // graves looked at in one request
)

// bury remembers a name that was removed.
func (s *Store) bury(name string) {
	if found, ok := s.entries.Load(name); ok && found.(*entry).bury() {
		s.graves.push(grave{name, s.millis() + rest})
	}
	s.sweep()
}

// bury reports whether a tombstone stands here that has no grave yet.
func (e *entry) bury() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.gone || e.buried || !e.machine.Removed() {
		return false
	}
	e.buried = true
	return true
}

// sweep looks at graves that are due: a tombstone whose day is over is let go of, one that was asked about meanwhile
// waits on, one that became a breaker again is none any more.
func (s *Store) sweep() {
	for range swept {
		now := s.millis()
		name, ok := s.graves.pop(now)
		if !ok {
			return
		}
		found, ok := s.entries.Load(name)
		if ok && s.visit(name, found.(*entry), now) {
			s.graves.push(grave{name, now + rest})
		}
	}
}

// visit reports whether the name is still a tombstone.
func (s *Store) visit(name string, e *entry, now int64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.machine.Empty(now) {
		s.drop(name, e)
	}
	e.buried = !e.gone && e.machine.Removed()
	return e.buried
}

func (g *graves) push(next grave) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.queue = append(g.queue, next)
}

// pop takes the oldest one, if it is due.
func (g *graves) pop(now int64) (string, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.queue) == 0 || g.queue[0].due > now {
		return "", false
	}
	name := g.queue[0].name
	g.queue = g.queue[1:]
	return name, true
}
