package postgresstore

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/commontrip/commontrip/store"
	storekit "github.com/commontrip/commontrip/store/kit"
)

// Store keeps breakers in PostgreSQL. It is a [storekit.Store], and safe for concurrent use.
type Store struct {
	*storekit.Store
	backend *backend
}

var (
	_ store.Store  = (*Store)(nil)
	_ store.Pinger = (*Store)(nil)
	_ store.Pooled = (*Store)(nil)
)

// Open makes a Store with a pool of connections of its own, which Close closes. It does no I/O: a server that is down, or has
// no tables, shows in the first exchange. See the package's doc for the forms of URL.
func Open(url string, opts ...Option) (*Store, error) {
	set, err := newSettings(opts)
	if err != nil {
		return nil, err
	}
	config, listenURL, err := parse(url, set.timeout)
	if err != nil {
		return nil, err
	}
	if set.listenURL == "" {
		set.listenURL = listenURL
	}
	listen, err := set.listener(config.ConnConfig)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(noContext, config)
	if err != nil {
		return nil, &Error{err}
	}
	return newStore(&backend{pool: pool, owned: true, listen: listen}, set)
}

// New makes a Store over a pool of yours, which Close leaves open. It does no I/O. A nil pool panics.
func New(pool *pgxpool.Pool, opts ...Option) (*Store, error) {
	if pool == nil {
		panic("postgresstore: New needs a pool; it is nil")
	}
	set, err := newSettings(opts)
	if err != nil {
		return nil, err
	}
	listen, err := set.listener(pool.Config().ConnConfig)
	if err != nil {
		return nil, err
	}
	return newStore(&backend{pool: pool, listen: listen}, set)
}

// listener is how Watch connects: as all others do, unless it has a URL of its own.
func (s *settings) listener(others *pgx.ConnConfig) (*pgx.ConnConfig, error) {
	if s.listenURL == "" {
		return others.Copy(), nil
	}
	config, _, err := parse(s.listenURL, s.timeout)
	if err != nil {
		return nil, fmt.Errorf("%w (the URL for Watch)", err)
	}
	return config.ConnConfig, nil
}

// Connections implements [store.Pooled]: those of the pool.
func (s *Store) Connections() store.Connections {
	n := s.backend.pool.Stat()
	return store.Connections{InUse: int(n.AcquiredConns()), Idle: int(n.IdleConns()), Most: int(n.MaxConns()), Waits: uint64(n.EmptyAcquireCount())}
}

// newStore makes a Store of a back end that lacks its settings only.
func newStore(b *backend, set settings) (*Store, error) {
	b.fleet, b.channel, b.migrate = set.prefix, channelPrefix+set.prefix, set.migrate
	b.begin = beginStatement(set)
	kit, err := storekit.New(b, set.kit...)
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return &Store{kit, b}, nil
}

// Error is what PostgreSQL, or the way to it, said. Unwrap gives the driver's error.
type Error struct{ Err error }

func (e *Error) Error() string { return "postgresstore: " + e.Err.Error() }

// Unwrap gives the driver's error.
func (e *Error) Unwrap() error { return e.Err }

// wrap makes an Error of what is none yet.
func wrap(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*Error](err); ok || errors.Is(err, ErrTables) {
		return err
	}
	return &Error{err}
}
