// Package redistest starts real redis-server processes for tests: each in a directory of its own, on a free port of the
// loopback and on a unix socket, ended with the test.
//
//	srv := redistest.Start(t)
//	s, err := redisstore.Open(srv.URL())
//
// If redis-server is missing the test is skipped, and fails if REQUIRE_REDIS=1 is set.
package redistest

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/commontrip/commontrip/tests/await"
)

// Deadline bounds the start of a server and every wait of this package, in this machine's own time (package await).
const Deadline = time.Minute

// Server is one redis-server process. Its methods are for the goroutine of the test.
type Server struct {
	t    testing.TB
	host Host
	dir  string
	port int
	args []string
	bare bool // args are all that there is

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
}

// Host is where a server runs, and how it is started. The zero Host is this machine's loopback.
type Host struct {
	IP  string   // by which it is reached; default 127.0.0.1
	Via []string // the command that runs redis-server and becomes it, such as nsenter with a network namespace
	Env []string // "K=V", beside the test's own environment
}

// Start starts a server without persistence and waits until it answers. More arguments are those of redis-server's
// command line, such as "--maxmemory", "100mb"; a later one overrides an earlier one.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	return Host{}.Start(t, args...)
}

// Start starts a server on h, as the function Start does on the loopback.
func (h Host) Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s := newServer(t)
	s.host, s.args = h, args
	s.launch(func() error { return nil })
	return s
}

func newServer(t testing.TB) *Server {
	t.Helper()
	Require(t)
	// Not t.TempDir: the path of a unix socket may be at most 107 bytes long.
	dir, err := os.MkdirTemp("", "redistest")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, dir: dir}
	t.Cleanup(func() {
		s.Kill()
		if t.Failed() {
			t.Logf("log of the redis-server on %s:\n%s", s.Addr(), s.logTail())
		}
		_ = os.RemoveAll(dir)
	})
	return s
}

// launch starts the process on a free port, after prepare.
func (s *Server) launch(prepare func() error) {
	s.t.Helper()
	var err error
	for range 5 { // another process may take the port between the look and the start
		s.port = freePort(s.t)
		if err = prepare(); err != nil {
			break
		}
		if err = s.start(); err == nil {
			return
		}
		s.Kill()
	}
	s.t.Fatalf("redis-server does not start: %v\n%s", err, s.logTail())
}

// Require skips the test if redis-server is missing, or fails it if REQUIRE_REDIS=1 is set.
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

// Addr is the server's address, "127.0.0.1:port" on the loopback. It stays the same over a Restart.
func (s *Server) Addr() string { return net.JoinHostPort(s.ip(), strconv.Itoa(s.port)) }

func (s *Server) ip() string { return cmp.Or(s.host.IP, "127.0.0.1") }

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
func (s *Server) Stop() { s.signal(halt) }

// Cont lets a stopped process go on.
func (s *Server) Cont() { s.signal(resume) }

// Restart kills the process and starts it again on the same port, with what it persisted: nothing, unless Start was told
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
	line, _, err := s.command(args)
	return line, err
}

// Text is Command for a reply that is a text, such as that of INFO.
func (s *Server) Text(args ...string) (string, error) {
	line, body, err := s.command(args)
	if err == nil && !strings.HasPrefix(line, "$") {
		err = fmt.Errorf("%q answers %q; want a text", args, line)
	}
	return body, err
}

func (s *Server) command(args []string) (line, body string, err error) {
	conn, err := net.DialTimeout("tcp", s.Addr(), Deadline)
	if err != nil {
		return "", "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(Deadline)); err != nil {
		return "", "", err
	}
	var request bytes.Buffer
	fmt.Fprintf(&request, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&request, "$%d\r\n%s\r\n", len(a), a)
	}
	if _, err := conn.Write(request.Bytes()); err != nil {
		return "", "", err
	}
	r := bufio.NewReader(conn)
	if line, err = r.ReadString('\n'); err != nil {
		return "", "", err
	}
	line = strings.TrimSuffix(line, "\r\n")
	if n, isText := strings.CutPrefix(line, "$"); isText && n != "-1" {
		size, err := strconv.Atoi(n)
		if err != nil {
			return "", "", err
		}
		text := make([]byte, size)
		if _, err := io.ReadFull(r, text); err != nil {
			return "", "", err
		}
		body = string(text)
	}
	return line, body, nil
}

func (s *Server) signal(sig syscall.Signal) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatalf("%v to redis-server: %v", sig, err)
	}
}

// start runs the process from a goroutine that keeps its thread until the process ends: if the system can end a
// child with its parent, it watches the thread that started it.
func (s *Server) start() error {
	args := s.args
	if !s.bare {
		args = append([]string{
			"--port", strconv.Itoa(s.port), "--bind", s.ip(), "--unixsocket", s.Socket(), "--dir", s.dir,
			"--logfile", s.logFile(), "--save", "", "--appendonly", "no", "--daemonize", "no",
			"--repl-diskless-sync-delay", "0", // else a replica waits five seconds for others that want the same
		}, s.args...)
	}
	argv := append(append(slices.Clone(s.host.Via), "redis-server"), args...)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), s.host.Env...)
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
	return s.answers(cmd.Process.Pid, done)
}

// answers waits for the first PONG of this process. LOADING and the like are no answers, a wanted password is one, and a right
// that is wanted, too.
func (s *Server) answers(pid int, done <-chan struct{}) error {
	last := errors.New("no answer")
	waiting, cancel := await.WithTimeout(context.Background(), Deadline)
	defer cancel()
	for waiting.Err() == nil {
		line, err := s.Command("PING")
		switch {
		case err != nil:
			last = err
		case strings.HasPrefix(line, "-NOAUTH"):
			return nil
		case line == "+PONG":
			line, info, err := s.command([]string{"INFO", "server"})
			if err == nil && (strings.HasPrefix(line, "-NOPERM") || strings.Contains(info, fmt.Sprintf("process_id:%d\r", pid))) {
				return nil
			}
			last = errors.New("another process has the port")
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

func (s *Server) logFile() string { return filepath.Join(s.dir, "redis.log") }

func (s *Server) logTail() []byte {
	data, err := os.ReadFile(s.logFile())
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
