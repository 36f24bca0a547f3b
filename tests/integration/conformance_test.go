package integration

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/redis/go-redis/v9"
	"github.com/testcontainers/testcontainers-go"

	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
	"github.com/commontrip/commontrip/store/storetest"
)

// holds runs a fleet and then the whole suite on a shape.
func holds(t *testing.T, s shape) {
	t.Helper()
	t.Run("a fleet shares one verdict", func(t *testing.T) { sharesOneVerdict(t, s) })
	storetest.Run(t, func(t testing.TB) storetest.Harness {
		s.wipe(t)
		return storetest.Harness{Wipe: s.wipe, Open: func(t testing.TB, now func() time.Time) store.Store {
			return s.openTest(t, redisstore.WithClock(now), redisstore.WithTimeout(30*time.Second))
		}}
	})
}

func TestOneRedis(t *testing.T) {
	needDocker(t)
	s, _ := single(t, ownImage(t), simple())
	holds(t, s)
}

func TestAClusterOfThree(t *testing.T) {
	needDocker(t)
	holds(t, cluster(t, ownImage(t), thirds()).shape)
}

func TestThreeSentinels(t *testing.T) {
	needDocker(t)
	holds(t, sentinels(t, ownImage(t)).shape)
}

func TestTLS(t *testing.T) {
	needDocker(t)
	s, address := single(t, ownImage(t), encrypted(t))
	for name, url := range map[string]string{"without TLS": "redis://" + address, "of an unknown authority": "rediss://" + address} {
		stranger, err := redisstore.Open(url)
		if err != nil {
			t.Fatal(err)
		}
		if stranger.Ping(t.Context()) == nil {
			t.Errorf("a connection %s is answered", name)
		}
		stranger.Close()
	}
	holds(t, s)
}

func TestTheUserWithTheLeastRights(t *testing.T) {
	needDocker(t)
	s, _ := single(t, ownImage(t), least(t))
	holds(t, s)
}

// TestTheNewestServers needs a registry; if none answers, redis-server of this machine has been tested above.
func TestTheNewestServers(t *testing.T) {
	for _, image := range []string{"redis:latest", "valkey/valkey:latest"} {
		t.Run(image, func(t *testing.T) {
			needDocker(t)
			pull(t, image)
			s, _ := single(t, image, simple())
			holds(t, s)
		})
	}
}

// pull gets an image, or skips if no registry gives it.
func pull(t *testing.T, image string) {
	t.Helper()
	provider, err := testcontainers.NewDockerProvider()
	if err != nil {
		t.Fatal(err)
	}
	defer provider.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	// PullImage tries again until its time is over; whether a registry answers at all is asked once.
	answer, err := provider.Client().ImagePull(ctx, image, client.ImagePullOptions{})
	if err == nil {
		err = answer.Wait(ctx)
	}
	if err != nil {
		t.Skipf("no registry gives %s: %v", image, err)
	}
}

func init() {
	if os.Getenv("COMMONTRIP_INTEGRATION") == "1" {
		redis.SetLogger(silence{}) // servers that are killed are meant to be missed
	}
}

// silence keeps the client's log away.
type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}
