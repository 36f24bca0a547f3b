package main

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// isPostgres reports that a URL is of a store in PostgreSQL.
func isPostgres(rawURL string) bool {
	scheme, _, _ := strings.Cut(strings.ToLower(rawURL), ":")
	return scheme == "postgres" || scheme == "postgresql"
}

// postgresConfig reads a URL that postgresstore.Open has accepted, for what the store does not ask a server. listen is the URL
// for LISTEN, "" if it is the same.
func postgresConfig(rawURL string) (config *pgxpool.Config, listen string, err error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, "", errors.New("the URL does not parse") // err quotes it
	}
	query := u.Query()
	listen = query.Get(listenURL)
	query.Del(listenURL)
	u.RawQuery = query.Encode()
	config, err = pgxpool.ParseConfig(u.String())
	return config, listen, err
}

// unprepared connects in a way that works behind any pooler.
func unprepared(ctx context.Context, config *pgx.ConnConfig) (*pgx.Conn, error) {
	config = config.Copy()
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	return pgx.ConnectConfig(ctx, config)
}

// prefixesInPostgres lists the name spaces that hold breakers, as far as this user may look.
func prefixesInPostgres(ctx context.Context, rawURL string) []string {
	config, _, err := postgresConfig(rawURL)
	if err != nil {
		return nil
	}
	conn, err := unprepared(ctx, config.ConnConfig)
	if err != nil {
		return nil
	}
	defer conn.Close(ctx)
	rows, _ := conn.Query(ctx, "SELECT DISTINCT fleet FROM commontrip.breakers WHERE shown") // CollectRows has the error, too
	found, _ := pgx.CollectRows(rows, pgx.RowTo[string])
	slices.Sort(found)
	return found
}
