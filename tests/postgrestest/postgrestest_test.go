package postgrestest

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/commontrip/commontrip/tests/await"
)

// count reads the rows of the table that these tests write.
func count(s *Server) (n int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL())
	if err != nil {
		return 0, err
	}
	defer conn.Close(context.Background())
	err = conn.QueryRow(ctx, "SELECT count(*) FROM t").Scan(&n)
	return n, err
}

func wantRows(t *testing.T, s *Server, want int) {
	t.Helper()
	await.Until(t, "the server shows its rows", func() bool { n, err := count(s); return err == nil && n == want })
}

func TestAServerThatIsKilledOrStoppedComesBack(t *testing.T) {
	s := Start(t, "synchronous_commit = on")
	s.Exec(t, "CREATE TABLE t (n int); INSERT INTO t VALUES (1)")
	s.Kill()
	if n, err := count(s); err == nil {
		t.Errorf("a dead server shows %d rows", n)
	}
	s.Restart()
	wantRows(t, s, 1)
	s.KillBackends()
	wantRows(t, s, 1)
	s.Stop()
	if n, err := count(s); err == nil {
		t.Errorf("a server that stands still shows %d rows", n)
	}
	s.Cont()
	wantRows(t, s, 1)
}

func TestAStandbyFollowsUntilItIsDetachedAndTakesWritesOncePromoted(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts three servers")
	}
	s := Start(t)
	standby := s.Standby("second")
	s.Exec(t, "CREATE TABLE t (n int); INSERT INTO t VALUES (1)")
	wantRows(t, standby, 1)
	standby.Detach()
	s.Exec(t, "INSERT INTO t VALUES (2)")
	s.Kill()
	standby.Promote()
	wantRows(t, standby, 1)
	standby.Exec(t, "INSERT INTO t VALUES (3)")
	wantRows(t, standby, 2)
}
