package postgresstore_test

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/commontrip/commontrip/store"
	postgresstore "github.com/commontrip/commontrip/store/postgres"
	"github.com/commontrip/commontrip/store/storetest"
	"github.com/commontrip/commontrip/tests/postgrestest"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }

// server is a PostgreSQL with the tables, and a way to look into it.
type server struct {
	*postgrestest.Server
	pool *pgxpool.Pool
}

func start(t testing.TB, settings ...string) *server {
	t.Helper()
	s := &server{Server: postgrestest.Start(t, settings...)}
	if _, _, err := postgresstore.Migrate(context.Background(), s.URL()); err != nil {
		t.Fatal(err)
	}
	var err error
	if s.pool, err = pgxpool.New(context.Background(), s.URL()+"&pool_max_conns=50"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.pool.Close)
	return s
}

func (s *server) open(t testing.TB, opts ...postgresstore.Option) *postgresstore.Store {
	t.Helper()
	return open(t, s.URL(), opts...)
}

func open(t testing.TB, url string, opts ...postgresstore.Option) *postgresstore.Store {
	t.Helper()
	s, err := postgresstore.Open(url, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

var fleets atomic.Int64

// fleet is a name space that nobody has used.
func fleet() string { return fmt.Sprintf("fleet-%d", fleets.Add(1)) }

// harness gives a law a fleet of its own, whose Watches have a relay of their own. Handles share the server's pool, since
// each new connection costs the server a process; only those on the server's clock have pools of their own.
func (s *server) harness(t testing.TB) storetest.Harness {
	name := fleet()
	way := newRelay(t, s.Addr())
	settings := []postgresstore.Option{
		postgresstore.WithPrefix(name), postgresstore.WithTimeout(30 * time.Second), postgresstore.WithLockTimeout(4 * time.Second),
		postgresstore.WithListenURL(s.TCPURL(way.Addr().String())), postgresstore.WithHeartbeat(time.Second),
	}
	connect := func(t testing.TB, opts ...postgresstore.Option) *postgresstore.Store {
		handle, err := postgresstore.New(s.pool, append(opts, settings...)...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = handle.Close() })
		return handle
	}
	return storetest.Harness{
		Open:     func(t testing.TB, now func() time.Time) store.Store { return connect(t, postgresstore.WithClock(now)) },
		OpenReal: func(t testing.TB) store.Store { return s.open(t, settings...) },
		Wipe:     func(t testing.TB) { s.exec(t, "DELETE FROM commontrip.breakers WHERE fleet = $1", name) },
		Names: func(t testing.TB) (n int) {
			if err := s.pool.QueryRow(context.Background(), "SELECT count(*) FROM commontrip.breakers WHERE fleet = $1", name).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		},
		Freeze: func(t testing.TB, breaker string) {
			ctx, thaw := context.WithCancel(context.Background())
			t.Cleanup(thaw)
			if err := postgresstore.Freeze(ctx, connect(t), breaker); err != nil {
				t.Fatal(err)
			}
		},
		Cut: func(t testing.TB) {
			s.exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = $1", `LISTEN "commontrip:`+name+`"`)
		},
		Silence: func(testing.TB) { way.silence() },
	}
}

func (s *server) exec(t testing.TB, statement string, args ...any) {
	t.Helper()
	if _, err := s.pool.Exec(context.Background(), statement, args...); err != nil {
		t.Fatal(err)
	}
}

func TestConformance(t *testing.T) {
	storetest.RunParallel(t, start(t).harness)
}
