package store_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/commontrip/commontrip/store"
)

// Here nobody imports store/redis: who needs no Redis client gets none, and who does is told what to import.
func TestAStoreThatIsNotImportedIsNamed(t *testing.T) {
	if slices.Contains(store.Schemes(), "redis") {
		t.Fatal("redis is registered")
	}
	s, err := store.OpenURL("redis://u:hunter2@db", store.OpenConfig{})
	if s != nil || !errors.Is(err, store.ErrScheme) || !strings.Contains(err.Error(), "store/redis") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v, %v", s, err)
	}
}
