package memorystore_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
	"github.com/commontrip/commontrip/store/storetest"
)

func TestConformance(t *testing.T) {
	storetest.RunParallel(t, func(testing.TB) storetest.Harness {
		var first atomic.Pointer[memorystore.Store] // all handles are on it, until one is closed or all is wiped
		h := storetest.InProcess(func(now func() time.Time) store.Store {
			s := memorystore.New(memorystore.WithClock(now))
			first.CompareAndSwap(nil, s)
			return s
		})
		h.OpenReal = func(testing.TB) store.Store { return memorystore.New() }
		h.Names = func(testing.TB) int { return memorystore.Entries(first.Load()) }
		return h
	})
}
