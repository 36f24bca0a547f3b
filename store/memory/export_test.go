package memorystore

// Entries is how many names the store keeps, shown or not.
func Entries(s *Store) int { return len(s.names()) }

// Tombstones is how many of them wait to be swept.
func Tombstones(s *Store) int {
	s.tombstones.mu.Lock()
	defer s.tombstones.mu.Unlock()
	return len(s.tombstones.queue)
}

// Queued is how many events wait for one watcher at most.
const Queued = queued

// Watchers is how many there are.
func Watchers(s *Store) int { return len(s.watch.load()) }
