package memorystore

import (
	"context"
	"testing"

	"github.com/commontrip/commontrip/internal/machine"
	"github.com/commontrip/commontrip/store"
)

// TestARequestThatFoundADroppedEntryLooksAgain: a refused report leaves an empty entry behind, which is taken out of the
// map while another request may already wait for its lock. What that one wrote there would be lost.
func TestARequestThatFoundADroppedEntryLooksAgain(t *testing.T) {
	s := New()
	defer s.Close()
	waiting := s.entry("tier", true)
	refused := store.Report{Name: "tier", Replica: "web-1", Known: store.Known{Generation: store.MaxNumber}}
	if err := s.Sync(context.Background(), []store.Report{refused})[0].Err; err == nil {
		t.Fatal("it was not refused")
	}
	ran := false
	if s.try("tier", waiting, func(*machine.Machine, int64) { ran = true }) || ran {
		t.Error("a request ran on an entry that has left the map")
	}
}
