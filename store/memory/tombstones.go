package memorystore

import (
	"sync"

	"github.com/commontrip/commontrip/internal/limits"
)

// tombstones are the names that were removed, in the order in which sweeps look at them. Removals and new names sweep those
// that are due: there are at most as many tombstones as were removed, or asked about, within four days.
type tombstones struct {
	mu    sync.Mutex
	queue []tombstone
}

// tombstone is a name that was removed.
type tombstone struct {
	name string
	due  int64 // when to look at it, ms of the store's clock
}

const (
	// sweepAfter is a tombstone's day in ms, and one more lest the clock step back.
	sweepAfter = 2 * int64(limits.Day)

	sweptAtOnce = 4 // tombstones looked at in one request
)

// bury queues a name that was removed for a sweep.
func (s *Store) bury(name string) {
	if found, ok := s.entries.Load(name); ok && found.(*entry).queueTombstone() {
		s.tombstones.push(tombstone{name, s.millis() + sweepAfter})
	}
	s.sweep()
}

// queueTombstone reports that a tombstone stands here that is not queued yet, and notes that it will be.
func (e *entry) queueTombstone() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.gone || e.queued || !e.machine.Removed() {
		return false
	}
	e.queued = true
	return true
}

// sweep looks at tombstones that are due. One whose day is over is let go of. One that was asked about meanwhile waits on.
// One that became a breaker again leaves the queue.
func (s *Store) sweep() {
	for range sweptAtOnce {
		now := s.millis()
		name, ok := s.tombstones.pop(now)
		if !ok {
			return
		}
		found, ok := s.entries.Load(name)
		if ok && s.visit(name, found.(*entry), now) {
			s.tombstones.push(tombstone{name, now + sweepAfter})
		}
	}
}

// visit lets go of a tombstone whose day is over. It reports whether the name is still one.
func (s *Store) visit(name string, e *entry, now int64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.machine.Empty(now) {
		s.drop(name, e)
	}
	e.queued = !e.gone && e.machine.Removed()
	return e.queued
}

// push queues a tombstone.
func (t *tombstones) push(next tombstone) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.queue = append(t.queue, next)
}

// pop takes out the oldest tombstone and gives its name, if it is due.
func (t *tombstones) pop(now int64) (string, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.queue) == 0 || t.queue[0].due > now {
		return "", false
	}
	name := t.queue[0].name
	t.queue = t.queue[1:]
	return name, true
}
