// Package postgresstore keeps the fleet's verdict in PostgreSQL 13 or later. It is for fleets that have a PostgreSQL and no
// Redis. It is slower than package redisstore by an order of magnitude: measure before you give it a big fleet.
//
//	fleet, err := postgresstore.Open("postgres://app:secret@db:5432/app", postgresstore.WithPrefix("payments-prod"))
//	defer fleet.Close()
//	m, err := breaker.NewManager(fleet)
//
// # How it works
//
// A breaker is one row of commontrip.breakers. A request locks its rows, reads the server's clock, lets the state machine of
// package storekit judge, and writes, in one transaction of two round trips. The lock is held between the two. Reports that
// a replica sends together are one transaction. Transitions are pushed by NOTIFY, and Watch has a connection of its own that
// LISTENs.
//
// # Tables
//
// The tables are made by [Migrate], by "commontrip migrate", or by a Store itself if [WithMigrate] says so. They stand in the
// schema commontrip, so that no search_path matters. Releases share them: a migration only adds, and older releases go on.
// What a service's own user must be allowed stands in deploy/postgres-rights.sql.
//
// # URLs
//
// A URL is postgres://user:password@host:port/database or postgresql://..., with the parameters of pgx and of its pool
// (sslmode, pool_max_conns, ...).
//
// Behind a PgBouncer that shares connections between transactions, statements cannot be prepared and LISTEN hears nothing. Add
// default_query_exec_mode=exec to the URL, and give the server's own URL to [WithListenURL], or as the parameter
// listen_url of the URL.
//
// # When PostgreSQL fails
//
// An error is an [*Error] that holds the driver's, or the context's. Any request may be sent again. Nothing waits for ever: a
// request waits for another one's rows for the lock timeout ([WithLockTimeout]), and a client that freezes in the middle of a
// request is thrown out by the server after the same time. No error shows a password. The package logs nothing.
package postgresstore
