package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/commontrip/commontrip/internal/lab/relay"
	redisstore "github.com/commontrip/commontrip/store/redis"
)

// redisSide is the Redis that the fleet shares: one in this process, or the one that REDIS_URL names. Replicas reach it
// by a relay that can be cut; the operator, who has a handle of his own, does not.
type redisSide struct {
	name     string
	embedded *miniredis.Miniredis // nil: REDIS_URL's
	relay    *relay.Relay
	upstream string // host:port
	url      string // by the relay
	prefix   string // a name space for this run alone
	operator *redisstore.Store
	ahead    time.Duration  // how much its clock is ahead of ours
	ends     []func() error // of what was opened, in that order
}

// openRedis gives a Redis that is to be closed even if there is an error.
func openRedis(ctx context.Context, at string) (r *redisSide, err error) {
	r = &redisSide{name: "the Redis of REDIS_URL", prefix: fmt.Sprintf("commontrip-demo-%08x", rand.Uint32())} //nolint:gosec // a name, no secret
	if at == "" {
		r.name = "a Redis in this process"
		if r.embedded, err = miniredis.Run(); err != nil {
			return r, fmt.Errorf("start %s: %w", r.name, err)
		}
		r.ends = append(r.ends, func() error { r.embedded.Close(); return nil })
		at = "redis://" + r.embedded.Addr()
	}
	by, err := url.Parse(at)
	opts, bad := redis.ParseURL(at)
	if err != nil || bad != nil || opts.TLSConfig != nil || opts.Network != "tcp" {
		return r, errors.New("REDIS_URL must be redis://host:port: the demo cuts the network to it, and cannot cut others")
	}
	r.upstream = opts.Addr
	if r.relay, err = relay.Start(r.upstream, nil); err != nil {
		return r, err
	}
	r.ends = append(r.ends, func() error { r.relay.Close(); return nil })
	by.Host = r.relay.Addr()
	r.url = by.String()
	if r.operator, err = redisstore.Open(at, redisstore.WithPrefix(r.prefix), redisstore.WithTimeout(patience)); err != nil {
		return r, err
	}
	r.ends = append(r.ends, r.operator.Close)
	err = r.connect(ctx, opts)
	return r, err
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
	r.ends = append(r.ends, client.Close, func() error { return r.sweep(client) })
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

// close ends it, and removes what this run left in a Redis that lives on.
func (r *redisSide) close() (err error) {
	for _, end := range slices.Backward(r.ends) {
		err = errors.Join(err, end())
	}
	return err
}

// sweep deletes all keys with this run's prefix: Remove would leave tombstones for a day, as a fleet needs them.
func (r *redisSide) sweep(client *redis.Client) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	keys := client.Scan(ctx, 0, r.prefix+"*", 1000).Iterator()
	for keys.Next(ctx) {
		if err := client.Unlink(ctx, keys.Val()).Err(); err != nil {
			return err
		}
	}
	return keys.Err()
}
