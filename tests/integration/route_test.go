package integration

import (
	"context"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/testcontainers/testcontainers-go/exec"

	"github.com/commontrip/commontrip/internal/lab/relay"
	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/chaos/topology"
)

// route is a topology.Route to a serverNetwork: a Switch stands before each server, and the clients find their way by themselves.
type route struct {
	servers  *serverNetwork
	open     func(dial dialer) (store.Store, error)
	switches map[string]*relay.Relay // by a server's address inside
	leads    map[string]bool         // the same
}

func (sn *serverNetwork) route(t testing.TB, open func(dial dialer) (store.Store, error)) *route {
	t.Helper()
	r := &route{servers: sn, open: open, switches: map[string]*relay.Relay{}, leads: map[string]bool{}}
	sn.mu.Lock()
	defer sn.mu.Unlock()
	for inside, outside := range sn.outside {
		r.switches[inside], r.leads[inside] = topology.NewRelay(t, outside), true
	}
	return r
}

func (r *route) Open() (store.Store, error) {
	return r.open(func(ctx context.Context, network, address string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, r.switches[address].Addr())
	})
}

func (r *route) To(n topology.Node) {
	sn := r.servers
	sn.mu.Lock()
	defer sn.mu.Unlock()
	for inside, s := range r.switches {
		leads := n != nil && sn.cutOff[inside] == sn.cutOff[n.Peer()]
		if leads == r.leads[inside] {
			continue
		}
		if r.leads[inside] = leads; leads {
			s.To(sn.outside[inside])
		} else {
			s.To("")
		}
	}
}

func (r *route) Hold(ways relay.Way) {
	for _, s := range r.switches {
		s.Hold(ways)
	}
}

// divide lets the network of the servers fall in two: here leads to the minority alone from now on, there to all other servers.
func (sn *serverNetwork) divide(t testing.TB, here, there topology.Route, minority, others []*node) {
	t.Helper()
	sn.mu.Lock()
	sn.cutOff = map[string]bool{}
	for _, n := range minority {
		sn.cutOff[n.inside] = true
	}
	sn.mu.Unlock()
	here.To(minority[0])
	there.To(others[0])
	for _, n := range minority {
		n.drop(t, others)
	}
}

// unite ends divide, and leads both ways everywhere.
func (sn *serverNetwork) unite(t testing.TB, here, there topology.Route, minority []*node) {
	t.Helper()
	for _, n := range minority {
		n.nft(t, "delete table ip apart")
	}
	sn.mu.Lock()
	sn.cutOff = nil
	sn.mu.Unlock()
	here.To(minority[0])
	there.To(minority[0])
}

// drop lets a server neither hear nor be heard by others. Connections stay, and nothing goes through them.
func (s *server) drop(t testing.TB, others []*node) {
	t.Helper()
	var hosts []string
	for _, n := range others {
		hosts = append(hosts, strings.TrimSuffix(n.inside, ":6379"))
	}
	set := "{ " + strings.Join(hosts, ", ") + " }"
	s.nft(t, "add table ip apart; "+
		"add chain ip apart in { type filter hook input priority 0; }; add rule ip apart in ip saddr "+set+" drop; "+
		"add chain ip apart out { type filter hook output priority 0; }; add rule ip apart out ip daddr "+set+" drop")
}

// nft changes the rules of a server's network. If that is not possible it skips, or fails if REQUIRE_NETNS=1.
func (s *server) nft(t testing.TB, command string) {
	t.Helper()
	code, out, err := s.container.Exec(t.Context(), []string{"nft", command}, exec.WithUser("0"))
	if err == nil && code == 0 {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(out)
	hint := "no nft in containers; get it with apt-get install nftables: " + string(text)
	if os.Getenv("REQUIRE_NETNS") == "1" {
		t.Fatal(hint)
	}
	t.Skip(hint)
}
