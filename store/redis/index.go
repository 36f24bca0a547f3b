package redisstore

import (
	"context"
	"sync"
	"time"

	"github.com/commontrip/commontrip/store"
)

// The name-space index is one set of names for Read of all. It is a hint: a name in it may be gone, and it is written
// beside the scripts, since a script has one key. A name is added when a script says that its breaker is newly to be
// seen, and again every ten minutes by each handle that reports on it, so that an index which got lost comes back. Each
// addition looks at a few names at random and takes out those whose breakers are gone.
const (
	indexAgain = 10 * time.Minute
	indexSweep = 4
	indexPause = 10 * time.Second // after an addition that failed: its node must not hold up what is about other nodes
)

// index remembers what this handle has added, and when.
type index struct {
	mu     sync.Mutex
	added  map[string]time.Time
	paused time.Time // until when nothing is added
}

// wants reports that a name is to be added.
func (x *index) wants(name string, fresh bool) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if time.Now().Before(x.paused) {
		return false
	}
	last, ok := x.added[name]
	return fresh || !ok || time.Since(last) > indexAgain
}

// pause stops additions for a while.
func (x *index) pause() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.paused = time.Now().Add(indexPause)
}

// note remembers that names were added.
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
	for name, last := range x.added { // in any order: a few are enough
		if now.Sub(last) > 2*indexAgain {
			delete(x.added, name)
			continue
		}
		break
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
	look := &call{args: []any{"srandmember", s.keys.names(), indexSweep}, key: s.keys.names()}
	if s.exchange(ctx, s.indexLane(), []*call{add, look}) != nil || add.err != nil {
		s.index.pause()
		return
	}
	s.index.note(names)
	s.sweepIndex(ctx, look)
}

// sweepIndex takes out the names, of those that look drew, whose breakers are gone.
func (s *Store) sweepIndex(ctx context.Context, look *call) {
	list, _ := look.reply.([]any)
	var checks []*call
	var names []string
	for _, v := range list {
		name, ok := v.(string)
		if !ok {
			continue
		}
		names = append(names, name)
		if store.ValidateName(name) == nil {
			key := s.keys.breaker(name)
			checks = append(checks, &call{args: []any{"exists", key}, key: key})
		} else {
			checks = append(checks, nil)
		}
	}
	var asked []*call
	for _, c := range checks {
		if c != nil {
			asked = append(asked, c)
		}
	}
	if s.exchange(ctx, s.laneOf(asked), asked) != nil {
		return
	}
	gone := []any{"srem", s.keys.names()}
	for i, c := range checks {
		if c == nil || c.err == nil && c.reply == int64(0) {
			gone = append(gone, names[i])
		}
	}
	if len(gone) > 2 {
		_ = s.exchange(ctx, s.indexLane(), []*call{{args: gone, key: s.keys.names()}})
	}
}

// unindex takes out the name of a breaker that was removed.
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
