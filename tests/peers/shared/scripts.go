package shared

import (
	"context"
	"errors"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/commontrip/commontrip/tests/redistest"
)

// The breaker that one would write by hand: a script before each call and one after it, over one hash. It does what it
// should: the server's clock, one probe at a time with an end of its own, results of an earlier round ignored.
var (
	// KEYS[1] hash; ARGV[1] how long a probe may take, ms. Returns the round, or -1 to refuse.
	allow = redis.NewScript(`
local f = redis.call('HMGET', KEYS[1], 'state', 'until', 'probe', 'round')
local round = tonumber(f[4]) or 0
if f[1] ~= 'open' then return round end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
if now < tonumber(f[2]) or now < (tonumber(f[3]) or 0) then return -1 end
redis.call('HSET', KEYS[1], 'probe', now + ARGV[1])
return round`)

	// KEYS[1] hash; ARGV[1] round, ARGV[2] 1 if it failed, ARGV[3] failures that open, ARGV[4] for how long, ms.
	record = redis.NewScript(`
local f = redis.call('HMGET', KEYS[1], 'state', 'row', 'round')
local round = tonumber(f[3]) or 0
redis.call('HINCRBY', KEYS[1], 'calls', 1)
if tonumber(ARGV[1]) ~= round then return 0 end
if ARGV[2] == '0' then
  if f[1] == 'open' then
    redis.call('HSET', KEYS[1], 'state', 'closed', 'row', 0, 'probe', 0, 'round', round + 1)
  elseif f[2] ~= '0' then
    redis.call('HSET', KEYS[1], 'row', 0)
  end
  return 0
end
local row = (tonumber(f[2]) or 0) + 1
if f[1] == 'open' or row >= tonumber(ARGV[3]) then
  local t = redis.call('TIME')
  local now = t[1] * 1000 + math.floor(t[2] / 1000)
  redis.call('HSET', KEYS[1], 'state', 'open', 'until', now + ARGV[4], 'row', 0, 'probe', 0, 'round', round + 1)
  return 1
end
redis.call('HSET', KEYS[1], 'row', row)
return 0`)
)

func openScripts(t testing.TB, srv *redistest.Server, n int) (r replicas) {
	const key, lease = "breaker:" + name, 30_000
	var client *redis.Client
	for range n {
		client = newClient(t, srv)
		r.guards = append(r.guards, func(fn func() error) error {
			ctx, keys := context.Background(), []string{key}
			round, err := allow.Run(ctx, client, keys, lease).Int()
			switch {
			case err != nil:
				return err
			case round < 0:
				return errRefused
			}
			err = fn()
			failed := 0
			if err != nil {
				failed = 1
			}
			return errors.Join(err, record.Run(ctx, client, keys, round, failed, five, rest.Milliseconds()).Err())
		})
	}
	r.counted = func(t testing.TB) uint64 {
		n, err := client.HGet(context.Background(), key, "calls").Uint64()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return r
}
