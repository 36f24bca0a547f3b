package redisstore

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/commontrip/commontrip/store"
)

// The name-space index is one set of names for Read of all. It is a hint: a name in it may be gone, and it is written
// beside the scripts, since a script has one key. A name is added when a script says that its breaker is newly to be
// seen, and again every ten minutes by each handle that reports on it, so that an index which got lost comes back. Each
// handle that reports looks at some names at random now and then and takes out those whose breakers are gone, and goes on
// at once while many are.
const (
	indexAgain = 10 * time.Minute
	indexKept  = 48 * time.Hour   // without an addition
	indexPause = 10 * time.Second // after an addition that failed: its node must not hold up what is about other nodes

	sweepEvery = 10 * time.Second       // of each handle, while few replicas report; of many, more seldom
	sweepSoon  = 100 * time.Millisecond // after a sweep that found many names gone
	sweepFew   = 64                     // names
	sweepMany  = 512
	sweepFleet = 8 // replicas that sweep at that pace together
)

// index remembers what this handle has added, and when.
type index struct {
	mu       sync.Mutex
	added    map[string]time.Time
	paused   time.Time // until when nothing is added
	purged   time.Time // when what was added long ago was last forgotten
	sweepAt  time.Time // when some names are looked at next; zero: at once
	many     bool      // the last sweep found many names gone
	sweeping bool
}

// wants reports that a name is to be added. A fresh one is new to the store, which may have lost its memory and the set with
// it: it stays wanted until it was added, after a pause too.
func (x *index) wants(name string, fresh bool) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if fresh {
		delete(x.added, name)
	}
	if time.Now().Before(x.paused) {
		return false
	}
	last, ok := x.added[name]
	return !ok || time.Since(last) > indexAgain
}

// pause stops additions for a while.
func (x *index) pause() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.paused = time.Now().Add(indexPause)
}

// note remembers that names were added, and forgets those that this handle does not report on any more.
func (x *index) note(names []string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.added == nil {
		x.added = map[string]time.Time{}
	}
	now := time.Now()
	for _, name := range names {
		x.added[name] = now
	}
	if now.Sub(x.purged) < time.Minute {
		return
	}
	x.purged = now
	maps.DeleteFunc(x.added, func(_ string, last time.Time) bool { return now.Sub(last) > 2*indexAgain })
}

// beginSweep is how many names to look at now, 0 for none. replicas is how many report on a breaker.
func (x *index) beginSweep(replicas int) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	now := time.Now()
	if x.sweeping || now.Before(x.sweepAt) {
		return 0
	}
	x.sweeping = true
	if x.many {
		return sweepMany
	}
	pace := min(sweepEvery*time.Duration(max(1, replicas/sweepFleet)), indexAgain)
	x.sweepAt = now.Add(pace/2 + rand.N(pace))
	return sweepFew
}

// endSweep notes what a sweep found.
func (x *index) endSweep(looked, gone int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.sweeping, x.many = false, gone > 0 && gone >= looked/4
	if x.many {
		x.sweepAt = time.Now().Add(sweepSoon)
	}
}

// indexNames adds names. An error is not one of the request: a later request, after a pause, adds them again.
func (s *Store) indexNames(ctx context.Context, names []string) {
	if len(names) == 0 {
		return
	}
	args := make([]any, 0, 2+len(names))
	args = append(args, "sadd", s.keys.names())
	for _, name := range names {
		args = append(args, name)
	}
	add := &call{args: args, key: s.keys.names()}
	keep := &call{args: []any{"pexpire", s.keys.names(), indexKept.Milliseconds()}, key: s.keys.names()}
	if s.exchange(ctx, s.indexLane(), []*call{add, keep}) != nil || add.err != nil {
		s.index.pause()
		return
	}
	s.index.note(names)
}

// sweepSome looks at some names in the background, if it is time to. What goes wrong is for a later one.
func (s *Store) sweepSome(replicas int) {
	n := s.index.beginSweep(replicas)
	if n == 0 {
		return
	}
	go func() {
		var names []string
		gone := 0
		defer func() { s.index.endSweep(len(names), gone) }()
		ctx := context.Background() // each exchange is bounded by itself, and ends with the store
		look := &call{args: []any{"srandmember", s.keys.names(), n}, key: s.keys.names()}
		if s.do(ctx, s.indexLane(), look) != nil {
			return
		}
		names = texts(look.reply)
		gone, _ = s.sweepNames(ctx, names)
	}()
}

// Sweep takes the names of breakers that are gone out of the list for [Store.Read] of all, and says how many those were.
// Replicas do so by themselves, a few names at a time.
func (s *Store) Sweep(ctx context.Context) (gone int, err error) {
	all := &call{args: []any{"smembers", s.keys.names()}, key: s.keys.names()}
	if err := s.do(ctx, s.indexLane(), all); err != nil {
		return 0, err
	}
	for names := range slices.Chunk(texts(all.reply), readBatch) {
		n, err := s.sweepNames(ctx, names)
		gone += n
		if err != nil {
			return gone, err
		}
	}
	return gone, nil
}

// sweepNames takes out those of the names whose breakers are gone, and what is not a name. It says how many those were.
func (s *Store) sweepNames(ctx context.Context, names []string) (int, error) {
	checks := make([]*call, 0, len(names))
	gone := []any{"srem", s.keys.names()}
	var asked []string
	for _, name := range names {
		if store.ValidateName(name) != nil {
			gone = append(gone, name)
			continue
		}
		key := s.keys.breaker(name)
		checks, asked = append(checks, &call{args: []any{"exists", key}, key: key}), append(asked, name)
	}
	if err := s.exchange(ctx, s.laneOf(checks), checks); err != nil {
		return 0, err
	}
	var failed error
	for i, c := range checks {
		if c.err != nil {
			failed = s.failure(c.err)
		} else if c.reply == int64(0) {
			gone = append(gone, asked[i])
		}
	}
	if len(gone) == 2 {
		return 0, failed
	}
	out := &call{args: gone, key: s.keys.names()}
	if err := s.do(ctx, s.indexLane(), out); err != nil {
		return 0, err
	}
	return len(gone) - 2, failed
}

// texts are the strings of a list.
func texts(reply any) []string {
	list, _ := reply.([]any)
	out := make([]string, 0, len(list))
	for _, v := range list {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// unindex takes out the name of a breaker that was removed, or is not there.
func (s *Store) unindex(ctx context.Context, name string) {
	s.index.mu.Lock()
	delete(s.index.added, name)
	s.index.mu.Unlock()
	_ = s.exchange(ctx, s.indexLane(), []*call{{args: []any{"srem", s.keys.names(), name}, key: s.keys.names()}})
}

// indexed lists the names, in any order.
func (s *Store) indexed(ctx context.Context) ([]string, error) {
	c := &call{args: []any{"smembers", s.keys.names()}, key: s.keys.names()}
	if err := s.do(ctx, s.indexLane(), c); err != nil {
		return nil, err
	}
	list, ok := c.reply.([]any)
	if !ok {
		return nil, &ReplyError{Of: "the names", Problem: "no list"}
	}
	names := make([]string, 0, len(list))
	for _, v := range list {
		if name, ok := v.(string); ok && store.ValidateName(name) == nil {
			names = append(names, name)
		}
	}
	return names, nil
}

// indexLane is the lane of the index.
func (s *Store) indexLane() int { return s.laneOfKey(s.keys.names()) }
