package postgresstore_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/commontrip/commontrip/store"
	postgresstore "github.com/commontrip/commontrip/store/postgres"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/postgrestest"
)

func report(name, replica string, seq uint64, failures int) store.Report {
	r := store.Report{Name: name, Replica: replica, Seq: seq, MaxAge: time.Minute}
	if failures > 0 {
		r.Runs = []store.Run{{Outcome: store.Failure, Count: failures}}
	}
	return r
}

func tell(t testing.TB, s *postgresstore.Store, r store.Report) store.Result {
	t.Helper()
	result := s.Sync(bounded(t), []store.Report{r})[0]
	if result.Err != nil {
		t.Fatal(result.Err)
	}
	return result
}

// bounded is a context for one call, which a busy machine may take long for.
func bounded(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// What a scrape shows of the pool is the pool's.
func TestConnectionsAreThoseOfThePool(t *testing.T) {
	srv := start(t)
	s := open(t, srv.TCPURL(srv.Addr())+"&pool_max_conns=3")
	if n := s.Connections(); n != (store.Connections{Most: 3}) {
		t.Errorf("%+v before the first exchange", n)
	}
	if err := s.Ping(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if n := s.Connections(); n.InUse != 0 || n.Idle != 1 || n.Waits != 1 {
		t.Errorf("%+v after one exchange", n)
	}
}

// Missing tells an operator what to do before a deploy.
func TestMissingNamesTheMigrations(t *testing.T) {
	srv := postgrestest.Start(t)
	before, err := postgresstore.Missing(bounded(t), srv.URL())
	if err != nil || len(before) != postgresstore.Migrations || before[0] != "0001_breakers" {
		t.Errorf("%q, %v", before, err)
	}
	if _, _, err := postgresstore.Migrate(bounded(t), srv.URL()); err != nil {
		t.Fatal(err)
	}
	if after, err := postgresstore.Missing(bounded(t), srv.URL()); err != nil || len(after) != 0 {
		t.Errorf("%q, %v; want none", after, err)
	}
}

func TestABadOptionIsRefusedWithItsRange(t *testing.T) {
	const url = "postgres://127.0.0.1:1/none"
	for want, option := range map[string]postgresstore.Option{
		`prefix is ""`:                     postgresstore.WithPrefix(""),
		`prefix is "a b"`:                  postgresstore.WithPrefix("a b"),
		`prefix is "{a}"`:                  postgresstore.WithPrefix("{a}"),
		`prefix is "aaaaaaaaaa`:            postgresstore.WithPrefix(strings.Repeat("a", 51)),
		"timeout is 0s":                    postgresstore.WithTimeout(0),
		"timeout is 1m1s":                  postgresstore.WithTimeout(61 * time.Second),
		"lock timeout is 1µs":              postgresstore.WithLockTimeout(time.Microsecond),
		"lock timeout is 1m1s":             postgresstore.WithLockTimeout(61 * time.Second),
		"budget is 0":                      postgresstore.WithBudget(0),
		"heartbeat is 0s":                  postgresstore.WithHeartbeat(0),
		"another scheme; want postgres://": postgresstore.WithListenURL("redis://localhost"),
	} {
		if _, err := postgresstore.Open(url, option); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "want ") {
			t.Errorf("the error is %v; want it to say %q and a range", err, want)
		}
	}
	s := open(t, url)
	if got, want := s.Info(), (store.Info{Kind: "postgres", Remote: true}); got != want {
		t.Errorf("Info is %+v; want %+v", got, want)
	}
}

func TestAURLOpensAStore(t *testing.T) {
	for _, url := range []string{"postgres://db/app", "postgresql://app@db:5433/app?sslmode=disable", "POSTGRES://db/app"} {
		s, err := store.OpenURL(url, store.OpenConfig{Prefix: "payments", Timeout: time.Second})
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		if kind := s.Info().Kind; kind != "postgres" {
			t.Errorf("%s opens a store of kind %q", url, kind)
		}
		_ = s.Close()
	}
	if _, err := store.OpenURL("postgres://db/app", store.OpenConfig{Prefix: "a b"}); err == nil {
		t.Error("a bad prefix is taken")
	}
}

// A password may stand in many places, some of which make the URL a bad one. No error shows it.
func TestNoErrorShowsAPassword(t *testing.T) {
	const secret = "hunter2%2Fhunter3"
	words := []string{"hunter2", "hunter3"}
	for _, form := range []string{
		"postgres://app:%s@127.0.0.1:1/app", "postgres://app:%s@127.0.0.1:port/app", "postgres://app:%s@127.0.0.1:1/app?sslmode=never",
		"postgres://app:%s@127.0.0.1:1/app?pool_max_conns=many", "postgres://127.0.0.1:1/app?password=%s", "mysql://app:%s@127.0.0.1/app",
		"postgres://app:%s@127.0.0.1:1/app?connect_timeout=%s", "postgres://app:%s", "postgres://127.0.0.1:1/app?password=%s&sslmode=never",
		"postgres://127.0.0.1:1/app?sslpassword=%s&sslmode=never", "postgres://app:%s@127.0.0.1:1/app?sslmode=verify-full&sslrootcert=/none",
		"postgres://127.0.0.1:1/app?listen_url=postgres%%3A%%2F%%2Fapp%%3A%s%%40127.0.0.1%%3Aport", " postgres://app:%s@127.0.0.1:1/app",
	} {
		for _, password := range []string{secret, "hunter2/hunter3", "hunter2?hunter3", "hunter2#hunter3", "hunter2 hunter3", "hunter2%hunter3", "hunter2@hunter3"} {
			if strings.HasSuffix(form, ":%s") && strings.Contains(password, "@") {
				continue // what stands behind the @ is a host then
			}
			rawURL := strings.ReplaceAll(form, "%s", password)
			rawURL = strings.ReplaceAll(rawURL, "%%", "%")
			s, err := postgresstore.Open(rawURL, postgresstore.WithTimeout(20*time.Millisecond))
			if err == nil {
				err = s.Ping(context.Background())
				watching, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
				err = errors.Join(err, s.Watch(watching, func(store.Event) {}))
				cancel()
				_ = s.Close()
			}
			if _, _, again := postgresstore.Migrate(bounded(t), rawURL); again != nil {
				err = errors.Join(err, again)
			}
			for _, word := range words {
				if err == nil || strings.Contains(err.Error(), word) {
					t.Errorf("%s: %v", rawURL, err)
				}
			}
		}
	}
}

// FuzzURL: a URL is opened or refused, and no error shows the password that stands in it.
func FuzzURL(f *testing.F) {
	f.Add("app", "hunter22", "127.0.0.1:1", "sslmode=disable")
	f.Add("app", "hunter22", "127.0.0.1:x", "pool_max_conns=0&listen_url=x")
	f.Fuzz(func(t *testing.T, user, password, host, query string) {
		if len(password) < 8 || strings.Contains(user+host+query+"postgresstore: URL want user[:password]", password) {
			t.Skip()
		}
		u := url.URL{Scheme: "postgres", User: url.UserPassword(user, password), Host: host, Path: "/app", RawQuery: query}
		s, err := postgresstore.Open(u.String())
		if err == nil {
			_ = s.Close()
		} else if strings.Contains(err.Error(), password) {
			t.Errorf("%s: %v", u.String(), err)
		}
	})
}

func TestMissingTablesAreSaidOrMade(t *testing.T) {
	srv := postgrestest.Start(t)
	ctx := bounded(t)
	s := open(t, srv.URL())
	said := func(err error) {
		t.Helper()
		if !errors.Is(err, postgresstore.ErrTables) || !strings.Contains(err.Error(), "run commontrip migrate") || !strings.Contains(err.Error(), "version 0") {
			t.Errorf("the error is %v; want ErrTables, with what to run", err)
		}
	}
	said(s.Ping(ctx))
	said(s.Sync(ctx, []store.Report{report("tier", "web-1", 1, 1)})[0].Err)
	_, err := s.Read(ctx)
	said(err)

	var wg sync.WaitGroup
	for range 4 { // at once, as replicas start
		wg.Go(func() {
			if err := open(t, srv.URL(), postgresstore.WithMigrate()).Ping(ctx); err != nil {
				t.Errorf("with WithMigrate: %v", err)
			}
		})
	}
	wg.Wait()
	tell(t, s, report("tier", "web-1", 1, 1))
	from, to, err := postgresstore.Migrate(ctx, srv.URL())
	if from != postgresstore.Migrations || to != postgresstore.Migrations || err != nil {
		t.Errorf("Migrate again goes from %d to %d, %v", from, to, err)
	}
	// A newer release has been here.
	srv.Exec(t, fmt.Sprintf("INSERT INTO commontrip.migrations (version) VALUES (%d)", postgresstore.Migrations+1))
	if err := open(t, srv.URL()).Ping(ctx); err != nil {
		t.Errorf("tables of a newer release: %v", err)
	}
	// It failed in the middle: nothing is half done.
	srv.Exec(t, "DROP SCHEMA commontrip CASCADE; CREATE SCHEMA commontrip; CREATE TABLE commontrip.breakers (name text)")
	if from, to, err := postgresstore.Migrate(ctx, srv.URL()); err == nil {
		t.Errorf("it migrated from %d to %d over a table that is not its own", from, to)
	}
	said(open(t, srv.URL()).Ping(ctx))
}

func TestADatabaseOfAnotherEncodingIsRefused(t *testing.T) {
	srv := postgrestest.Start(t)
	srv.Exec(t, "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
	_, _, err := postgresstore.Migrate(bounded(t), srv.SocketURL("postgres", "latin"))
	if err == nil || !strings.Contains(err.Error(), "LATIN1; want UTF8") {
		t.Errorf("the error is %v; want it to name the encoding", err)
	}
}

func TestTheRightsThatAreGivenAreEnough(t *testing.T) {
	srv := start(t)
	rights, err := os.ReadFile("../../deploy/postgres-rights.sql")
	if err != nil {
		t.Fatal(err)
	}
	app := srv.SocketURL("app", "postgres")
	srv.Exec(t, "CREATE ROLE app LOGIN")
	early := open(t, app).Ping(bounded(t))
	if early == nil || !strings.Contains(early.Error(), "deploy/postgres-rights.sql") {
		t.Errorf("without rights the error is %v; want it to name the file", early)
	}
	srv.Exec(t, string(rights))
	srv.Exec(t, string(rights)) // again, it changes nothing
	srv.Exec(t, "GRANT commontrip TO app")

	ctx := bounded(t)
	now := time.Now()
	var mu sync.Mutex
	s := open(t, app, postgresstore.WithClock(func() time.Time { mu.Lock(); defer mu.Unlock(); return now }))
	told := watch(t, s)
	tell(t, s, report("tier", "web-1", 1, 5))
	told.until(t, "the trip", func(events []store.Event) bool { return len(events) > 1 && events[1].Transition.To == store.Open })
	_, claim := s.Claim(ctx, store.Claim{Name: "tier", ID: "x", Replica: "web-1", Want: 1})
	_, settle := s.Settle(ctx, store.Settlement{Lease: store.Lease{Name: "tier", ID: "x"}, Replica: "web-1", Outcome: store.Success})
	_, command := s.Command(ctx, store.Command{Name: "tier", Action: store.Reset, By: "oncall"})
	_, read := s.Read(ctx)
	_, versions := s.Versions(ctx, "tier")
	if err := errors.Join(claim, settle, command, read, versions, s.Remove(ctx, "tier"), s.Ping(ctx)); err != nil {
		t.Error(err)
	}
	mu.Lock()
	now = now.Add(49 * time.Hour)
	mu.Unlock()
	tell(t, s, report("other", "web-1", 1, 0)) // sweeps
	var names []string
	if err := srv.pool.QueryRow(ctx, "SELECT array_agg(name) FROM commontrip.breakers").Scan(&names); err != nil || !slices.Equal(names, []string{"other"}) {
		t.Errorf("after the sweep there are %q, %v; want the other one only", names, err)
	}

	if _, _, err := postgresstore.Migrate(ctx, app); err != nil {
		t.Errorf("Migrate with nothing to do: %v", err)
	}
	for _, denied := range []string{
		"CREATE TABLE commontrip.mine ()", "DROP TABLE commontrip.breakers", "DELETE FROM commontrip.migrations", "TRUNCATE commontrip.breakers",
	} {
		conn, err := srv.pool.Acquire(ctx)
		if err != nil {
			t.Fatal(err)
		}
		_, err = conn.Exec(ctx, "BEGIN; SET LOCAL ROLE app; "+denied)
		_, _ = conn.Exec(ctx, "ROLLBACK")
		conn.Release()
		if err == nil || !strings.Contains(err.Error(), "42501") {
			t.Errorf("%s: %v; want it denied", denied, err)
		}
	}
}

// told collects what a Watch tells.
type told struct {
	mu     sync.Mutex
	events []store.Event
}

// watch follows s until the test ends, and returns when it has begun.
func watch(t testing.TB, s *postgresstore.Store) *told {
	v := &told{}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Watch(ctx, func(e store.Event) {
			v.mu.Lock()
			defer v.mu.Unlock()
			v.events = append(v.events, e)
		})
	}()
	t.Cleanup(func() { stop(); <-done })
	v.until(t, "the first Resync", func(events []store.Event) bool { return len(events) > 0 })
	return v
}

func (v *told) until(t testing.TB, what string, holds func([]store.Event) bool) {
	t.Helper()
	await.Until(t, what, func() bool {
		v.mu.Lock()
		defer v.mu.Unlock()
		return holds(v.events)
	})
}

// resyncs counts them.
func resyncs(events []store.Event) (n int) {
	for _, e := range events {
		if e.Resync {
			n++
		}
	}
	return n
}

// Names of characters that JSON writes in six bytes each make a push of more than 8000.
func TestAPushThatNotifyDoesNotCarryIsAResync(t *testing.T) {
	s := start(t).open(t)
	told := watch(t, s)
	long := strings.Repeat("<", store.MaxName)
	tell(t, s, report(long, long, 1, 5))
	told.until(t, "a Resync in place of the trip", func(events []store.Event) bool { return len(events) == 2 && resyncs(events) == 2 })
	if state := tell(t, s, report(long, "web-1", 1, 0)).Snapshot.State; state != store.Open {
		t.Errorf("it is %v; want it open", state)
	}
}

// What a step is run with, seen from inside the server.
func TestAStepRunsWithItsOwnSettings(t *testing.T) {
	srv := start(t, "synchronous_commit = on", "default_transaction_isolation = 'serializable'", "default_transaction_read_only = off")
	srv.Exec(t, `
		CREATE TABLE seen (what text);
		CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			INSERT INTO seen SELECT concat_ws(' ', current_setting('transaction_isolation'), current_setting('synchronous_commit'),
				current_setting('lock_timeout'), current_setting('idle_in_transaction_session_timeout'));
			RETURN new;
		END $$;
		CREATE TRIGGER see BEFORE INSERT ON commontrip.breakers FOR EACH ROW EXECUTE FUNCTION see();`)
	tell(t, srv.open(t, postgresstore.WithTimeout(30*time.Second)), report("a", "web-1", 1, 1))
	tell(t, srv.open(t, postgresstore.WithTimeout(30*time.Second), postgresstore.WithLockTimeout(5*time.Second), postgresstore.WithAsyncCommit()), report("b", "web-1", 1, 1))
	var seen []string
	if err := srv.pool.QueryRow(bounded(t), "SELECT array_agg(what) FROM seen").Scan(&seen); err != nil {
		t.Fatal(err)
	}
	if want := []string{"read committed on 30s 30s", "read committed off 5s 5s"}; !slices.Equal(seen, want) {
		t.Errorf("the settings are %q; want %q", seen, want)
	}
}

func TestAWaitForALockIsBounded(t *testing.T) {
	srv := start(t)
	s := srv.open(t, postgresstore.WithLockTimeout(50*time.Millisecond))
	tell(t, s, report("tier", "web-1", 1, 1))
	tx, err := srv.pool.Begin(bounded(t)) // of somebody else, and without end
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	if _, err := tx.Exec(bounded(t), "SELECT FROM commontrip.breakers FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	var refused *postgresstore.Error
	if err := s.Sync(bounded(t), []store.Report{report("tier", "web-1", 2, 1)})[0].Err; !errors.As(err, &refused) || !strings.Contains(err.Error(), "lock timeout") {
		t.Errorf("the error is %v; want the server's word about its lock timeout", err)
	}
	if _, err := s.Read(bounded(t), "tier"); err != nil {
		t.Errorf("a read waits for nobody: %v", err)
	}
	tell(t, s, report("other", "web-1", 1, 1))
}

func TestAReplicaThatFreezesInAStepIsThrownOut(t *testing.T) {
	srv := start(t)
	s := srv.open(t, postgresstore.WithLockTimeout(200*time.Millisecond))
	tell(t, s, report("tier", "web-1", 1, 1))
	ctx, thaw := context.WithCancel(context.Background())
	defer thaw()
	if err := postgresstore.Freeze(ctx, s, "tier"); err != nil {
		t.Fatal(err)
	}
	seq := uint64(1)
	await.Until(t, "a report to get through", func() bool {
		seq++
		return s.Sync(bounded(t), []store.Report{report("tier", "web-1", seq, 1)})[0].Err == nil
	})
}

// relay is a way to a server whose connections can fall silent.
type relay struct {
	net.Listener
	mu     sync.Mutex
	silent *atomic.Bool // of the connections that are made now
}

func newRelay(t testing.TB, to string) *relay {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{Listener: l, silent: &atomic.Bool{}}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				_ = near.Close()
				continue
			}
			r.mu.Lock()
			silent := r.silent
			r.mu.Unlock()
			conns.Go(func() { carry(near, far, silent) })
			conns.Go(func() { carry(far, near, silent) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); conns.Wait() })
	return r
}

// carry passes on what comes, until either end is closed.
func carry(from, to net.Conn, silent *atomic.Bool) {
	defer from.Close()
	defer to.Close()
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if silent.Load() {
			continue
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// silence makes the connections that stand swallow what they are given. Later ones work.
func (r *relay) silence() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.silent.Store(true)
	r.silent = &atomic.Bool{}
}

// Watch uses the URL that it is given, and notices that its connection is silent although the Store's own ones work.
func TestAWatchHasItsOwnWayAndNoticesThatItIsSilent(t *testing.T) {
	srv := start(t)
	way := newRelay(t, srv.Addr())
	s := srv.open(t, postgresstore.WithListenURL(srv.TCPURL(way.Addr().String())), postgresstore.WithHeartbeat(100*time.Millisecond))
	told := watch(t, s)
	for n := range 2 {
		way.silence()
		told.until(t, "a Resync over another connection", func(events []store.Event) bool { return resyncs(events) > 1+n })
	}
	tell(t, s, report("tier", "web-1", 1, 5))
	told.until(t, "the trip", func(events []store.Event) bool { return events[len(events)-1].Transition.To == store.Open })
}

func TestAURLCanNameTheWayOfWatch(t *testing.T) {
	srv := start(t)
	way := newRelay(t, srv.Addr())
	rawURL := srv.URL() + "&listen_url=" + url.QueryEscape(srv.TCPURL(way.Addr().String()))
	s := open(t, rawURL)
	told := watch(t, s)
	_ = way.Close()
	srv.exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
	tell(t, s, report("tier", "web-1", 1, 5))
	await.Until(t, "the Watch to look for its way in vain", func() bool {
		var n int
		err := srv.pool.QueryRow(bounded(t), "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'").Scan(&n)
		return err == nil && n == 0
	})
	told.until(t, "nothing more", func(events []store.Event) bool { return len(events) == 1 })
}

func TestAPoolOfTheCallersStaysOpen(t *testing.T) {
	srv := start(t)
	s, err := postgresstore.New(srv.pool)
	if err != nil {
		t.Fatal(err)
	}
	tell(t, s, report("tier", "web-1", 1, 1))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := srv.pool.Ping(bounded(t)); err != nil {
		t.Errorf("the pool: %v", err)
	}
}
