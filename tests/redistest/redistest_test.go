package redistest_test

import (
	"os"
	"strings"
	"testing"

	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/redistest"
)

func ask(t *testing.T, s *redistest.Server, want string, args ...string) {
	t.Helper()
	got, err := s.Command(args...)
	if err != nil || got != want {
		t.Fatalf("%q answers %q, %v; want %q", args, got, err, want)
	}
}

func TestAServerAnswersAndForgetsOverARestart(t *testing.T) {
	s := redistest.Start(t)
	ask(t, s, "+OK", "SET", "k", "v")
	ask(t, s, "$1", "GET", "k")
	if _, err := os.Stat(s.Socket()); err != nil {
		t.Error(err)
	}
	addr := s.Addr()
	s.Restart()
	if s.Addr() != addr {
		t.Errorf("it moved from %s to %s", addr, s.Addr())
	}
	ask(t, s, "$-1", "GET", "k")
}

func TestAKilledServerRefusesConnections(t *testing.T) {
	s := redistest.Start(t)
	s.Kill()
	s.Kill() // and again: nothing to do
	if line, err := s.Command("PING"); err == nil {
		t.Errorf("it answers %q", line)
	}
}

func TestAStoppedServerGoesOn(t *testing.T) {
	s := redistest.Start(t)
	s.Stop()
	s.Cont()
	ask(t, s, "+PONG", "PING")
}

func TestArgumentsReachTheServer(t *testing.T) {
	s := redistest.Start(t, "--requirepass", "secret")
	ask(t, s, "-NOAUTH Authentication required.", "PING")
}

func TestAHostSaysHowAServerIsStarted(t *testing.T) {
	host := redistest.Host{Env: []string{"MARK=here"}, Via: []string{"sh", "-c", `printf %s "$MARK" >"$0" && exec "$@"`, t.TempDir() + "/mark"}}
	s := host.Start(t)
	ask(t, s, "+PONG", "PING")
	if mark, err := os.ReadFile(host.Via[3]); err != nil || string(mark) != "here" {
		t.Errorf("the server's environment says %q, %v", mark, err)
	}
	s.Kill()
	if line, err := s.Command("PING"); err == nil {
		t.Errorf("what was started is not what Kill ends: it answers %q", line)
	}
}

func TestAClusterComesUp(t *testing.T) {
	nodes := redistest.StartCluster(t, 3)
	info, err := nodes[2].Text("CLUSTER", "INFO")
	if err != nil || !strings.Contains(info, "cluster_slots_ok:16384") {
		t.Errorf("%s, %v", info, err)
	}
}

func TestASentinelFindsAnotherMaster(t *testing.T) {
	master, replica := redistest.Start(t), redistest.Start(t)
	replica.Follow(master)
	sentinel := redistest.StartSentinel(t, "main", master)
	_, port, _ := strings.Cut(replica.Addr(), ":")
	says := func(text string) func() bool {
		return func() bool {
			info, err := sentinel.Text("INFO", "sentinel")
			return err == nil && strings.Contains(info, text)
		}
	}
	await.Until(t, "the Sentinel sees the replica", says("slaves=1"))
	master.Kill()
	await.Until(t, "the Sentinel fails over", says(":"+port+","))
}
