package redistest

import (
	"testing"
)

// Two tests once took one port, and both used the server of the first.
func TestAServerOnATakenPortIsNotTakenForOurs(t *testing.T) {
	first := Start(t)
	second := newServer(t)
	second.port = first.port
	if err := second.start(); err == nil {
		t.Error("a server whose port another one has is said to have started")
	}
	launched := newServer(t)
	attempts := 0
	launched.launch(func() error {
		if attempts++; attempts == 1 {
			launched.port = first.port
		}
		return nil
	})
	if attempts != 2 || launched.port == first.port {
		t.Errorf("it took %d attempts, and stands on port %d; want another than %d", attempts, launched.port, first.port)
	}
}
