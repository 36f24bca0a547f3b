package redisstore

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/commontrip/commontrip/store"
)

// A removal was the one thing that an operator could do without a name.
func TestARemovalIsSignedForADay(t *testing.T) {
	eachServer(t, func(t *testing.T, s *Store) {
		calledBy(t, s, "mcp", "web-1#a")
		for by, why := range map[string]string{"": "x", "a\nb": "x", "oncall": strings.Repeat("x", 201)} {
			if err := s.RemoveAs(t.Context(), "mcp", by, why); !errors.Is(err, store.ErrInvalid) {
				t.Errorf("by %q: %v; want it refused", by, err)
			}
		}
		if n, err := s.Removed(t.Context(), "mcp"); err != nil || n != (store.Note{}) {
			t.Errorf("%+v, %v; want nobody", n, err)
		}
		if snapshots, err := s.Read(t.Context(), "mcp"); err != nil || len(snapshots) != 1 {
			t.Fatalf("%v, %v; want it there: what is refused removes nothing", snapshots, err)
		}
		if err := s.RemoveAs(t.Context(), "mcp", "oncall", "INC-42"); err != nil {
			t.Fatal(err)
		}
		n, err := s.Removed(t.Context(), "mcp")
		if err != nil || n.By != "oncall" || n.Why != "INC-42" || n.At.IsZero() {
			t.Errorf("%+v, %v; want oncall's", n, err)
		}
		if snapshots, err := s.Read(t.Context(), "mcp"); err != nil || len(snapshots) != 0 {
			t.Errorf("%v, %v; want it gone", snapshots, err)
		}
		if left := s.client.PTTL(t.Context(), s.keys.removed("mcp")).Val(); left <= 23*time.Hour || left > 24*time.Hour {
			t.Errorf("who removed it is kept for %v; want 24 h", left)
		}
	})
}
