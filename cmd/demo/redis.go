package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/commontrip/commontrip/internal/lab/relay"
	redisstore "github.com/commontrip/commontrip/store/redis"
)

// redisSide is the Redis that the fleet shares: one in this process, or the one that REDIS_URL names. Replicas reach it
// by a relay that can be cut; the operator, who has a handle of his own, does not.
type redisSide struct {
	embedded *miniredis.Miniredis // nil: REDIS_URL's
	relay    *relay.Relay
	upstream string // host:port
	url      string // by the relay
	prefix   string // a name space for this run alone
	operator *redisstore.Store
	client   *redis.Client // past the store
	ahead    time.Duration // how much its clock is ahead of ours
}

func openRedis(ctx context.Context, at string) (r *redisSide, err error) {
	r = &redisSide{prefix: fmt.Sprintf("commontrip-demo-%08x", rand.Uint32())} //nolint:gosec // a name, no secret
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	if at == "" {
		if r.embedded, err = miniredis.Run(); err != nil {
			return r, fmt.Errorf("start the embedded Redis: %w", err)
		}
		at = "redis://" + r.embedded.Addr()
	}
	opts, err := redis.ParseURL(at)
	if err != nil || opts.TLSConfig != nil || opts.Network != "tcp" {
		return r, errors.New("REDIS_URL must be redis://host:port: the demo cuts the network to it, and cannot cut others")
	}
	r.upstream = opts.Addr
	if r.relay, err = relay.Start(r.upstream, nil); err != nil {
		return r, err
	}
	by, err := url.Parse(at)
	if err != nil {
		return r, err
	}
	by.Host = r.relay.Addr()
	r.url = by.String()
	if r.operator, err = redisstore.Open(at, redisstore.WithPrefix(r.prefix), redisstore.WithTimeout(patience)); err != nil {
		return r, err
	}
	return r, r.connect(ctx, opts)
}

// connect learns how far the clock of Redis, which dates transitions, is from this machine's.
func (r *redisSide) connect(ctx context.Context, opts *redis.Options) error {
	client, best := redis.NewClient(opts), time.Hour
	for range 5 {
		asked := time.Now()
		theirs, err := client.Time(ctx).Result()
		if err != nil {
			return errors.Join(fmt.Errorf("ask Redis for its time: %w", err), client.Close())
		}
		if took := time.Since(asked); took < best {
			best, r.ahead = took, theirs.Sub(asked.Add(took/2))
		}
	}
	r.client = client
	return nil
}

// hang makes every byte between replicas and Redis wait: connections stay, nothing answers.
func (r *redisSide) hang() { r.relay.Hold(relay.Both) }

// lose ends all connections of the replicas. An embedded Redis forgets everything, as one without persistence does that is
// started again.
func (r *redisSide) lose() {
	r.relay.To("")
	if r.embedded != nil {
		r.embedded.FlushAll()
	}
}

// heal lets replicas reach Redis again.
func (r *redisSide) heal() {
	r.relay.Hold(0)
	r.relay.To(r.upstream)
}

// String says which Redis it is, without its password.
func (r *redisSide) String() string {
	if r.embedded != nil {
		return "a Redis in this process"
	}
	return "the Redis of REDIS_URL"
}

// close ends it, and removes what this run left in a Redis that lives on.
func (r *redisSide) close() error {
	var errs []error
	if r.operator != nil {
		errs = append(errs, r.operator.Close())
	}
	if r.client != nil {
		errs = append(errs, r.sweep(), r.client.Close())
	}
	if r.relay != nil {
		r.relay.Close()
	}
	if r.embedded != nil {
		r.embedded.Close()
	}
	return errors.Join(errs...)
}

// sweep deletes all keys with this run's prefix: Remove would leave tombstones for a day, as a fleet needs them.
func (r *redisSide) sweep() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	keys := r.client.Scan(ctx, 0, r.prefix+"*", 1000).Iterator()
	for keys.Next(ctx) {
		if err := r.client.Unlink(ctx, keys.Val()).Err(); err != nil {
			return err
		}
	}
	return keys.Err()
}
