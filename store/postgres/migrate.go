package postgresstore

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// ErrTables: the database lacks tables, or columns, that this release needs.
var ErrTables = errors.New("the tables are missing or old; run commontrip migrate")

// The migrations, in order. A release adds one and changes none. Older releases must go on after it.
//
//go:embed migrations/*.sql
var migrationFiles embed.FS

// migrations are their texts, and migrationNames their names; the first has number 1.
var migrations, migrationNames = func() (texts, names []string) {
	files, err := fs.Glob(migrationFiles, "migrations/*.sql")
	if err != nil {
		panic(err) // the pattern is constant and well formed
	}
	for i, file := range files {
		text, err := migrationFiles.ReadFile(file)
		if err != nil || !strings.HasPrefix(file, fmt.Sprintf("migrations/%04d_", i+1)) {
			panic(fmt.Sprintf("postgresstore: %s is not migration %d: %v", file, i+1, err))
		}
		texts, names = append(texts, string(text)), append(names, strings.TrimSuffix(path.Base(file), ".sql"))
	}
	return texts, names
}()

// migrating is the lock that keeps migrations apart.
const migrating = "SELECT pg_advisory_xact_lock(hashtextextended('commontrip.migrations', 0))"

// tableThere reads the catalogue as a table. A lookup of the name alone may remember that it was not there, from before a wait.
const tableThere = "SELECT EXISTS (SELECT FROM pg_catalog.pg_tables WHERE schemaname = 'commontrip' AND tablename = 'migrations')"

// Migrate makes the tables what this release needs, or leaves them as they are. All that is missing is done in one
// transaction, or nothing. It gives the versions before and after. The URL's user must be allowed to create a schema, or to
// own it.
func Migrate(ctx context.Context, url string) (from, to int, err error) {
	err = once(ctx, url, func(conn *pgx.Conn) error {
		from, to, err = migrate(ctx, conn)
		return err
	})
	return from, to, err
}

// Missing names the migrations that this release needs and the database lacks, in order. It changes nothing.
func Missing(ctx context.Context, url string) (names []string, err error) {
	err = once(ctx, url, func(conn *pgx.Conn) error {
		n, err := version(ctx, conn)
		names = migrationNames[min(n, len(migrations)):]
		return err
	})
	return names, err
}

// once makes a connection for one exchange.
func once(ctx context.Context, url string, exchange func(*pgx.Conn) error) error {
	config, _, err := parse(url, defaultTimeout)
	if err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return wrap(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	return wrap(exchange(conn))
}

// migrate does what is missing.
func migrate(ctx context.Context, conn *pgx.Conn) (from, to int, err error) {
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, migrating); err != nil {
			return err
		}
		if from, err = version(ctx, tx); err != nil {
			return err
		}
		for to = from; to < len(migrations); to++ {
			if _, err := tx.Exec(ctx, migrations[to]); err != nil {
				return fmt.Errorf("migration %d: %w", to+1, err)
			}
			if _, err := tx.Exec(ctx, "INSERT INTO commontrip.migrations (version) VALUES ($1)", to+1); err != nil {
				return err
			}
		}
		return nil
	})
	return from, to, err
}

// querier is a connection or a transaction.
type querier interface {
	QueryRow(ctx context.Context, query string, args ...any) pgx.Row
}

// version is how far the database was migrated; 0: not at all.
func version(ctx context.Context, q querier) (n int, err error) {
	var there bool
	if err := q.QueryRow(ctx, tableThere).Scan(&there); err != nil || !there {
		return 0, err
	}
	err = q.QueryRow(ctx, "SELECT coalesce(max(version), 0) FROM commontrip.migrations").Scan(&n)
	return n, err
}

// prepare checks that the tables are what this release needs, and makes them so if it may. Those of a newer release are.
func prepare(ctx context.Context, conn *pgx.Conn, may bool) error {
	n, err := version(ctx, conn)
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == "42501" {
		return fmt.Errorf("%w, and let this user use the schema (deploy/postgres-rights.sql)", err)
	}
	if err != nil || n >= len(migrations) {
		return err
	}
	if may {
		_, _, err := migrate(ctx, conn)
		return err
	}
	return fmt.Errorf("postgresstore: %w (they are at version %d, this release needs %d)", ErrTables, n, len(migrations))
}
