package shared

import (
	"context"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/commontrip/commontrip/tests/redistest"
)

// openCached reads the breaker's state for each call, from a copy that the server keeps fresh. It reports no outcome: what
// it costs is the least that any breaker costs that asks its client library for each call.
func openCached(t testing.TB, srv *redistest.Server, n int) (r replicas) {
	const key = "state:" + name
	for range n {
		client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{srv.Addr()}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.Close)
		ctx := context.Background()
		if err := client.Do(ctx, client.B().Set().Key(key).Value("closed").Build()).Error(); err != nil {
			t.Fatal(err)
		}
		r.guards = append(r.guards, func(fn func() error) error {
			state, err := client.DoCache(ctx, client.B().Get().Key(key).Cache(), time.Minute).ToString()
			switch {
			case err != nil:
				return err
			case state != "closed":
				return errRefused
			}
			return fn()
		})
	}
	return r
}
