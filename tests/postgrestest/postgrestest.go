// Package postgrestest starts real PostgreSQL servers for tests: each with an empty cluster in a directory of its own, on a free
// port of the loopback and on a unix socket, ended with the test.
//
//	srv := postgrestest.Start(t)
//	s, err := postgresstore.Open(srv.URL())
//
// A package of many such tests calls [Main] in its TestMain, so that initdb runs once.
//
// If PostgreSQL is missing the test is skipped, and fails if REQUIRE_POSTGRES=1 is set. A server does not run as root: if the
// test does, the server is the system's user "postgres".
package postgrestest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/commontrip/commontrip/tests/await"
)

// Password is that of the superuser "postgres" over TCP. Over the socket none is asked for.
const Password = "not-a-secret"

// Server is one PostgreSQL server. Its methods are for the goroutine of the test.
type Server struct {
	t    testing.TB
	dir  string
	bin  string
	as   *account // nil: this process' own
	port int
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
	dead bool          // killed, and not started again
}

// Start makes a cluster, starts a server on it and waits until it answers. It writes nothing to disk in a hurry. Settings are
// more lines of postgresql.conf, such as "max_connections = 5".
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	s := newServer(t)
	if err := s.init(settings); err != nil {
		t.Fatalf("initdb: %v", err)
	}
	s.startAnywhere()
	return s
}

// newServer makes the folder of a server, and ends with the test what will run in it.
func newServer(t testing.TB) *Server {
	t.Helper()
	s := &Server{t: t, bin: Require(t)}
	var err error
	if s.dir, err = os.MkdirTemp("", "postgrestest"); err != nil { // not t.TempDir: a socket's path may be 107 bytes long
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		if s.as, err = accountOf("postgres"); err != nil {
			t.Fatal(err)
		}
		s.own(s.dir)
	}
	t.Cleanup(func() {
		if s.dead { // it left shared memory behind, which its next start finds
			_ = s.start(s.port)
		}
		s.end()
		if t.Failed() {
			t.Logf("log of the PostgreSQL in %s:\n%s", s.dir, s.logTail())
		}
		_ = os.RemoveAll(s.dir)
	})
	return s
}

// own gives a file to the user that the server runs as.
func (s *Server) own(path string) {
	s.t.Helper()
	if s.as == nil {
		return
	}
	if err := os.Chown(path, int(s.as.uid), int(s.as.gid)); err != nil {
		s.t.Fatal(err)
	}
}

// startAnywhere starts the server on a free port.
func (s *Server) startAnywhere() {
	s.t.Helper()
	var err error
	for range 5 { // another process may take the port between the look and the start
		if err = s.start(0); err == nil {
			return
		}
		s.end()
	}
	s.t.Fatalf("PostgreSQL does not start: %v\n%s", err, s.logTail())
}

// Require gives the folder of the server's programs. It skips the test if there is none, or fails it if REQUIRE_POSTGRES=1 is
// set.
func Require(t testing.TB) (folder string) {
	t.Helper()
	if path, err := exec.LookPath("initdb"); err == nil {
		if target, err := filepath.EvalSymlinks(path); err == nil { // the other programs may have no link beside it
			path = target
		}
		return filepath.Dir(path)
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // Debian's place, which is not in PATH
	if len(found) > 0 {
		return filepath.Dir(found[len(found)-1])
	}
	const hint = "PostgreSQL is not here; get it with: apt-get install postgresql (or: brew install postgresql)"
	if os.Getenv("REQUIRE_POSTGRES") == "1" {
		t.Fatal(hint)
	}
	t.Skip(hint)
	return ""
}

// made is where the clusters of this process are copied from, once there is one. It is empty without Main.
var made struct {
	sync.Mutex
	dir  string
	done bool
}

// Main runs the tests of a package. Their servers begin with copies of one cluster.
func Main(m *testing.M) (code int) {
	dir, err := os.MkdirTemp("", "postgrestest")
	if err != nil {
		fmt.Fprintln(os.Stderr, "postgrestest:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	made.dir = filepath.Join(dir, "data")
	return m.Run()
}

// init makes the cluster.
func (s *Server) init(settings []string) error {
	if err := s.copyCluster(); err != nil {
		return err
	}
	return s.configure(append([]string{
		"listen_addresses = '127.0.0.1'", "unix_socket_directories = '" + s.dir + "'", "max_connections = 400",
		"fsync = off", "full_page_writes = off", "synchronous_commit = off", "shared_buffers = 32MB",
		"autovacuum_naptime = 5min", "password_encryption = 'scram-sha-256'", "log_min_messages = warning", "jit = off",
	}, settings...)...)
}

// configure adds lines to postgresql.conf. Of two lines about one setting the later one holds.
func (s *Server) configure(lines ...string) error {
	file, err := os.OpenFile(filepath.Join(s.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(strings.Join(lines, "\n") + "\n")
	return errors.Join(err, file.Close())
}

// copyCluster gives the server a copy of the process' cluster, which the first one makes, or without Main one of its own.
func (s *Server) copyCluster() error {
	made.Lock()
	defer made.Unlock()
	if made.dir == "" {
		return s.initdb(s.data())
	}
	if !made.done {
		s.own(filepath.Dir(made.dir))
		if err := s.initdb(made.dir); err != nil {
			return err
		}
		made.done = true
	}
	return output(s.command("/bin/cp", "-R", made.dir, s.data()))
}

// initdb makes a cluster in a folder that is not there yet.
func (s *Server) initdb(dir string) error {
	password := filepath.Join(s.dir, "password")
	if err := os.WriteFile(password, []byte(Password), 0o600); err != nil {
		return err
	}
	s.own(password)
	return output(s.command(filepath.Join(s.bin, "initdb"), "-D", dir, "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync",
		"--auth-local=trust", "--auth-host=scram-sha-256", "--pwfile", password))
}

// output runs a program; its error shows what it printed.
func output(cmd *exec.Cmd) error {
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd.Path, err, out)
	}
	return nil
}

// account is a user of the system.
type account struct{ uid, gid uint32 }

func accountOf(name string) (*account, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	return &account{uint32(uid), uint32(gid)}, err
}

// command is a program that runs as the server's user.
func (s *Server) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Dir = s.dir
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "PG") })
	cmd.SysProcAttr = attributes(s.as)
	return cmd
}

// start runs the server on a port; 0: a free one.
func (s *Server) start(port int) error {
	if port == 0 {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		port = listener.Addr().(*net.TCPAddr).Port
		_ = listener.Close()
	}
	s.port = port
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := s.command(filepath.Join(s.bin, "postgres"), "-D", s.data(), "-p", strconv.Itoa(s.port))
	cmd.Stdout, cmd.Stderr = log, log
	started, done := make(chan error, 1), make(chan struct{})
	go run(cmd, started, done)
	if err := <-started; err != nil {
		return err
	}
	s.cmd, s.done, s.dead = cmd, done, false
	return s.answers()
}

// answers waits until the server takes connections.
func (s *Server) answers() error {
	waiting, cancel := await.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	last := errors.New("no answer")
	for waiting.Err() == nil {
		conn, err := pgx.Connect(waiting, s.URL())
		if err == nil {
			return conn.Close(waiting)
		}
		last = err
		select {
		case <-s.done:
			return fmt.Errorf("it ended: %w", last)
		case <-time.After(20 * time.Millisecond):
		}
	}
	return last
}

// end ends the server as quickly as it can end in order, so that it leaves no process and no shared memory behind.
func (s *Server) end() {
	if s.cmd == nil {
		return
	}
	s.Cont() // one that a test has stopped does not end
	_ = s.cmd.Process.Signal(syscall.SIGQUIT)
	<-s.done
	s.cmd = nil
}

// URL is that of the database postgres over the socket, as the superuser.
func (s *Server) URL() string { return s.SocketURL("postgres", "postgres") }

// SocketURL is that of a database over the socket, as a user.
func (s *Server) SocketURL(user, database string) string {
	query := url.Values{"host": {s.dir}, "port": {strconv.Itoa(s.port)}, "user": {user}}
	return "postgres:///" + database + "?" + query.Encode()
}

// Addr is the server's address, "127.0.0.1:port".
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// TCPURL is that of the database postgres at an address, which may be that of a proxy, as the superuser.
func (s *Server) TCPURL(addr string) string {
	return "postgres://postgres:" + Password + "@" + addr + "/postgres?sslmode=disable"
}

// Exec runs statements as the superuser.
func (s *Server) Exec(t testing.TB, statements string) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, s.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, statements); err != nil {
		t.Fatalf("%v in:\n%s", err, statements)
	}
}

// Query reads one row as the superuser.
func (s *Server) Query(t testing.TB, query string, into ...any) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, s.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if err := conn.QueryRow(ctx, query).Scan(into...); err != nil {
		t.Fatalf("%v in: %s", err, query)
	}
}

// Dir is the folder of the server's socket.
func (s *Server) Dir() string { return s.dir }

// Run starts another program beside the server, as the same user, and ends it with the test.
func (s *Server) Run(t testing.TB, program string, args ...string) {
	t.Helper()
	cmd := s.command(program, args...)
	started, done := make(chan error, 1), make(chan struct{})
	go run(cmd, started, done)
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-done })
}

// run runs a program on a thread of its own until its end: the system ends a child with the thread that started it.
func run(cmd *exec.Cmd, started chan<- error, done chan<- struct{}) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(done)
	err := cmd.Start()
	started <- err
	if err == nil {
		_ = cmd.Wait()
	}
}

func (s *Server) data() string    { return filepath.Join(s.dir, "data") }
func (s *Server) logFile() string { return filepath.Join(s.dir, "log") }

func (s *Server) logTail() []byte {
	data, err := os.ReadFile(s.logFile())
	if err != nil {
		return []byte(err.Error())
	}
	return bytes.TrimSpace(data[max(0, len(data)-4000):])
}
