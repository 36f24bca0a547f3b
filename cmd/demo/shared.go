package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"github.com/commontrip/commontrip/internal/lab/relay"
	"github.com/commontrip/commontrip/store"
)

// sharedStore is what the fleet shares: a Redis in this process, the one that REDIS_URL names, or the PostgreSQL that DATABASE_URL
// names. Replicas reach it by a relay that can be cut; the operator, who has a handle of his own, does not.
type sharedStore struct {
	name     string // of this one, in a sentence
	product  string // "Redis" or "PostgreSQL"
	forget   func() // makes it forget everything; nil: it is not the demo's own
	relay    *relay.Relay
	upstream string // host:port
	url      string // by the relay
	prefix   string // a name space for this run alone
	operator store.Store
	ahead    time.Duration  // how much its clock is ahead of ours
	ends     []func() error // of what was opened, in that order
}

// openShared gives the store that the environment names. It is to be closed even if there is an error.
func openShared(ctx context.Context) (s *sharedStore, err error) {
	s = &sharedStore{prefix: fmt.Sprintf("commontrip-demo-%08x", rand.Uint32())} //nolint:gosec // a name, no secret
	redisURL, databaseURL := os.Getenv("REDIS_URL"), os.Getenv("DATABASE_URL")
	switch {
	case redisURL != "" && databaseURL != "":
		return s, errors.New("REDIS_URL and DATABASE_URL are both set; want one of them")
	case databaseURL != "":
		err = s.openPostgres(ctx, databaseURL)
	default:
		err = s.openRedis(ctx, redisURL)
	}
	return s, err
}

// between puts the relay before the server.
func (s *sharedStore) between(upstream string) (err error) {
	s.upstream = upstream
	if s.relay, err = relay.Start(upstream, nil); err != nil {
		return err
	}
	s.ends = append(s.ends, func() error { s.relay.Close(); return nil })
	return nil
}

// compare learns how far the server's clock, which dates transitions, is from this machine's.
func (s *sharedStore) compare(clock func() (time.Time, error)) error {
	best := time.Hour
	for range 5 {
		asked := time.Now()
		theirs, err := clock()
		if err != nil {
			return fmt.Errorf("ask %s for its time: %w", s.product, err)
		}
		if took := time.Since(asked); took < best {
			best, s.ahead = took, theirs.Sub(asked.Add(took/2))
		}
	}
	return nil
}

// hang makes every byte between replicas and the server wait: connections stay, nothing answers.
func (s *sharedStore) hang() { s.relay.Hold(relay.Both) }

// lose ends all connections of the replicas. A server of the demo's own forgets everything, as a Redis without persistence does
// that is started again.
func (s *sharedStore) lose() {
	s.relay.To("")
	if s.forget != nil {
		s.forget()
	}
}

// heal lets replicas reach the server again.
func (s *sharedStore) heal() {
	s.relay.Hold(0)
	s.relay.To(s.upstream)
}

// close ends it, and removes what this run left in a server that lives on.
func (s *sharedStore) close() (err error) {
	for _, end := range slices.Backward(s.ends) {
		err = errors.Join(err, end())
	}
	return err
}
