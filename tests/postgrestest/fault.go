package postgrestest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/commontrip/commontrip/tests/await"
)

// Kill ends all processes of the server at once, as a crash of its machine does. What it holds on disk stays.
func (s *Server) Kill() {
	s.t.Helper()
	for _, pid := range s.halt() {
		send(pid, syscall.SIGKILL)
	}
	<-s.done
	s.cmd, s.dead = nil, true
}

// KillBackends ends the processes that serve the clients, as the system does if memory runs out. The server then ends all that
// it runs and recovers, as after a crash.
func (s *Server) KillBackends() {
	s.t.Helper()
	conn := s.connect(s.t)
	defer conn.Close(context.Background())
	rows, err := conn.Query(context.Background(), "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()")
	if err != nil {
		s.t.Fatal(err)
	}
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		s.t.Fatal(err)
	}
	for _, pid := range pids {
		send(pid, syscall.SIGKILL)
	}
}

// Restart starts a server that was killed, at the same address.
func (s *Server) Restart() {
	s.t.Helper()
	await.Eventually(s.t, "PostgreSQL starts again", func() string { // its old processes may not be gone yet
		err := s.start(s.port)
		if err == nil {
			return ""
		}
		s.end()
		return err.Error()
	})
}

// Stop lets all processes of the server stand still: connections stay, and nothing answers.
func (s *Server) Stop() { s.halt() }

// Cont lets them go on.
func (s *Server) Cont() {
	for _, pid := range s.Processes() {
		send(pid, resume)
	}
}

// halt stops all processes of the server, the first one first, so that none is born meanwhile.
func (s *Server) halt() []int {
	send(s.cmd.Process.Pid, halt)
	all := s.Processes()
	for _, pid := range all {
		send(pid, halt)
	}
	return all
}

// Processes are the server's first process and those that it has started, by their id.
func (s *Server) Processes() []int {
	s.t.Helper()
	out, err := exec.Command("ps", "-A", "-o", "pid=,ppid=").Output()
	if err != nil {
		s.t.Fatalf("ps: %v", err)
	}
	all := []int{s.cmd.Process.Pid}
	for line := range strings.Lines(string(out)) {
		var pid, parent int
		if _, err := fmt.Sscan(line, &pid, &parent); err == nil && parent == all[0] {
			all = append(all, pid)
		}
	}
	return all
}

// send sends a signal to a process, which may have ended.
func send(pid int, sig syscall.Signal) {
	if p, err := os.FindProcess(pid); err == nil {
		_ = p.Signal(sig)
	}
}

// Standby starts a server that follows this one and takes reads. Its name is what synchronous_standby_names calls it by. Both
// are in step when it returns.
func (s *Server) Standby(name string) *Server {
	s.t.Helper()
	f := newServer(s.t)
	out, err := f.command(filepath.Join(f.bin, "pg_basebackup"), "-D", f.data(), "-h", s.dir, "-p", strconv.Itoa(s.port), "-U", "postgres",
		"--checkpoint=fast", "--wal-method=stream", "--no-sync").CombinedOutput()
	if err != nil {
		s.t.Fatalf("pg_basebackup: %v\n%s", err, out)
	}
	signal := filepath.Join(f.data(), "standby.signal")
	if err := os.WriteFile(signal, nil, 0o600); err != nil {
		s.t.Fatal(err)
	}
	f.own(signal)
	if err := f.configure("unix_socket_directories = '"+f.dir+"'", "wal_retrieve_retry_interval = '100ms'",
		"primary_conninfo = 'host="+s.dir+" port="+strconv.Itoa(s.port)+" user=postgres application_name="+name+"'"); err != nil {
		s.t.Fatal(err)
	}
	f.startAnywhere()
	await.Eventually(s.t, "the standby follows", func() string { return missingReplay(s) })
	return f
}

// missingReplay says what the standbys of a server lack of what it wrote.
func missingReplay(s *Server) string {
	s.t.Helper()
	conn := s.connect(s.t)
	defer conn.Close(context.Background())
	const lag = "SELECT count(*) FILTER (WHERE replay_lsn = pg_current_wal_lsn()), count(*) FROM pg_stat_replication"
	var inStep, all int
	if err := conn.QueryRow(context.Background(), lag).Scan(&inStep, &all); err != nil {
		return err.Error()
	}
	if all == 0 || inStep < all {
		return fmt.Sprintf("%d of %d standbys are in step", inStep, all)
	}
	return ""
}

// Detach keeps a standby from what its primary writes from now on.
func (s *Server) Detach() {
	s.t.Helper()
	s.Exec(s.t, "ALTER SYSTEM SET primary_conninfo = ''")
	s.Exec(s.t, "SELECT pg_reload_conf()")
	await.Until(s.t, "the standby receives no more", func() (alone bool) {
		conn := s.connect(s.t)
		defer conn.Close(context.Background())
		err := conn.QueryRow(context.Background(), "SELECT NOT EXISTS (SELECT FROM pg_stat_wal_receiver)").Scan(&alone)
		return err == nil && alone
	})
}

// Promote makes a standby take writes.
func (s *Server) Promote() {
	s.t.Helper()
	s.Exec(s.t, "SELECT pg_promote()")
}

func (s *Server) connect(t testing.TB) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), s.URL())
	if err != nil {
		t.Fatal(err)
	}
	return conn
}
