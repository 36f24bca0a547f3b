package redistest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// StartSentinel starts one Sentinel that watches master under name, finds it down after half a second and fails over by
// itself.
func StartSentinel(t testing.TB, name string, master *Server) *Server {
	t.Helper()
	s := newServer(t)
	s.args = []string{filepath.Join(s.dir, "sentinel.conf"), "--sentinel"}
	s.bare = true
	s.launch(func() error {
		conf := fmt.Sprintf("port %d\nbind 127.0.0.1\ndir %s\nlogfile %s\nsentinel monitor %[4]s 127.0.0.1 %[5]d 1\n"+
			"sentinel down-after-milliseconds %[4]s 500\nsentinel failover-timeout %[4]s 2000\n",
			s.port, s.dir, s.logFile(), name, master.port)
		return os.WriteFile(s.args[0], []byte(conf), 0o600)
	})
	return s
}

// Follow makes s a replica of master and waits until they are in step.
func (s *Server) Follow(master *Server) {
	s.t.Helper()
	s.must("+OK", "REPLICAOF", "127.0.0.1", fmt.Sprint(master.port))
	for end := time.Now().Add(Deadline); ; {
		if got, err := master.Command("WAIT", "1", "100"); err == nil && got == ":1" {
			return
		}
		if time.Now().After(end) {
			s.t.Fatal("the replica does not follow")
		}
		<-time.After(10 * time.Millisecond)
	}
}
