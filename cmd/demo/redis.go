package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	redisstore "github.com/commontrip/commontrip/store/redis"
)

// openRedis opens the Redis at a URL, or one in this process without a URL.
func (s *sharedStore) openRedis(ctx context.Context, at string) error {
	s.name, s.product = "the Redis of REDIS_URL", "Redis"
	if at == "" {
		s.name = "a Redis in this process"
		embedded, err := miniredis.Run()
		if err != nil {
			return fmt.Errorf("start %s: %w", s.name, err)
		}
		s.forget = embedded.FlushAll
		s.ends = append(s.ends, func() error { embedded.Close(); return nil })
		at = "redis://" + embedded.Addr()
	}
	by, err := url.Parse(at)
	opts, bad := redis.ParseURL(at)
	if err != nil || bad != nil || opts.TLSConfig != nil || opts.Network != "tcp" {
		return errors.New("REDIS_URL must be redis://host:port: the demo cuts the network to it, and cannot cut others")
	}
	if err := s.between(opts.Addr); err != nil {
		return err
	}
	by.Host = s.relay.Addr()
	s.url = by.String()
	operator, err := redisstore.Open(at, redisstore.WithPrefix(s.prefix), redisstore.WithTimeout(patience))
	if err != nil {
		return err
	}
	s.operator = operator
	client := redis.NewClient(opts)
	s.ends = append(s.ends, operator.Close, client.Close)
	if err := s.compare(func() (time.Time, error) { return client.Time(ctx).Result() }); err != nil {
		return err
	}
	s.ends = append(s.ends, func() error { return sweepRedis(client, s.prefix) })
	return nil
}

// sweepRedis deletes all keys with this run's prefix: Remove would leave tombstones for a day, as a fleet needs them.
func sweepRedis(client *redis.Client, prefix string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	keys := client.Scan(ctx, 0, prefix+"*", 1000).Iterator()
	for keys.Next(ctx) {
		if err := client.Unlink(ctx, keys.Val()).Err(); err != nil {
			return err
		}
	}
	return keys.Err()
}
