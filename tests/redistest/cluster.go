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
// node says that it is well. n is at least 3.
func StartCluster(t testing.TB, n int, args ...string) []*Server {
	t.Helper()
	nodes := make([]*Server, n)
	for i := range nodes {
		nodes[i] = Start(t, append([]string{"--cluster-enabled", "yes", "--cluster-node-timeout", "1000"}, args...)...)
	}
	for i, node := range nodes {
		own := []string{"CLUSTER", "ADDSLOTS"} // each by its number: Redis 6.2 takes no range
		for slot := slots * i / n; slot < slots*(i+1)/n; slot++ {
			own = append(own, strconv.Itoa(slot))
		}
		node.must("+OK", own...)
		node.must("+OK", "CLUSTER", "SET-CONFIG-EPOCH", fmt.Sprint(i+1))
		node.must("+OK", "CLUSTER", "MEET", "127.0.0.1", fmt.Sprint(nodes[0].port))
	}
	await.Until(t, "the nodes of a Cluster know each other", func() bool {
		for _, node := range nodes {
			if !node.knows(n) {
				return false
			}
		}
		return true
	})
	return nodes
}

// knows says whether s serves all slots of n nodes and holds none of them for failing. A node that is still in a handshake
// does not count: a slow one is forgotten, with its slots, and met again.
func (s *Server) knows(n int) bool {
	nodes, err := s.Text("CLUSTER", "NODES")
	info, err2 := s.Text("CLUSTER", "INFO")
	return errors.Join(err, err2) == nil && strings.Contains(info, "cluster_state:ok") && strings.Count(nodes, "\n") == n &&
		!strings.Contains(nodes, "handshake") && !strings.Contains(nodes, "fail")
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
