// Package redistest starts real redis-server processes for tests: each in a directory of its own, on a free port of the
// loopback and on a unix socket, ended with the test.
//
//	srv := redistest.Start(t)
//	s, err := redisstore.Open(srv.URL())
//
// Where redis-server is missing the test is skipped, and fails where REQUIRE_REDIS=1 is set.
package redistest

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Deadline bounds the start of a server and every wait of this package.
const Deadline = 10 * time.Second

// Server is one redis-server process. Its methods are for the goroutine of the test.
type Server struct {
	t    testing.TB
	dir  string
	port int
	args []string

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
}

// Start starts a server without persistence and waits until it answers. More arguments are those of redis-server's
// command line, such as "--maxmemory", "100mb"; a later one overrides an earlier one.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	Require(t)
	// Not t.TempDir: the path of a unix socket may be at most 107 bytes long.
	dir, err := os.MkdirTemp("", "redistest")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, dir: dir, args: args}
	t.Cleanup(func() {
		s.Kill()
		if t.Failed() {
			t.Logf("log of the redis-server on %s:\n%s", s.Addr(), s.logTail())
		}
		_ = os.RemoveAll(dir)
	})
	for range 5 { // another process may take the port between the look and the start
		s.port = freePort(t)
		if err = s.start(); err == nil {
			return s
		}
		s.Kill()
	}
	t.Fatalf("redis-server does not start: %v\n%s", err, s.logTail())
	return nil
}

// Require skips the test where redis-server is missing, or fails it where REQUIRE_REDIS=1 is set.
func Require(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err == nil {
		return
	}
	const hint = "redis-server is not in PATH; get it with: apt-get install redis-server (or: brew install redis)"
	if os.Getenv("REQUIRE_REDIS") == "1" {
		t.Fatal(hint)
	}
	t.Skip(hint)
}

// Addr is the address of the loopback port, "127.0.0.1:port". It stays the same over a Restart.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// URL is the redis:// URL of Addr.
func (s *Server) URL() string { return "redis://" + s.Addr() }

// Socket is the path of the unix socket.
func (s *Server) Socket() string { return filepath.Join(s.dir, "redis.sock") }

// SocketURL is the unix:// URL of Socket.
func (s *Server) SocketURL() string { return "unix://" + s.Socket() }

// Dir is the server's own directory; it is removed with the test.
func (s *Server) Dir() string { return s.dir }

// Kill ends the process by SIGKILL, as a crash would, and waits for its end. One that has ended is left alone.
func (s *Server) Kill() {
	s.mu.Lock()
	cmd, done := s.cmd, s.done
	s.mu.Unlock()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Kill()
	<-done
}

// Stop halts the process by SIGSTOP: connections stay, nothing answers.
func (s *Server) Stop() { s.signal(syscall.SIGSTOP) }

// Cont lets a stopped process go on.
func (s *Server) Cont() { s.signal(syscall.SIGCONT) }

// Restart kills the process and starts it anew on the same port, with what it persisted: nothing, unless Start was told
// otherwise.
func (s *Server) Restart() {
	s.t.Helper()
	s.Kill()
	if err := s.start(); err != nil {
		s.t.Fatalf("redis-server does not start again: %v\n%s", err, s.logTail())
	}
}

// Command sends one command over a connection of its own and returns the first line of the reply, such as "+PONG". It
// needs no client library, so that every package can use it.
func (s *Server) Command(args ...string) (string, error) {
	conn, err := net.DialTimeout("tcp", s.Addr(), Deadline)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(Deadline)); err != nil {
		return "", err
	}
	var request bytes.Buffer
	fmt.Fprintf(&request, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&request, "$%d\r\n%s\r\n", len(a), a)
	}
	if _, err := conn.Write(request.Bytes()); err != nil {
		return "", err
	}
	var line []byte
	for b := make([]byte, 1); ; {
		if _, err := conn.Read(b); err != nil {
			return "", err
		}
		if b[0] == '\n' {
			return string(bytes.TrimSuffix(line, []byte("\r"))), nil
		}
		line = append(line, b[0])
	}
}

func (s *Server) signal(sig syscall.Signal) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatalf("%v to redis-server: %v", sig, err)
	}
}

// start runs the process from a goroutine that keeps its thread until the process ends: where the system can end a
// child with its parent, it watches the thread that started it.
func (s *Server) start() error {
	args := append([]string{
		"--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--unixsocket", s.Socket(), "--dir", s.dir,
		"--logfile", filepath.Join(s.dir, "redis.log"), "--save", "", "--appendonly", "no", "--daemonize", "no",
	}, s.args...)
	cmd := exec.Command("redis-server", args...)
	cmd.SysProcAttr = endWithParent()
	started, done := make(chan error, 1), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(done)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	s.mu.Lock()
	s.cmd, s.done = cmd, done
	s.mu.Unlock()
	return s.answers(done)
}

// answers waits for the first PONG. LOADING and the like are no answers, a wanted password is one.
func (s *Server) answers(done <-chan struct{}) error {
	last := errors.New("no answer")
	for end := time.Now().Add(Deadline); time.Now().Before(end); {
		line, err := s.Command("PING")
		switch {
		case err != nil:
			last = err
		case line == "+PONG" || bytes.HasPrefix([]byte(line), []byte("-NOAUTH")):
			return nil
		default:
			last = errors.New(line)
		}
		select {
		case <-done:
			return fmt.Errorf("it ended: %w", last)
		case <-time.After(5 * time.Millisecond):
		}
	}
	return last
}

func (s *Server) logTail() []byte {
	data, err := os.ReadFile(filepath.Join(s.dir, "redis.log"))
	if err != nil {
		return []byte(err.Error())
	}
	return data[max(0, len(data)-4000):]
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
