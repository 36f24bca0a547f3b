package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/commontrip/commontrip/store"
	postgresstore "github.com/commontrip/commontrip/store/postgres"
)

// oldestPostgres is the first release that the store runs on, as server_version_num.
const oldestPostgres = 130000

// postgresServer is the doctor's side of PostgreSQL.
type postgresServer struct {
	*doctor
	config *pgxpool.Config
	listen *pgx.ConnConfig // by which the store LISTENs
	apart  bool            // listen is another URL than the store's own
	conn   *pgx.Conn       // nil: not connected yet
	pooled bool            // a pooler stands between
	ready  bool            // tables and rights are there, and the server takes writes
}

func newPostgresServer(d *doctor) (server, error) {
	config, listen, err := postgresConfig(d.set.url.value)
	if err != nil {
		return nil, err
	}
	s := &postgresServer{doctor: d, config: config, listen: config.ConnConfig, ready: true}
	if listen != "" {
		other, _, err := postgresConfig(listen)
		if err != nil {
			return nil, err
		}
		s.listen, s.apart = other.ConnConfig, true
	}
	return s, nil
}

func (d *postgresServer) close() {
	if d.conn != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = d.conn.Close(ctx)
	}
}

// connected gives the connection, and makes it again if a step before has broken it off.
func (d *postgresServer) connected(ctx context.Context) (*pgx.Conn, error) {
	if d.conn != nil && !d.conn.IsClosed() {
		return d.conn, nil
	}
	conn, err := unprepared(ctx, d.config.ConnConfig)
	if err == nil {
		d.conn = conn
	}
	return conn, err
}

func (d *postgresServer) ping(ctx context.Context) error {
	conn, err := d.connected(ctx)
	if err != nil {
		return err
	}
	return conn.Ping(ctx)
}

// ask reads one row for a check, which fails with the question. A row that is not there is not a failure.
func (d *postgresServer) ask(ctx context.Context, check, query string, into ...any) bool {
	conn, err := d.connected(ctx)
	if err == nil {
		err = conn.QueryRow(ctx, query).Scan(into...)
	}
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		d.say(problem, check, err.Error(), adviceFor(err))
		return false
	}
	return err == nil
}

func (d *postgresServer) checks() []func(context.Context) bool {
	return []func(context.Context) bool{
		d.checkServer, d.checkTables, d.checkRights, d.checkRequests, d.checkPush, d.checkDurability, d.checkConnections, d.checkVacuum, d.checkLocks,
	}
}

// names implements server.
func (d *postgresServer) names(ctx context.Context) ([]string, error) {
	conn, err := d.connected(ctx)
	if err != nil {
		return nil, err
	}
	rows, _ := conn.Query(ctx, "SELECT name FROM commontrip.breakers WHERE fleet = $1 AND shown", d.set.prefix.value) // CollectRows has the error, too
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// place implements server.
func (d *postgresServer) place(string) string { return "a row of commontrip.breakers" }

// checkForms implements server: a row that this release cannot read is told by Read.
func (d *postgresServer) checkForms(context.Context, []store.Snapshot) bool { return true }

// forget implements server.
func (d *postgresServer) forget(name string) string {
	literal := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
	return "DELETE FROM commontrip.breakers WHERE fleet = " + literal(d.set.prefix.value) + " AND name = " + literal(name)
}

// checkServer looks at version, role and clock, and whether a pooler stands between.
func (d *postgresServer) checkServer(ctx context.Context) bool {
	var version string
	var number int
	var standby bool
	var pid uint32
	var there time.Time
	begun := time.Now()
	if !d.ask(ctx, "server", `SELECT current_setting('server_version'), current_setting('server_version_num')::int, pg_is_in_recovery(),
		pg_backend_pid(), clock_timestamp()`, &version, &number, &standby, &pid, &there) {
		return false
	}
	d.sayClock("server", there.Sub(begun.Add(time.Since(begun)/2)))
	version, _, _ = strings.Cut(version, " ") // Debian adds its own
	if number < oldestPostgres {
		d.say(problem, "server", "PostgreSQL "+version, "upgrade to PostgreSQL 13 or later")
	} else {
		d.say(fine, "server", "PostgreSQL "+version, "")
	}
	if standby {
		d.ready = false
		d.say(problem, "role", "a standby: it takes no writes, so that no replica can report", "put the primary into the URL, or all hosts and "+
			"target_session_attrs=read-write: postgres://user@host1,host2/database?target_session_attrs=read-write")
	} else {
		d.say(fine, "role", "a primary", "")
	}
	d.pooled = d.conn.PgConn().PID() != pid // a pooler gives out numbers of its own
	if d.pooled && d.config.ConnConfig.DefaultQueryExecMode != pgx.QueryExecModeExec && d.config.ConnConfig.DefaultQueryExecMode != pgx.QueryExecModeSimpleProtocol {
		d.say(note, "pooler", "a pooler stands between, and the store prepares statements",
			"if it shares connections between transactions, as PgBouncer does with pool_mode=transaction: add default_query_exec_mode=exec to the URL")
	}
	return true
}

// checkTables compares what was migrated with what this release needs.
func (d *postgresServer) checkTables(ctx context.Context) bool {
	missing, err := postgresstore.Missing(ctx, d.set.url.value)
	switch {
	case err != nil:
		d.ready = false
		d.say(problem, "tables", err.Error(), adviceFor(err))
	case len(missing) > 0:
		d.ready = false
		d.say(problem, "tables", "these migrations are missing: "+strings.Join(missing, ", "),
			"commontrip migrate, with a user who may create a schema; replicas go by their own verdicts until then")
	default:
		d.say(fine, "tables", "as this release needs them", "")
		return true
	}
	return false
}

// checkRights asks what this user may do with the tables: less than a replica needs is a problem, more is worth a note.
func (d *postgresServer) checkRights(ctx context.Context) bool {
	var user string
	var super, owner bool
	var lacks []string
	if !d.ask(ctx, "rights", `SELECT current_user, r.rolsuper, pg_has_role(n.nspowner, 'USAGE'),
		ARRAY(SELECT 'USAGE ON SCHEMA commontrip' WHERE NOT has_schema_privilege(n.oid, 'USAGE') UNION ALL
			SELECT right_of || ' ON commontrip.' || c.relname FROM pg_class AS c, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS right_of
			WHERE c.relnamespace = n.oid AND (c.relname = 'breakers' OR c.relname = 'migrations' AND right_of = 'SELECT')
				AND NOT has_table_privilege(c.oid, right_of))
		FROM pg_roles AS r, pg_namespace AS n WHERE r.rolname = current_user AND n.nspname = 'commontrip'`, &user, &super, &owner, &lacks) {
		return false
	}
	switch {
	case len(lacks) > 0:
		d.ready = false
		to := " TO " + pgx.Identifier{user}.Sanitize()
		d.say(problem, "rights", "this user lacks "+strings.Join(lacks, ", "), "as the owner of the schema: GRANT "+strings.Join(lacks, to+"; GRANT ")+to+
			". deploy/postgres-rights.sql makes a role of them; a user that is only to look needs USAGE and SELECT")
	case super:
		d.say(note, "rights", "all there; this user is a superuser, and may do anything to every database", "give the service a user of its own: deploy/postgres-rights.sql")
	case owner:
		d.say(note, "rights", "all there; this user owns the tables, and may drop them", "give the service a user of its own: deploy/postgres-rights.sql")
	default:
		d.say(fine, "rights", "all there, and no more", "")
	}
	return true
}

// checkRequests does what replicas do, with a breaker that nobody knows, and cleans up.
func (d *postgresServer) checkRequests(ctx context.Context) bool {
	if !d.ready {
		d.say(note, "requests", "not tried", "see to role, tables and rights, and ask the doctor again")
		return false
	}
	prefix := d.scratchPrefix()
	s, err := postgresstore.Open(d.set.url.value, postgresstore.WithPrefix(prefix), postgresstore.WithTimeout(d.app.flags.timeout))
	if err != nil {
		d.say(note, "requests", "not tried: the prefix leaves no room for another name space", "choose a prefix of at most 34 bytes")
		return false
	}
	defer s.Close()
	defer func() { // ctx may have ended
		cleaning, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.app.flags.timeout)
		defer cancel()
		if conn, err := d.connected(cleaning); err == nil {
			_, _ = conn.Exec(cleaning, "DELETE FROM commontrip.breakers WHERE fleet = $1", prefix)
		}
	}()
	if verb, err := tryVerbs(ctx, s); err != nil {
		d.say(problem, "requests", verb+": "+err.Error(), adviceFor(err))
		return false
	}
	d.say(fine, "requests", "all that a replica asks for is answered", "")
	return true
}

// checkPush sends a message over the fleet's channel by the store's own way, and waits for it on the store's way to LISTEN.
// Replicas take it for a sign of life.
func (d *postgresServer) checkPush(ctx context.Context) bool {
	fail := func(err error) bool {
		d.say(problem, "push", lateNews+err.Error(), adviceFor(err))
		return false
	}
	ear, err := unprepared(ctx, d.listen)
	if err != nil {
		return fail(err)
	}
	defer ear.Close(context.WithoutCancel(ctx))
	channel := "commontrip:" + d.set.prefix.value
	if _, err := ear.Exec(ctx, "LISTEN "+pgx.Identifier{channel}.Sanitize()); err != nil {
		return fail(err)
	}
	conn, err := d.connected(ctx)
	if err != nil {
		return fail(err)
	}
	word := fmt.Sprintf(`{"heartbeat":true,"doctor":%q}`, rand.Text())
	begun := time.Now()
	if _, err := conn.Exec(ctx, "SELECT pg_notify($1, $2)", channel, word); err != nil {
		return fail(err)
	}
	for {
		heard, err := ear.WaitForNotification(ctx)
		if err != nil {
			d.say(problem, "push", lateNews+"no echo within "+d.app.flags.timeout.String(), d.adviceForSilence())
			return false
		}
		if heard.Payload == word {
			break
		}
	}
	d.sayEcho(time.Since(begun))
	var used float64
	if d.ask(ctx, "push", "SELECT pg_notification_queue_usage()", &used) && used > 0.5 {
		d.say(problem, "push", fmt.Sprintf("the server's queue of notifications is %.0f %% full; once it is full, every request fails", 100*used),
			"end the session that has LISTENed and sits in an old transaction: see the server's log, and xact_start in pg_stat_activity")
	}
	return true
}

// adviceForSilence is what to do if NOTIFY is not heard.
func (d *postgresServer) adviceForSilence() string {
	switch {
	case d.apart:
		return "see that the URL in listen_url leads to the same server and database, and by no pooler that shares connections between transactions"
	case d.pooled:
		return "a pooler that shares connections between transactions carries no LISTEN: give the server's own URL as the parameter listen_url"
	default:
		return "see that nothing between here and the server keeps messages back"
	}
}

// checkDurability says what a crash of the server may lose.
func (d *postgresServer) checkDurability(ctx context.Context) bool {
	var fsync, pages, commit, standbys string
	if !d.ask(ctx, "durability", `SELECT current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit'),
		current_setting('synchronous_standby_names')`, &fsync, &pages, &commit, &standbys) {
		return false
	}
	settings := fmt.Sprintf("fsync %s, full_page_writes %s, synchronous_commit %s", fsync, pages, commit)
	switch {
	case fsync == "off" || pages == "off":
		d.say(problem, "durability", settings+": a machine that crashes may leave a database that cannot be read",
			"set both to on, unless this database may be lost: replicas bring breakers back once it is made again and migrated")
	case commit == "off":
		d.say(note, "durability", settings+": a server that crashes loses what it acknowledged within the last half second or so",
			"nothing, if that is wanted: replicas bring verdicts back, outcomes of that time are lost. Else: ALTER ROLE or DATABASE ... SET synchronous_commit = on")
	case standbys != "" && commit != "local":
		d.say(fine, "durability", settings+": a request returns once a standby has it ("+standbys+")", "")
	default:
		d.say(fine, "durability", settings+": a request returns once it is on this server's disk", "")
	}
	return true
}

// checkConnections looks at how many connections the server has left.
func (d *postgresServer) checkConnections(ctx context.Context) bool {
	var most, used int
	if !d.ask(ctx, "connections", `SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
		sum(numbackends)::int FROM pg_stat_database`, &most, &used) {
		return false
	}
	found := fmt.Sprintf("%d of %d are in use", used, most)
	do := fmt.Sprintf("each replica takes up to %d (pool_max_conns) and one to listen: raise max_connections, lower pool_max_conns, or put a PgBouncer between",
		d.config.MaxConns)
	switch left := most - used; {
	case left*10 < most:
		d.say(problem, "connections", found, do)
	case left*4 < most:
		d.say(note, "connections", found, do)
	default:
		d.say(fine, "connections", found, "")
	}
	return true
}

// deadRows are how many dead rows make a note: each report leaves one.
const deadRows = 10_000

// checkVacuum looks at whether dead rows are taken away.
func (d *postgresServer) checkVacuum(ctx context.Context) bool {
	var on bool
	var live, dead int64
	var size string
	if !d.ask(ctx, "vacuum", `SELECT current_setting('autovacuum') = 'on' AND current_setting('track_counts') = 'on'
			AND NOT 'autovacuum_enabled=false' = ANY(coalesce(c.reloptions, '{}')),
		s.n_live_tup, s.n_dead_tup, pg_size_pretty(pg_total_relation_size(s.relid))
		FROM pg_stat_all_tables AS s JOIN pg_class AS c ON c.oid = s.relid WHERE s.schemaname = 'commontrip' AND s.relname = 'breakers'`,
		&on, &live, &dead, &size) {
		return false
	}
	found := fmt.Sprintf("live rows of commontrip.breakers: %d, dead: %d, %s in all", live, dead, size)
	switch {
	case !on:
		d.say(problem, "vacuum", "autovacuum is off: the table grows with each report; "+found, "set autovacuum and track_counts to on, and autovacuum_enabled of the table")
	case dead > deadRows && dead > 10*live:
		d.say(note, "vacuum", found+": autovacuum does not keep up", "look for the oldest xact_start in pg_stat_activity, and for prepared transactions and "+
			"replication slots that nobody uses: they keep dead rows")
	default:
		d.say(fine, "vacuum", found, "")
	}
	return true
}

// checkLocks looks for requests that wait for a row, and for who holds it. Sessions of other users are seen only by members
// of pg_read_all_stats.
func (d *postgresServer) checkLocks(ctx context.Context) bool {
	var waiting, pid int
	var user, program, state string
	var waited, open time.Duration
	found := d.ask(ctx, "locks", `SELECT count(*) OVER (), clock_timestamp() - w.query_start, h.pid, coalesce(h.usename, ''), coalesce(h.application_name, ''),
			coalesce(h.state, 'unknown'), coalesce(clock_timestamp() - h.xact_start, '0')
		FROM pg_stat_activity AS w, unnest(pg_blocking_pids(w.pid)) AS by JOIN pg_stat_activity AS h ON h.pid = by
		WHERE w.datname = current_database() AND w.wait_event_type = 'Lock' AND w.query LIKE '%commontrip.breakers%'
			AND clock_timestamp() - w.query_start > interval '100 ms' ORDER BY 2 DESC LIMIT 1`,
		&waiting, &waited, &pid, &user, &program, &state, &open)
	if !found {
		d.say(fine, "locks", "no request waits for a row", "")
		return true
	}
	d.say(problem, "locks", fmt.Sprintf("requests that wait for a row: %d, the longest for %s; process %d (user %s, %s) holds it, %s, for %s",
		waiting, span(waited), pid, quote(user), quote(program), state, span(open)),
		fmt.Sprintf("if it is not a replica, end it: SELECT pg_terminate_backend(%d). Nothing but replicas may lock rows of commontrip.breakers", pid))
	return true
}

const aStandby = "this is a standby, or its transactions are read-only: put the primary into the URL, or target_session_attrs=read-write"

// adviceForPostgres says what to do about an error of PostgreSQL, "" if it is none.
func adviceForPostgres(err error) string {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	switch {
	case errors.Is(err, postgresstore.ErrTables):
		return "commontrip migrate, with a user who may create a schema"
	case !ok:
		return ""
	case strings.Contains(refused.Message, "recovery"):
		return aStandby
	}
	switch code := refused.Code; code {
	case "28P01", "28000":
		return "put user and password that the server knows into the URL, and see that pg_hba.conf lets this user come from here"
	case "3D000":
		return "make the database, or put the right one into the URL"
	case "53300":
		return "the server has no connection left: raise max_connections, lower pool_max_conns in the URLs, or put a PgBouncer between"
	case "42501":
		return "give the user the rights of deploy/postgres-rights.sql"
	case "42P01", "42703", "3F000":
		return "commontrip migrate, with a user who may create a schema"
	case "25006":
		return aStandby
	case "26000", "42P05":
		return "a pooler shares connections between transactions: add default_query_exec_mode=exec to the URL"
	case "55P03":
		return "somebody holds a row for long: see pg_blocking_pids in pg_stat_activity"
	case "53100":
		return "the server's disk is full"
	case "57P03", "57P01", "57P02":
		return "the server starts, stops or recovers: see its log, and try again"
	}
	return "see the server's log about " + refused.Code
}
