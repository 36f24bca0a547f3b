package redistest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/commontrip/commontrip/tests/await"
)

// slots is how many a Cluster has.
const slots = 16384

// StartCluster starts a Cluster of n masters without replicas, with the slots in n equal ranges, and waits until every
// node serves them. n is at least 3. No node is held for dead because a busy machine made it late: that takes a minute.
func StartCluster(t testing.TB, n int, args ...string) []*Server {
	t.Helper()
	nodes := make([]*Server, n)
	for i := range nodes {
		nodes[i] = Start(t, append([]string{"--cluster-enabled", "yes", "--cluster-node-timeout", "60000"}, args...)...)
	}
	for i, node := range nodes {
		own := []string{"CLUSTER", "ADDSLOTS"} // each by its number: Redis 6.2 takes no range
		for slot := slots * i / n; slot < slots*(i+1)/n; slot++ {
			own = append(own, strconv.Itoa(slot))
		}
		node.must("+OK", own...)
		node.must("+OK", "CLUSTER", "SET-CONFIG-EPOCH", fmt.Sprint(i+1))
	}
	await.Until(t, "all nodes of a Cluster serve all slots", func() bool {
		settled := true
		for _, node := range nodes {
			settled = node.knows(nodes) && settled
		}
		return settled
	})
	return nodes
}

// knows says whether s knows how all slots are served. Until then it meets the nodes that it does not know, since a handshake
// may be given up.
func (s *Server) knows(nodes []*Server) bool {
	s.t.Helper()
	known, err := s.Text("CLUSTER", "NODES")
	info, err2 := s.Text("CLUSTER", "INFO")
	if err := errors.Join(err, err2); err != nil {
		s.t.Fatal(err)
	}
	if strings.Count(known, "\n") < len(nodes) {
		for _, other := range nodes {
			if other != s {
				s.must("+OK", "CLUSTER", "MEET", "127.0.0.1", fmt.Sprint(other.port))
			}
		}
	}
	return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, fmt.Sprintf("cluster_slots_ok:%d\r", slots)) &&
		!strings.Contains(known, "handshake")
}

// ClusterURL is the URL by which package redisstore opens a Cluster of these nodes.
func ClusterURL(nodes []*Server) string {
	var url strings.Builder
	url.WriteString(nodes[0].URL())
	separator := "?addr="
	for _, node := range nodes {
		url.WriteString(separator + node.Addr())
		separator = "&addr="
	}
	return url.String()
}

func (s *Server) must(want string, args ...string) {
	s.t.Helper()
	if got, err := s.Command(args...); err != nil || got != want {
		s.t.Fatalf("%q answers %q, %v; want %q", args[:min(len(args), 5)], got, err, want)
	}
}
