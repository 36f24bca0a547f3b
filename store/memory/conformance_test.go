package memorystore_test

import (
	"testing"
	"time"

	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
	"github.com/commontrip/commontrip/store/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(testing.TB) storetest.Harness {
		return storetest.InProcess(func(now func() time.Time) store.Store {
			return memorystore.New(memorystore.WithClock(now))
		})
	})
}
