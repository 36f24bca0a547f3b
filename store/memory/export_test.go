package memorystore

// Entries is how many names the store keeps, shown or not.
func Entries(s *Store) int { return len(s.names()) }

// Graves is how many tombstones wait to be swept.
func Graves(s *Store) int {
	s.graves.mu.Lock()
	defer s.graves.mu.Unlock()
	return len(s.graves.queue)
}

// Queued is how many events wait for one watcher at most.
const Queued = queued

// Watchers is how many watch.
func Watchers(s *Store) int { return len(s.watch.load()) }
