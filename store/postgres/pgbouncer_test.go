package postgresstore_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/commontrip/commontrip/store"
	postgresstore "github.com/commontrip/commontrip/store/postgres"
	"github.com/commontrip/commontrip/store/storetest"
	"github.com/commontrip/commontrip/tests/await"
)

// pooler starts a PgBouncer that shares connections between transactions, and gives the URL by way of it.
func (s *server) pooler(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("pgbouncer")
	if err != nil {
		if path = "/usr/sbin/pgbouncer"; !exists(path) {
			const hint = "pgbouncer is not here; get it with: apt-get install pgbouncer"
			if os.Getenv("REQUIRE_POSTGRES") == "1" {
				t.Fatal(hint)
			}
			t.Skip(hint)
		}
	}
	dir := s.Dir() // which the server's user can read
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	_ = l.Close()
	_, serverPort, _ := net.SplitHostPort(s.Addr())
	files := map[string]string{
		"pooler.users": `"postgres" ""` + "\n",
		"pooler.ini": fmt.Sprintf("[databases]\n* = host=%s port=%s\n[pgbouncer]\nlisten_addr=127.0.0.1\nlisten_port=%d\nauth_type=trust\n"+
			"auth_file=%s/pooler.users\npool_mode=transaction\nunix_socket_dir=\nmax_client_conn=500\ndefault_pool_size=20\n", s.Dir(), serverPort, port, dir),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s.Run(t, path, filepath.Join(dir, "pooler.ini"))
	url := fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable&default_query_exec_mode=exec", port)
	await.Until(t, "PgBouncer to answer", func() bool {
		conn, err := pgx.Connect(bounded(t), url)
		return err == nil && conn.Close(bounded(t)) == nil
	})
	return url
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// All laws hold behind a PgBouncer, with a URL of its own for Watch.
func TestConformanceBehindPgBouncer(t *testing.T) {
	if testing.Short() {
		t.Skip("TestConformance plays the laws on the server itself")
	}
	srv := start(t)
	url := srv.pooler(t)
	storetest.RunParallel(t, func(testing.TB) storetest.Harness {
		name := fleet()
		return storetest.Harness{
			Open: func(t testing.TB, now func() time.Time) store.Store {
				return open(t, url, postgresstore.WithPrefix(name), postgresstore.WithClock(now), postgresstore.WithTimeout(30*time.Second),
					postgresstore.WithListenURL(srv.URL()))
			},
			Wipe: func(t testing.TB) { srv.exec(t, "DELETE FROM commontrip.breakers WHERE fleet = $1", name) },
		}
	})
}

// Without that URL a Watch never hears a push. It says Resync again and again, so that replicas read.
func TestAWatchByWayOfAPgBouncerIsToldToRead(t *testing.T) {
	srv := start(t)
	s := open(t, srv.pooler(t), postgresstore.WithHeartbeat(100*time.Millisecond))
	told := watch(t, s)
	told.until(t, "another Resync", func(events []store.Event) bool { return resyncs(events) > 1 })
	if text := fmt.Sprint(s.Ping(bounded(t))); strings.Contains(text, "prepared statement") {
		t.Error(text)
	}
}
