package redisstore

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/commontrip/commontrip/internal/limits"
	"github.com/commontrip/commontrip/store"
)

// Store keeps breakers in Redis. It implements [store.Store] and [store.Pinger]; all methods are safe for concurrent use.
type Store struct {
	settings
	keys     keys
	client   redis.UniversalClient
	owned    bool
	cluster  bool
	slots    [clusterLanes + 1]chan struct{} // exchanges in flight, a lane each
	index    index
	pushes   pushes
	failover *failover // nil: there are no Sentinels, or the client is the caller's

	pingAfter time.Duration // of silence on the channel

	closing sync.Once
	done    chan struct{} // closed by Close
}

var (
	_ store.Store  = (*Store)(nil)
	_ store.Pinger = (*Store)(nil)
)

// Open makes a Store with a client of its own, which Close closes. It does no I/O: a server that is down shows in the
// first exchange. See the package's doc for the forms of URL. No error, here or later, shows the URL's password.
func Open(url string, opts ...Option) (*Store, error) {
	set, err := newSettings(opts)
	if err != nil {
		return nil, err
	}
	client, failover, err := dial(url, set.timeout)
	if err != nil {
		return nil, err
	}
	s := newStore(client, true, set)
	s.failover = failover
	return s, nil
}

// New makes a Store over a client of yours, which Close leaves open. It does no I/O. Every exchange is bounded here,
// whatever the client's own timeouts and retries are, and nothing is sent twice but by a Cluster's redirections. A Ring is
// refused: a push on one of its shards reaches no subscriber of another. A nil client panics.
func New(client redis.UniversalClient, opts ...Option) (*Store, error) {
	if client == nil {
		panic("redisstore: New needs a client; it is nil")
	}
	if _, ok := client.(*redis.Ring); ok {
		return nil, errors.New("redisstore: client is a *redis.Ring; want a client of one server, of Sentinel or of a Cluster")
	}
	set, err := newSettings(opts)
	if err != nil {
		return nil, err
	}
	return newStore(client, false, set), nil
}

// newStore makes a Store over a client.
func newStore(client redis.UniversalClient, owned bool, set settings) *Store {
	_, cluster := client.(*redis.ClusterClient)
	s := &Store{
		settings: set, keys: keys{set.prefix}, client: client, owned: owned, cluster: cluster, done: make(chan struct{}),
		pingAfter: defaultPing,
	}
	for i := range s.slots {
		s.slots[i] = make(chan struct{}, inFlight)
	}
	return s
}

// Info says that this is Redis, and remote.
func (s *Store) Info() store.Info { return store.Info{Kind: "redis", Remote: true} }

// Close ends every Watch and makes the other methods return [store.ErrClosed]. It closes the client if Open made it.
func (s *Store) Close() error {
	var err error
	s.closing.Do(func() {
		close(s.done)
		if s.owned {
			err = s.client.Close()
			s.failover.close()
		}
	})
	return err
}

// closed reports that Close was called.
func (s *Store) closed() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// Ping asks the server for a sign of life; of a Cluster, one of its nodes. Nothing is known of the rights to keys and
// channels then.
func (s *Store) Ping(ctx context.Context) error {
	c := &call{args: []any{"ping"}}
	if err := s.do(ctx, 0, c); err != nil {
		return err
	}
	d := decoder{of: "ping"}
	if d.text("answer", c.reply) != "PONG" {
		d.fail("%.40q; want PONG", c.reply)
	}
	return d.err()
}

// do runs a single call.
func (s *Store) do(ctx context.Context, lane int, c *call) error {
	if err := s.exchange(ctx, lane, []*call{c}); err != nil {
		return err
	}
	return s.failure(c.err)
}

// failure is a command's error as the store's callers see it.
func (s *Store) failure(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, redis.Nil):
		return &ReplyError{Of: "a command", Problem: "nil"}
	case s.closed():
		return store.ErrClosed
	default:
		return &Error{err}
	}
}

// Error is what Redis, or the way to it, said. Unwrap gives the client's error.
type Error struct{ Err error }

func (e *Error) Error() string { return "redisstore: " + e.Err.Error() }

// Unwrap gives the client's error.
func (e *Error) Unwrap() error { return e.Err }

// drawSpread draws the spread of a claim, in ms.
func drawSpread() int { return rand.IntN(limits.MaxSpread + 1) }
