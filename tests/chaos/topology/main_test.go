package topology

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
	"github.com/commontrip/commontrip/tests/redistest"
)

func TestMain(m *testing.M) {
	redis.SetLogger(silence{}) // servers that are killed are meant to be missed
	goleak.VerifyTestMain(m)
}

// silence keeps the client's log away.
type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

// process is a redis-server of this machine as a node of a deployment.
type process struct{ *redistest.Server }

func (p process) Peer() string { return p.Addr() }

// open opens a store at an address.
func open(addr string) (store.Store, error) { return redisstore.Open("redis://" + addr) }

// openTest is a store that ends with its test.
func openTest(t *testing.T, url string) *redisstore.Store {
	t.Helper()
	s, err := redisstore.Open(url, redisstore.WithTimeout(30*time.Second)) // it looks on, and is not what is attacked
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func startPair(t *testing.T) *Pair {
	t.Helper()
	return &Pair{Master: process{redistest.Start(t)}, Replica: process{redistest.Start(t)}, Open: open}
}
