package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/postgrestest"
)

// longer is more time than a busy machine needs for one step.
const longer = "--timeout=1m"

// postgresDesk is a desk at a PostgreSQL that has the tables, and runs as servers do that may not lose what they hold.
func postgresDesk(t *testing.T, settings ...string) (*desk, *postgrestest.Server) {
	t.Helper()
	srv := postgrestest.Start(t, append([]string{"fsync = on", "full_page_writes = on", "synchronous_commit = on"}, settings...)...)
	d := deskAt(t, srv.TCPURL(srv.Addr()))
	d.must("migrate", longer)
	return d, srv
}

// as gives the server's URL for a user without a password over the socket.
func as(srv *postgrestest.Server, user string) string { return srv.SocketURL(user, "postgres") }

// Each command took a store in Redis only.
func TestEveryCommandWorksOnPostgreSQL(t *testing.T) {
	d, _ := postgresDesk(t)
	if _, _, err := d.run("list"); !strings.Contains(err, "no breakers under the prefix commontrip (the default) yet") {
		t.Errorf("%q", err)
	}
	d.closed("ledger")
	d.broken("mcp")
	holds(t, d.must("list", longer), "ledger  closed", "mcp opened because")
	holds(t, d.must("show", "mcp", longer), "mcp opened because", "seen by web-1 and web-2", "web-1#a1", "web-2#b2")
	holds(t, d.must("history", "mcp", longer), "mcp opened because")
	holds(t, d.must("roster", "mcp", longer), "web-2#b2")
	out, end := d.begin("watch", longer)
	out.next("ledger", "is closed")
	holds(t, d.must("force-open", "ledger", "--why", "INC-42", longer), "ledger: forced-open, oncall forced ledger open: INC-42")
	out.next("ledger", "oncall forced ledger open: INC-42")
	if code := end(); code != done {
		t.Errorf("exit code %d of watch", code)
	}
	holds(t, d.must("lift", "ledger", longer), "ledger: half-open")
	holds(t, d.must("retune", "ledger", "probes=7", longer), "probes", "retuned by oncall")
	holds(t, d.must("restore", "ledger", longer), "ledger: ")
	holds(t, d.must("reset", "ledger", longer), "ledger: closed")
	holds(t, d.must("trip", "ledger", longer), "ledger: open")
	if code, _, err := d.run("show", "ledgr", longer); code != unknown || !strings.Contains(err, "did you mean ledger?") {
		t.Errorf("exit code %d, %q", code, err)
	}
	code, text, err := d.run("remove", "ledger", "--yes", longer)
	if code != done || text != "ledger: removed by oncall\n" || !strings.Contains(err, "does not keep who removed") {
		t.Errorf("exit code %d, %q, %q", code, text, err)
	}
	var left []store.Snapshot
	if err := json.Unmarshal([]byte(d.must("list", "--json", longer)), &left); err != nil || len(left) != 1 || left[0].Name != "mcp" {
		t.Errorf("%+v, %v; want mcp alone", left, err)
	}
	if _, _, err := d.run("list", "--prefix", "other", longer); !strings.Contains(err, "there are some under commontrip: see --prefix") {
		t.Errorf("%q", err)
	}
}

func TestARowThatCannotBeReadIsNamed(t *testing.T) {
	d, srv := postgresDesk(t)
	d.closed("mcp")
	d.closed("it's")
	srv.Exec(t, `UPDATE commontrip.breakers SET data = '\x01ff' WHERE name = 'it''s'`)
	for _, command := range []string{"show", "history", "roster"} {
		if code, _, err := d.run(command, "it's", longer); code != partly || !strings.Contains(err, "not a saved machine; commontrip doctor says what to do") {
			t.Errorf("%s: exit code %d, %q", command, code, err)
		}
	}
	found := d.examined(ill, longer)
	holds(t, found("breaker "+quote("it's")), "problem: it cannot be read: ", "DELETE FROM commontrip.breakers WHERE fleet = 'commontrip' AND name = 'it''s'")
	holds(t, found("breaker mcp"), "ok: closed")
}

func TestThePageByAPostgreSQLURL(t *testing.T) {
	d, _ := postgresDesk(t)
	d.closed("mcp")
	out, end := d.begin("dashboard", "--listen", "localhost:0", "--commands", "--by", "ada", longer)
	page, _, _ := strings.Cut(out.next("http://127.0.0.1:"), " ")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	status, body := ask(t, client, http.MethodPost, page+"api/breakers/mcp/command", `{"name":"mcp","action":"force-open","for_ms":60000,"why":"x"}`)
	if status != http.StatusOK {
		t.Errorf("status %d, %s", status, body)
	}
	if x := d.read("mcp"); x.Mode != store.ForcedOpen || x.ModeNote.By != "ada" {
		t.Errorf("%+v", x)
	}
	for path, want := range map[string]string{
		"": "<html", "api/breakers": `"name":"mcp"`, "api/breakers/mcp": "forced-open", "api/breakers/mcp/history": "ada forced mcp open: x",
		"api/breakers/mcp/roster": "web-1#a1",
	} {
		if status, body := ask(t, client, http.MethodGet, page+path, ""); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%q: status %d, %.300s; want %q", path, status, body, want)
		}
	}
	if code := end(); code != done {
		t.Errorf("exit code %d", code)
	}
}

func TestDoctorFindsAGoodPostgreSQLWellAndLeavesNothingBehind(t *testing.T) {
	d, srv := postgresDesk(t)
	d.closed("mcp")
	rights, err := os.ReadFile("../../deploy/postgres-rights.sql")
	if err != nil {
		t.Fatal(err)
	}
	srv.Exec(t, string(rights)+"; CREATE ROLE app LOGIN IN ROLE commontrip")
	found := d.examined(done, longer, "--url", as(srv, "app"))
	for check, want := range map[string]string{
		"server": "ok: PostgreSQL ", "role": "ok: a primary", "tables": "ok: as this release", "rights": "ok: all there, and no more",
		"requests": "ok: all that a replica asks for is answered", "push": "the echo took ", "clock": "ok: server: within",
		"durability":  "ok: fsync on, full_page_writes on, synchronous_commit on: a request returns once it is on this server's disk",
		"connections": " of 397 are in use", "vacuum": "ok: live rows of commontrip.breakers: ", "locks": "ok: no request waits",
		"breaker mcp": "ok: closed for ", "pooler": "",
	} {
		holds(t, found(check), want)
	}
	if found("way") == "" || found("pooler") != "" {
		t.Errorf("%q, %q", found("way"), found("pooler"))
	}
	if n := d.count(srv, "SELECT count(*) FROM commontrip.breakers"); n != 1 {
		t.Errorf("%d rows; want the one that was there", n)
	}
}

// count asks the server for a number.
func (d *desk) count(srv *postgrestest.Server, query string) (n int) {
	d.t.Helper()
	conn, err := pgx.Connect(d.t.Context(), srv.URL())
	if err != nil {
		d.t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(d.t.Context()))
	if err := conn.QueryRow(d.t.Context(), query).Scan(&n); err != nil {
		d.t.Fatal(err)
	}
	return n
}

func TestDoctorSaysWhatAPostgreSQLLacks(t *testing.T) {
	srv := postgrestest.Start(t, "autovacuum = off", "max_connections = 20")
	d := deskAt(t, srv.TCPURL(srv.Addr()))
	found := d.examined(ill, longer)
	holds(t, found("tables"), "problem: these migrations are missing: 0001_breakers | commontrip migrate")
	holds(t, found("requests"), "note: not tried")
	holds(t, found("durability"), "problem: fsync off", "set both to on")
	holds(t, found("breakers"), "problem: ", "commontrip migrate")
	holds(t, found("push"), "the echo took ")

	d.must("migrate", longer)
	srv.Exec(t, "CREATE ROLE weak LOGIN; GRANT SELECT, UPDATE ON commontrip.breakers TO weak")
	for _, statement := range []string{"ALTER SYSTEM SET fsync = on", "ALTER SYSTEM SET full_page_writes = on", "SELECT pg_reload_conf()"} {
		srv.Exec(t, statement)
	}
	found = d.examined(ill, longer, "--url", as(srv, "weak"))
	grant := found("rights")
	holds(t, grant, "problem: this user lacks USAGE ON SCHEMA commontrip, ", "INSERT ON commontrip.breakers", `GRANT USAGE ON SCHEMA commontrip TO "weak"; GRANT `)
	if strings.Contains(grant, "UPDATE") {
		t.Errorf("%q; UPDATE is there", grant)
	}
	_, statements, _ := strings.Cut(grant, "owner of the schema: ")
	statements, _, _ = strings.Cut(statements, ". deploy")
	srv.Exec(t, statements) // and they are accepted, and enough
	found = d.examined(ill, longer, "--url", as(srv, "weak"))
	holds(t, found("rights"), "ok: all there, and no more")
	holds(t, found("requests"), "ok: ")
	holds(t, found("vacuum"), "problem: autovacuum is off")
	holds(t, found("durability"), "note: fsync on", "synchronous_commit off: a server that crashes loses", "SET synchronous_commit = on")

	srv.Exec(t, `ALTER ROLE weak SUPERUSER`)
	holds(t, d.examined(ill, longer, "--url", as(srv, "weak"))("rights"), "note: all there; this user is a superuser")
	hogs(t, srv, 15)
	holds(t, d.examined(ill, longer)("connections"), "problem: ", " of 17 are in use", "put a PgBouncer between")
}

// hogs keep connections.
func hogs(t *testing.T, srv *postgrestest.Server, n int) {
	t.Helper()
	for range n {
		conn, err := pgx.Connect(t.Context(), srv.URL())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
	}
}

func TestDoctorSeesWhoHoldsARow(t *testing.T) {
	d, srv := postgresDesk(t)
	d.closed("mcp")
	ctx := context.WithoutCancel(t.Context())
	sessions := make([]*pgx.Conn, 2)
	for i := range sessions {
		var err error
		if sessions[i], err = pgx.Connect(ctx, srv.URL()+"&application_name=batch"); err != nil {
			t.Fatal(err)
		}
		defer sessions[i].Close(ctx)
	}
	const lock = "BEGIN; SELECT name FROM commontrip.breakers FOR UPDATE"
	if _, err := sessions[0].Exec(ctx, lock); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { _, err := sessions[1].Exec(ctx, lock); ended <- err }()
	await.Until(t, "a session to wait for a while", func() bool {
		return d.count(srv, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND clock_timestamp() - query_start > interval '200 ms'") == 1
	})
	holds(t, d.examined(ill, longer)("locks"), "problem: requests that wait for a row: 1, the longest for ", "(user postgres, batch) holds it, idle in transaction",
		fmt.Sprintf("pg_terminate_backend(%d)", sessions[0].PgConn().PID()))
	if _, err := sessions[0].Exec(ctx, "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestDoctorKnowsAPoolerThatCarriesNoListen(t *testing.T) {
	d, srv := postgresDesk(t)
	pooled := pooler(t, srv)
	found := d.examined(ill, "--url", pooled, "--timeout", "5s")
	holds(t, found("pooler"), "note: a pooler stands between", "add default_query_exec_mode=exec")
	holds(t, found("push"), "problem: ", "no echo", "give the server's own URL as the parameter listen_url")

	whole := pooled + "&default_query_exec_mode=exec&listen_url=" + url.QueryEscape(srv.TCPURL(srv.Addr()))
	code, out, err := d.run("doctor", longer, "--url", whole)
	if code != done || strings.Contains(out, "pooler") || !strings.Contains(out, "the echo took") {
		t.Errorf("exit code %d, %s%s", code, out, err)
	}
	if strings.Contains(out+err, postgrestest.Password) {
		t.Errorf("%q shows the password of listen_url", out+err)
	}
	for _, listen := range []string{"postgres://127.0.0.1:1/postgres", pooled} {
		found = d.examined(ill, "--url", pooled+"&default_query_exec_mode=exec&listen_url="+url.QueryEscape(listen), "--timeout", "5s")
		holds(t, found("push"), "problem: ", "replicas learn of transitions only by their next exchange")
	}
}

// pooler starts a PgBouncer that shares connections between transactions.
func pooler(t *testing.T, srv *postgrestest.Server) string {
	t.Helper()
	path, err := exec.LookPath("pgbouncer")
	if path == "" && err != nil {
		path = "/usr/sbin/pgbouncer"
	}
	if _, err := os.Stat(path); err != nil {
		const hint = "pgbouncer is not here; get it with: apt-get install pgbouncer"
		if os.Getenv("REQUIRE_POSTGRES") == "1" {
			t.Fatal(hint)
		}
		t.Skip(hint)
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	_ = l.Close()
	_, serverPort, _ := net.SplitHostPort(srv.Addr())
	for name, text := range map[string]string{
		"users": `"postgres" ""`,
		"ini": fmt.Sprintf("[databases]\n* = host=%s port=%s\n[pgbouncer]\nlisten_addr=127.0.0.1\nlisten_port=%d\nauth_type=trust\n"+
			"auth_file=%s/pooler.users\npool_mode=transaction\nunix_socket_dir=\n", srv.Dir(), serverPort, port, srv.Dir()),
	} {
		if err := os.WriteFile(filepath.Join(srv.Dir(), "pooler."+name), []byte(text+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	srv.Run(t, path, filepath.Join(srv.Dir(), "pooler.ini"))
	at := fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", port)
	connects(t, at)
	return at
}

// connects waits until a server takes connections.
func connects(t *testing.T, at string) {
	t.Helper()
	await.Until(t, "a server to take connections", func() bool {
		ctx, cancel := await.WithTimeout(t.Context(), patient)
		defer cancel()
		conn, err := pgx.Connect(ctx, at)
		return err == nil && conn.Close(ctx) == nil
	})
}

func TestDoctorKnowsAStandby(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: two servers")
	}
	d, srv := postgresDesk(t)
	d.closed("mcp")
	initdb, err := filepath.EvalSymlinks(filepath.Join(postgrestest.Require(t), "initdb"))
	if err != nil {
		t.Fatal(err)
	}
	bin, dir := filepath.Dir(initdb), filepath.Join(srv.Dir(), "standby")
	_, port, _ := net.SplitHostPort(srv.Addr())
	srv.Run(t, filepath.Join(bin, "pg_basebackup"), "-D", dir, "-h", srv.Dir(), "-p", port, "-U", "postgres", "-R", "-c", "fast", "--no-sync")
	manifest := filepath.Join(dir, "backup_manifest") // written last
	await.Until(t, "a copy of the server", func() bool { _, err := os.Stat(manifest); return err == nil })
	srv.Run(t, filepath.Join(bin, "postgres"), "-D", dir, "-p", "1", "-c", "listen_addresses=", "-c", "unix_socket_directories="+dir)
	standby := "postgres:///postgres?" + url.Values{"host": {dir}, "port": {"1"}, "user": {"postgres"}}.Encode()
	connects(t, standby)
	found := d.examined(ill, longer, "--url", standby)
	holds(t, found("role"), "problem: a standby", "target_session_attrs=read-write")
	holds(t, found("requests"), "note: not tried")
	holds(t, found("breaker mcp"), "ok: closed")
	holds(t, found("push"), "problem: ", "this is a standby")
	holds(t, d.must("list", longer, "--url", standby), "mcp   closed")
	if code, _, err := d.run("trip", "mcp", longer, "--url", standby); code != failed || !strings.Contains(err, "during recovery") {
		t.Errorf("exit code %d, %q", code, err)
	}
}

func TestDoctorSaysWhatToDoIfThereIsNoWay(t *testing.T) {
	srv := postgrestest.Start(t)
	for at, want := range map[string]string{
		"postgres://postgres:cAnaRy-9%23@127.0.0.1:1/postgres":                                   "check host and port in the URL",
		"postgres://postgres:cAnaRy-9%23@" + srv.Addr() + "/postgres?sslmode=disable":            "put user and password that the server knows",
		srv.SocketURL("postgres", "nowhere"):                                                     "make the database",
		"postgres://postgres:" + postgrestest.Password + "@" + srv.Addr() + "/p?sslmode=require": "the server speaks no TLS",
	} {
		d := &desk{t: t, env: map[string]string{"COMMONTRIP_URL": at}}
		code, out, err := d.run("doctor", longer)
		if code != ill || !strings.Contains(out, want) || strings.Contains(out+err, canary) {
			t.Errorf("exit code %d, %q, %q; want %q", code, out, err, want)
		}
	}
}

// A store that no other process can ask cannot be looked at.
func TestAURLOfNoFleetIsRefused(t *testing.T) {
	for _, at := range []string{"memory:", "http://127.0.0.1", "etcd://x"} {
		d := &desk{t: t, env: map[string]string{"COMMONTRIP_URL": at}}
		if code, _, err := d.run("list"); code != misused || !strings.Contains(err, "want redis://, rediss://, unix:// or postgres://") {
			t.Errorf("%s: exit code %d, %q", at, code, err)
		}
	}
}
