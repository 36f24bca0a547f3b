package storekit_test

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	storekit "github.com/commontrip/commontrip/store/kit"
)

// casMap is a server that many clients share: a map whose entries are versioned, with an atomic compare-and-swap of several of
// them, and messages to all who listen.
type casMap struct {
	mu        sync.Mutex
	records   map[string]storekit.Record
	versions  map[string]int // a name's grows with each change, and stays when the record goes
	listeners map[chan []byte]bool
}

func newCASMap() *casMap {
	return &casMap{records: map[string]storekit.Record{}, versions: map[string]int{}, listeners: map[chan []byte]bool{}}
}

// get reads the records of names, or all, with their versions and the clock.
func (m *casMap) get(names []string) (now int64, records []storekit.Record, versions map[string]int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	versions = map[string]int{}
	if len(names) == 0 {
		names = slices.Collect(maps.Keys(m.records))
	}
	for _, name := range names {
		versions[name] = m.versions[name]
		if r, ok := m.records[name]; ok {
			records = append(records, r)
		}
	}
	return time.Now().UnixMilli(), records, versions
}

// swap carries an effect out if what it puts still has those versions. What it does not put need not be checked.
func (m *casMap) swap(versions map[string]int, e storekit.Effect) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range e.Put {
		if version, read := versions[r.Name]; read && m.versions[r.Name] != version {
			return false
		}
	}
	for _, r := range e.Put {
		m.records[r.Name] = r
		m.versions[r.Name]++
	}
	for l := range m.listeners {
		for _, message := range e.Push {
			select {
			case l <- message:
			default: // too slow
				delete(m.listeners, l)
				close(l)
			}
			if !m.listeners[l] {
				break
			}
		}
	}
	return true
}

// drop forgets some records.
func (m *casMap) drop(which func(storekit.Record) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, r := range m.records {
		if which(r) {
			delete(m.records, name)
			m.versions[name]++
		}
	}
}

// listen gives a channel with every message from now on. It is closed if one was missed.
func (m *casMap) listen() chan []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := make(chan []byte, 100)
	m.listeners[l] = true
	return l
}

// leave ends what listen began.
func (m *casMap) leave(l chan []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.listeners, l)
}

// backend is the whole of what a store on such a server needs.
type backend struct{ *casMap }

func (b backend) Step(ctx context.Context, names []string, judge storekit.Judge) error {
	for ctx.Err() == nil {
		now, held, versions := b.get(append([]string{""}, names...)) // never empty, which would be all
		if b.swap(versions, judge(now, held)) {
			return nil
		}
	}
	return ctx.Err()
}

func (b backend) Look(_ context.Context, names []string) (int64, []storekit.Record, error) {
	now, records, _ := b.get(names)
	if len(names) == 0 {
		records = slices.DeleteFunc(records, func(r storekit.Record) bool { return !r.Shown })
	}
	return now, records, nil
}

func (b backend) Follow(ctx context.Context, ready func(), push func([]byte)) error {
	messages := b.listen()
	defer b.leave(messages)
	ready()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case message, ok := <-messages:
			if !ok {
				return nil
			}
			push(message)
		}
	}
}

func (b backend) Sweep(_ context.Context, now int64) error {
	b.drop(func(r storekit.Record) bool { return r.Expires != 0 && r.Expires <= now })
	return nil
}

func (b backend) Close() error { return nil }
