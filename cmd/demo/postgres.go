package main

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	postgresstore "github.com/commontrip/commontrip/store/postgres"
)

// openPostgres opens the PostgreSQL at a URL, and makes the tables there that are missing.
func (s *sharedStore) openPostgres(ctx context.Context, at string) error {
	s.name, s.product = "the PostgreSQL of DATABASE_URL", "PostgreSQL"
	by, err := url.Parse(at)
	if err != nil || by.Host == "" || strings.Contains(by.Host, ",") || by.Query().Has("listen_url") {
		return errors.New("DATABASE_URL must be postgres://host:port/database: the demo cuts the network to it, and cannot cut others")
	}
	operator, err := postgresstore.Open(at, postgresstore.WithPrefix(s.prefix), postgresstore.WithTimeout(patience))
	if err != nil {
		return err
	}
	s.operator = operator
	s.ends = append(s.ends, operator.Close)
	config, err := pgxpool.ParseConfig(at)
	if err != nil {
		return err
	}
	if tls := config.ConnConfig.TLSConfig; tls != nil && !tls.InsecureSkipVerify {
		return errors.New("DATABASE_URL asks for the server's name (sslmode=verify-full), and the demo's relay has another; want sslmode=require")
	}
	if _, _, err := postgresstore.Migrate(ctx, at); err != nil {
		return err
	}
	if err := s.between(net.JoinHostPort(config.ConnConfig.Host, strconv.Itoa(int(config.ConnConfig.Port)))); err != nil {
		return err
	}
	by.Host = s.relay.Addr()
	s.url = by.String()
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	s.ends = append(s.ends, func() error { pool.Close(); return nil }, func() error { return sweepPostgres(pool, s.prefix) })
	return s.compare(func() (now time.Time, err error) {
		err = pool.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&now)
		return now, err
	})
}

// sweepPostgres deletes this run's rows.
func sweepPostgres(pool *pgxpool.Pool, prefix string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, err := pool.Exec(ctx, "DELETE FROM commontrip.breakers WHERE fleet = $1", prefix)
	return err
}
