package topology

import (
	"testing"

	"github.com/commontrip/commontrip/internal/lab/relay"
)

// NewRelay starts a relay to a server: an address that stays in front of a server that changes, as a failover's floating
// address does. It ends with the test.
func NewRelay(t testing.TB, to string) *relay.Relay {
	t.Helper()
	r, err := relay.Start(to, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}
