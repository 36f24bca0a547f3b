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

	redisstore "github.com/commontrip/commontrip/store/redis"
)

// redisSide is the Redis that the fleet shares: one in this process, or the one that REDIS_URL names. Replicas reach it
// by a wire that can be cut; the operator, who has a handle of his own, does not.
type redisSide struct {
	embedded *miniredis.Miniredis // nil: REDIS_URL's
	wire     *wire
	url      string // by the wire
	prefix   string // a name space for this run alone
	operator *redisstore.Store
	client   *redis.Client // past the store; nil for the one in this process
	ahead    time.Duration // how much its clock is ahead of ours
}

func openRedis(ctx context.Context, given string) (*redisSide, error) {
	r := &redisSide{prefix: fmt.Sprintf("commontrip-demo-%08x", rand.Uint32())} //nolint:gosec // a name, no secret
	if given == "" {
		r.embedded = miniredis.NewMiniRedis()
		if err := r.embedded.StartAddr("127.0.0.1:0"); err != nil {
			return nil, fmt.Errorf("start the embedded Redis: %w", err)
		}
		given = "redis://" + r.embedded.Addr()
	}
	if err := r.connect(ctx, given); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (r *redisSide) connect(ctx context.Context, direct string) error {
	to, err := url.Parse(direct)
	if err != nil || to.Scheme != "redis" || to.Hostname() == "" {
		return errors.New("REDIS_URL must be redis://host:port: the demo cuts the network to it, and cannot cut others")
	}
	upstream := to.Host
	if to.Port() == "" {
		upstream += ":6379"
	}
	if r.wire, err = newWire(upstream); err != nil {
		return err
	}
	by := *to
	by.Host = r.wire.addr
	r.url = by.String()
	if r.operator, err = redisstore.Open(direct, redisstore.WithPrefix(r.prefix), redisstore.WithTimeout(patience)); err != nil {
		return err
	}
	if err := r.operator.Ping(ctx); err != nil {
		return fmt.Errorf("redis at %s does not answer: %w", upstream, err)
	}
	return r.compareClocks(ctx, direct)
}

// compareClocks learns how far the clock of Redis, which dates transitions, is from this machine's. A Redis in this
// process has the same.
func (r *redisSide) compareClocks(ctx context.Context, direct string) error {
	if r.embedded != nil {
		return nil
	}
	opts, err := redis.ParseURL(direct)
	if err != nil {
		return errors.New("REDIS_URL cannot be read")
	}
	r.client = redis.NewClient(opts)
	best := time.Hour
	for range 5 {
		asked := time.Now()
		theirs, err := r.client.Time(ctx).Result()
		if err != nil {
			return fmt.Errorf("ask Redis for its time: %w", err)
		}
		if took := time.Since(asked); took < best {
			best, r.ahead = took, theirs.Sub(asked.Add(took/2))
		}
	}
	return nil
}

// lose makes an embedded Redis forget everything, as one without persistence does that is started anew.
func (r *redisSide) lose() {
	if r.embedded != nil {
		r.embedded.FlushAll()
	}
}

// String says which Redis it is, without its password.
func (r *redisSide) String() string {
	if r.embedded != nil {
		return "a Redis in this process"
	}
	return "the Redis of REDIS_URL"
}

// Close ends it, and removes what this run left in a Redis that lives on.
func (r *redisSide) Close() error {
	var errs []error
	if r.operator != nil {
		errs = append(errs, r.operator.Close())
	}
	if r.client != nil {
		errs = append(errs, r.sweep(), r.client.Close())
	}
	if r.wire != nil {
		r.wire.cut()
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

// doing says whether replicas reach it.
func (r *redisSide) doing(i ink) string {
	if how := r.wire.doing(); how != flows {
		return i.red(how)
	}
	return i.green(flows)
}
