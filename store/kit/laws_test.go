package storekit_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/commontrip/commontrip/store"
	storekit "github.com/commontrip/commontrip/store/kit"
	"github.com/commontrip/commontrip/store/storetest"
)

func TestConformanceOnACompareAndSwapMap(t *testing.T) {
	storetest.RunParallel(t, func(testing.TB) storetest.Harness {
		server := newCASMap()
		connect := func(t testing.TB, opts ...storekit.Option) store.Store {
			return open(t, backend{server}, append(opts, storekit.WithTimeout(30*time.Second), storekit.WithHeartbeat(500*time.Millisecond))...)
		}
		return storetest.Harness{
			Open:     func(t testing.TB, now func() time.Time) store.Store { return connect(t, storekit.WithClock(now)) },
			OpenReal: func(t testing.TB) store.Store { return connect(t) },
			Wipe:     func(testing.TB) { server.drop(func(storekit.Record) bool { return true }) },
			Names:    func(testing.TB) int { return len(server.names()) },
			Cut:      func(testing.TB) { server.cut(true) },
			Silence:  func(testing.TB) { server.cut(false) },
		}
	})
}

// cut makes those who listen hear nothing any more, and tells them so or not.
func (m *casMap) cut(tell bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for l := range m.listeners {
		delete(m.listeners, l)
		if tell {
			close(l)
		}
	}
}

// names are those of all records, sorted.
func (m *casMap) names() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.records))
}
