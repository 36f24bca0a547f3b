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
	storetest.Run(t, func(testing.TB) storetest.Harness {
		server := newCASMap()
		return storetest.Harness{
			Open: func(t testing.TB, now func() time.Time) store.Store {
				s, err := storekit.New(backend{server}, storekit.WithClock(now), storekit.WithTimeout(30*time.Second))
				if err != nil {
					t.Fatal(err)
				}
				return s
			},
			Wipe: func(testing.TB) { server.wipe() },
		}
	})
}

// wipe forgets everything. Versions stay, so that a step that is under way begins again.
func (m *casMap) wipe() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name := range m.records {
		delete(m.records, name)
		m.versions[name]++
	}
}

// names are those of all records, sorted.
func (m *casMap) names() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.records))
}
