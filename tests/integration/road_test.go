package integration

import (
	"context"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/testcontainers/testcontainers-go/exec"

	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/chaos/faults"
)

// road is a faults.Road to a town: a Switch stands before each server, and the clients find their way by themselves.
type road struct {
	town     *town
	open     func(dial dialer) (store.Store, error)
	switches map[string]*faults.Switch // by a server's address inside
	leads    map[string]bool           // the same
}

func (w *town) road(t testing.TB, open func(dial dialer) (store.Store, error)) *road {
	t.Helper()
	r := &road{town: w, open: open, switches: map[string]*faults.Switch{}, leads: map[string]bool{}}
	w.mu.Lock()
	defer w.mu.Unlock()
	for inside, outside := range w.outside {
		r.switches[inside], r.leads[inside] = faults.NewSwitch(t, outside), true
	}
	return r
}

func (r *road) Open() (store.Store, error) {
	return r.open(func(ctx context.Context, network, address string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, r.switches[address].Addr())
	})
}

func (r *road) To(n faults.Node) {
	w := r.town
	w.mu.Lock()
	defer w.mu.Unlock()
	for inside, s := range r.switches {
		leads := n != nil && w.island[inside] == w.island[n.Peer()]
		if leads == r.leads[inside] {
			continue
		}
		if r.leads[inside] = leads; leads {
			s.To(w.outside[inside])
		} else {
			s.To("")
		}
	}
}

func (r *road) Hold(ways faults.Way) {
	for _, s := range r.switches {
		s.Hold(ways)
	}
}

// divide lets the network of a town fall in two: here leads to the island alone from now on, there to all other servers.
func (w *town) divide(t testing.TB, here, there faults.Road, island, others []*node) {
	t.Helper()
	w.mu.Lock()
	w.island = map[string]bool{}
	for _, n := range island {
		w.island[n.inside] = true
	}
	w.mu.Unlock()
	here.To(island[0])
	there.To(others[0])
	for _, n := range island {
		n.drop(t, others)
	}
}

// unite ends divide, and leads both ways everywhere.
func (w *town) unite(t testing.TB, here, there faults.Road, island []*node) {
	t.Helper()
	for _, n := range island {
		n.nft(t, "delete table ip apart")
	}
	w.mu.Lock()
	w.island = nil
	w.mu.Unlock()
	here.To(island[0])
	there.To(island[0])
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

// nft changes the rules of a server's network. It skips, or fails where REQUIRE_NETNS=1, where that is not possible.
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
