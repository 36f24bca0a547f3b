package postgresstore

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/commontrip/commontrip/store"
	storekit "github.com/commontrip/commontrip/store/kit"
)

// noContext is for what does no I/O, or is bounded by itself.
var noContext = context.Background()

// backend is [storekit.Backend] on PostgreSQL: a record is a row.
type backend struct {
	pool    *pgxpool.Pool
	owned   bool
	listen  *pgx.ConnConfig // of Follow
	fleet   string
	channel string
	begin   []string // statements that begin a step
	migrate bool
	ready   atomic.Bool // the tables are there
}

const (
	columns = "name, data, shown, generation, rev, expires"

	// The rows are locked in the order of their names, which is that of their bytes. A transaction that waited sees the newest row.
	lockRows = "SELECT " + columns + " FROM commontrip.breakers WHERE fleet = $1 AND name = ANY($2) ORDER BY name FOR UPDATE"

	// Not now(), which is when the transaction began, before it waited for locks.
	clock = "SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint"

	given  = "FROM unnest($2::text[], $3::bytea[], $4::boolean[], $5::bigint[], $6::bigint[], $7::bigint[]) AS given(" + columns + ")"
	update = `UPDATE commontrip.breakers AS held SET data = given.data, shown = given.shown, generation = given.generation,
		rev = given.rev, expires = given.expires ` + given + ` WHERE held.fleet = $1 AND held.name = given.name`
	insert = "INSERT INTO commontrip.breakers (fleet, " + columns + ") SELECT $1, " + columns + " " + given
	notify = "SELECT pg_notify($1, message) FROM unnest($2::text[]) AS message"

	readNames = "SELECT " + columns + " FROM commontrip.breakers WHERE fleet = $1 AND name = ANY($2)"
	readAll   = "SELECT " + columns + " FROM commontrip.breakers WHERE fleet = $1 AND shown"
	versions  = "SELECT name, generation, rev FROM commontrip.breakers WHERE fleet = $1 AND name = ANY($2) AND shown"

	// A row that a step holds is not over, and a sweep waits for nobody.
	sweep = `DELETE FROM commontrip.breakers WHERE (fleet, name) IN (SELECT fleet, name FROM commontrip.breakers
		WHERE fleet = $1 AND expires BETWEEN 1 AND $2 FOR UPDATE SKIP LOCKED)`
)

// beginStatement begins a step: it waits for a lock, and holds its own in silence, for no longer than the lock timeout.
func beginStatement(set settings) []string {
	ms := set.lockTimeout.Milliseconds()
	out := []string{
		"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
		fmt.Sprintf("SET LOCAL lock_timeout = %d", ms),
		fmt.Sprintf("SET LOCAL idle_in_transaction_session_timeout = %d", ms),
	}
	if set.asyncCommit {
		out = append(out, "SET LOCAL synchronous_commit = off")
	}
	return out
}

// Step implements [storekit.Backend].
func (b *backend) Step(ctx context.Context, names []string, judge storekit.Judge) error {
	return b.do(ctx, func(conn *pgx.Conn) error {
		for {
			err := b.try(ctx, conn, names, judge)
			if err == nil || !overtaken(err) || ctx.Err() != nil {
				return err
			}
		}
	})
}

// overtaken reports that another step came between: it made a row that this one wanted to make.
func overtaken(err error) bool {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (refused.Code == "23505" || refused.Code == "40001" || refused.Code == "40P01")
}

// try makes one transaction, in two round trips.
func (b *backend) try(ctx context.Context, conn *pgx.Conn, names []string, judge storekit.Judge) (err error) {
	defer func() {
		if err != nil && !conn.IsClosed() {
			_, _ = conn.Exec(ctx, "ROLLBACK")
		}
	}()
	now, held, err := b.lock(ctx, conn, names)
	if err != nil {
		return err
	}
	exists := make(map[string]bool, len(held))
	for _, r := range held {
		exists[r.Name] = true
	}
	effect := judge(now, held)
	var changed, made rows
	for _, r := range effect.Put {
		if exists[r.Name] {
			changed.add(r)
		} else {
			made.add(r)
		}
	}
	batch := &pgx.Batch{}
	changed.queue(batch, update, b.fleet)
	made.queue(batch, insert, b.fleet) // fails if another step has made the row since
	if len(effect.Push) > 0 {
		batch.Queue(notify, b.channel, texts(effect.Push))
	}
	batch.Queue("COMMIT")
	return conn.SendBatch(ctx, batch).Close()
}

// lock begins a transaction, locks rows, and reads the clock once it has them.
func (b *backend) lock(ctx context.Context, conn *pgx.Conn, names []string) (now int64, held []storekit.Record, err error) {
	batch := &pgx.Batch{}
	for _, statement := range b.begin {
		batch.Queue(statement)
	}
	if len(names) > 0 {
		queueRead(batch, &held, lockRows, b.fleet, names)
	}
	batch.Queue(clock).QueryRow(func(row pgx.Row) error { return row.Scan(&now) })
	err = conn.SendBatch(ctx, batch).Close()
	return now, held, err
}

// queueRead queues a query that reads records.
func queueRead(batch *pgx.Batch, into *[]storekit.Record, query string, args ...any) {
	batch.Queue(query, args...).Query(func(found pgx.Rows) error {
		for found.Next() {
			var r storekit.Record
			if err := found.Scan(&r.Name, &r.Data, &r.Shown, &r.Generation, &r.Rev, &r.Expires); err != nil {
				return err
			}
			*into = append(*into, r)
		}
		return found.Err()
	})
}

// rows are records as the columns of a query.
type rows struct {
	names                    []string
	data                     [][]byte
	shown                    []bool
	generation, rev, expires []int64
}

func (r *rows) add(record storekit.Record) {
	r.names, r.data, r.shown = append(r.names, record.Name), append(r.data, record.Data), append(r.shown, record.Shown)
	r.generation, r.rev = append(r.generation, int64(record.Generation)), append(r.rev, int64(record.Rev))
	r.expires = append(r.expires, record.Expires)
}

func (r *rows) queue(batch *pgx.Batch, query, fleet string) {
	if len(r.names) > 0 {
		batch.Queue(query, fleet, r.names, r.data, r.shown, r.generation, r.rev, r.expires)
	}
}

func texts(list [][]byte) []string {
	out := make([]string, len(list))
	for i, b := range list {
		out[i] = string(b)
	}
	return out
}

// Look implements [storekit.Backend]. What it shows is not newer than its clock.
func (b *backend) Look(ctx context.Context, names []string) (now int64, records []storekit.Record, err error) {
	err = b.do(ctx, func(conn *pgx.Conn) error {
		batch := &pgx.Batch{}
		if len(names) == 0 {
			queueRead(batch, &records, readAll, b.fleet)
		} else {
			queueRead(batch, &records, readNames, b.fleet, names)
		}
		batch.Queue(clock).QueryRow(func(row pgx.Row) error { return row.Scan(&now) })
		return conn.SendBatch(ctx, batch).Close()
	})
	return now, records, err
}

// Versions implements [storekit.Versioner].
func (b *backend) Versions(ctx context.Context, names []string) (out []store.Version, err error) {
	err = b.do(ctx, func(conn *pgx.Conn) error {
		found, err := conn.Query(ctx, versions, b.fleet, names)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(found, pgx.RowToStructByPos[store.Version])
		return err
	})
	return out, err
}

// Sweep implements [storekit.Backend].
func (b *backend) Sweep(ctx context.Context, now int64) error {
	return b.do(ctx, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, sweep, b.fleet, now)
		return err
	})
}

// Ping implements [store.Pinger].
func (b *backend) Ping(ctx context.Context) error {
	return b.do(ctx, func(conn *pgx.Conn) error { return conn.Ping(ctx) })
}

// do lends a connection, once the tables are there.
func (b *backend) do(ctx context.Context, exchange func(*pgx.Conn) error) error {
	conn, err := b.pool.Acquire(ctx)
	if err != nil {
		return wrap(err)
	}
	defer conn.Release()
	if !b.ready.Load() {
		if err := prepare(ctx, conn.Conn(), b.migrate); err != nil {
			return wrap(err)
		}
		b.ready.Store(true)
	}
	return wrap(exchange(conn.Conn()))
}

// Follow implements [storekit.Backend], over a connection of its own.
func (b *backend) Follow(ctx context.Context, ready func(), push func([]byte)) error {
	conn, err := pgx.ConnectConfig(ctx, b.listen)
	if err != nil {
		return wrap(err)
	}
	defer func() {
		closing, cancel := context.WithTimeout(noContext, time.Second)
		defer cancel()
		_ = conn.Close(closing)
	}()
	if _, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{b.channel}.Sanitize()); err != nil {
		return wrap(err)
	}
	ready()
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return wrap(err)
		}
		push([]byte(n.Payload))
	}
}

// Close implements [storekit.Backend].
func (b *backend) Close() error {
	if b.owned {
		b.pool.Close()
	}
	return nil
}
