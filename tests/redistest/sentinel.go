package redistest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/commontrip/commontrip/tests/await"
)

// StartSentinel starts one Sentinel that watches master under name, finds it down after half a second and fails over by
// itself.
func StartSentinel(t testing.TB, name string, master *Server) *Server {
	t.Helper()
	return startSentinel(t, name, master, 1, 500*time.Millisecond)
}

// StartSentinels starts three Sentinels that watch master under name, and waits until they know each other and all its
// replicas. Each finds it down after a second; two of them must agree.
func StartSentinels(t testing.TB, name string, master *Server, replicas int) []*Server {
	t.Helper()
	sentinels := make([]*Server, 3)
	for i := range sentinels {
		sentinels[i] = startSentinel(t, name, master, 2, time.Second)
	}
	for _, s := range sentinels {
		s.says(fmt.Sprintf("slaves=%d,sentinels=%d", replicas, len(sentinels)), "INFO", "sentinel")
	}
	return sentinels
}

func startSentinel(t testing.TB, name string, master *Server, quorum int, downAfter time.Duration) *Server {
	t.Helper()
	s := newServer(t)
	s.args = []string{filepath.Join(s.dir, "sentinel.conf"), "--sentinel"}
	s.bare = true
	s.launch(func() error {
		conf := fmt.Sprintf("port %d\nbind 127.0.0.1\ndir %s\nlogfile %s\nsentinel monitor %[4]s 127.0.0.1 %[5]d %[6]d\n"+
			"sentinel down-after-milliseconds %[4]s %[7]d\nsentinel failover-timeout %[4]s 2000\n",
			s.port, s.dir, s.logFile(), name, master.port, quorum, downAfter.Milliseconds())
		return os.WriteFile(s.args[0], []byte(conf), 0o600)
	})
	return s
}

// Follow makes s a replica of master and waits until they are in step.
func (s *Server) Follow(master *Server) {
	s.t.Helper()
	s.must("+OK", "REPLICAOF", "127.0.0.1", fmt.Sprint(master.port))
	s.says("master_link_status:up", "INFO", "replication")
}

// says waits until the text that a command gives contains want.
func (s *Server) says(want string, args ...string) {
	s.t.Helper()
	waiting, cancel := await.WithTimeout(context.Background(), Deadline)
	defer cancel()
	for ; ; <-time.After(10 * time.Millisecond) {
		text, err := s.Text(args...)
		if err == nil && strings.Contains(text, want) {
			return
		}
		if waiting.Err() != nil {
			s.t.Fatalf("%q does not come to say %q: %v\n%s", args, want, err, text)
		}
	}
}
