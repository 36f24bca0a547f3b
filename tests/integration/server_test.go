package integration

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	ports "github.com/moby/moby/api/types/network"
	"github.com/redis/go-redis/v9"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/network"
	"github.com/testcontainers/testcontainers-go/wait"
)

const port = "6379/tcp"

// server is one Redis or Sentinel in a container.
type server struct {
	servers   *serverNetwork
	container testcontainers.Container
	inside    string // the address by which its peers know it
	outside   string // the same at the loopback of this machine
}

// serverNetwork is a network of servers, and the map from the addresses that they tell to those that a client can reach.
type serverNetwork struct {
	t       *testing.T
	image   string
	network *testcontainers.DockerNetwork

	mu      sync.Mutex
	outside map[string]string // by inside
	cutOff  map[string]bool   // by inside: who is cut off from the others
}

func newServerNetwork(t *testing.T, image string) *serverNetwork {
	t.Helper()
	n, err := network.New(t.Context(), network.WithLabels(labels()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { finally(t, n.Remove) })
	return &serverNetwork{t: t, image: image, network: n, outside: map[string]string{}}
}

// finally runs a cleanup, whose context is not the ended one of the test.
func finally(t *testing.T, remove func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := remove(ctx); err != nil {
		t.Error(err)
	}
}

// start starts redis-server with these arguments and files, and waits until its port answers. It keeps nothing on disk, and
// has the right to cut itself off.
func (sn *serverNetwork) start(args []string, files ...testcontainers.ContainerFile) *server {
	sn.t.Helper()
	c, err := testcontainers.Run(sn.t.Context(), sn.image,
		testcontainers.WithCmd(args...),
		testcontainers.WithFiles(files...),
		testcontainers.WithLabels(labels()),
		testcontainers.WithExposedPorts(port),
		testcontainers.WithHostConfigModifier(func(c *container.HostConfig) {
			c.CapAdd = []string{"NET_ADMIN"}
			c.PortBindings = ports.PortMap{ports.MustParsePort(port): {{HostIP: netip.AddrFrom4([4]byte{127, 0, 0, 1})}}}
		}),
		network.WithNetwork(nil, sn.network),
		testcontainers.WithWaitStrategy(wait.ForListeningPort(port).SkipInternalCheck().WithStartupTimeout(patience)),
	)
	if c != nil {
		sn.t.Cleanup(func() {
			finally(sn.t, func(ctx context.Context) error {
				return c.Terminate(ctx, testcontainers.StopTimeout(0))
			})
		})
	}
	if err != nil {
		sn.t.Fatal(err)
	}
	s := &server{servers: sn, container: c}
	s.locate()
	return s
}

// locate finds out where a server that has just started can be reached.
func (s *server) locate() {
	sn := s.servers
	sn.t.Helper()
	ip, err := s.container.ContainerIP(sn.t.Context())
	if err != nil {
		sn.t.Fatal(err)
	}
	outside, err := s.container.PortEndpoint(sn.t.Context(), port, "")
	if err != nil {
		sn.t.Fatal(err)
	}
	sn.mu.Lock()
	defer sn.mu.Unlock()
	s.inside, s.outside = net.JoinHostPort(ip, "6379"), outside
	sn.outside[s.inside] = outside
}

// plain are the arguments of a redis-server that keeps nothing.
func plain(more ...string) []string {
	return append([]string{"--save", "", "--appendonly", "no", "--protected-mode", "no"}, more...)
}

// dial connects to a server by either of its addresses.
func (sn *serverNetwork) dial(ctx context.Context, netw, address string) (net.Conn, error) {
	sn.mu.Lock()
	if outside, known := sn.outside[address]; known {
		address = outside
	}
	sn.mu.Unlock()
	return (&net.Dialer{Timeout: time.Second}).DialContext(ctx, netw, address)
}

// admin is a client of one server.
func (sn *serverNetwork) admin(s *server) *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: s.outside})
	sn.t.Cleanup(func() { c.Close() })
	return c
}

// kill ends the server at once, as a crash would.
func (s *server) kill(t *testing.T) {
	t.Helper()
	at := time.Duration(0)
	if err := s.container.Stop(t.Context(), &at); err != nil {
		t.Fatal(err)
	}
}
