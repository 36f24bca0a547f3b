package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/commontrip/commontrip/internal/limits"
	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
)

// laneSlots is how many of a Cluster's slots make a lane.
const laneSlots = 512

// redisServer is the doctor's side of Redis.
type redisServer struct {
	*doctor
	redis   *redisstore.Store
	client  redis.UniversalClient
	allowed bool // to send all that the store sends
}

func newRedisServer(d *doctor) (server, error) {
	s, ok := d.store.(*redisstore.Store)
	if !ok {
		return nil, errors.New("it is none of Redis")
	}
	client, err := dial(d.set.url.value, d.app.flags.timeout)
	if err != nil {
		return nil, err
	}
	return &redisServer{doctor: d, redis: s, client: client}, nil
}

func (d *redisServer) close() { _ = d.client.Close() }

func (d *redisServer) ping(ctx context.Context) error { return d.store.Ping(ctx) }

func (d *redisServer) checks() []func(context.Context) bool {
	return []func(context.Context) bool{d.checkServers, d.checkRights, d.checkScripts, d.checkPush, d.sweep}
}

// names implements server: they stand in the index.
func (d *redisServer) names(ctx context.Context) ([]string, error) {
	return d.client.SMembers(ctx, d.set.prefix.value+":names").Result()
}

// checkServers looks at each server's version, eviction and clock.
func (d *redisServer) checkServers(ctx context.Context) bool {
	nodes, err := nodesOf(ctx, d.client)
	if err != nil {
		d.say(problem, "servers", err.Error(), adviceFor(err))
		return false
	}
	for _, n := range nodes {
		d.checkClock(ctx, n)
		text, err := n.client.Info(ctx).Result()
		info := infoOf(text)
		if err != nil || info["redis_version"] == "" {
			d.say(note, n.name, "this user may not see version and eviction policy",
				"ask for them as an administrator: INFO server, CONFIG GET maxmemory-policy")
			continue
		}
		d.checkVersion(n, info)
		d.checkEviction(n, info)
	}
	return true
}

func infoOf(text string) map[string]string {
	info := map[string]string{}
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			info[key] = value
		}
	}
	return info
}

func (d *redisServer) checkVersion(n node, info map[string]string) {
	version := info["redis_version"]
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	x, _ := strconv.Atoi(major)
	y, _ := strconv.Atoi(minor)
	product := "Redis "
	if info["valkey_version"] != "" {
		product, version = "Valkey ", info["valkey_version"]
	}
	if x < 6 || x == 6 && y < 2 {
		d.say(problem, n.name, product+version, "upgrade to Redis 6.2 or later, or Valkey")
	} else {
		d.say(fine, n.name, product+version, "")
	}
}

func (d *redisServer) checkEviction(n node, info map[string]string) {
	policy, limit, evicted := info["maxmemory_policy"], info["maxmemory"], info["evicted_keys"]
	const set = "set maxmemory-policy to noeviction: an evicted breaker comes back, but without its window and totals"
	switch {
	case policy == "noeviction":
		d.say(fine, "eviction", n.name+": noeviction", "")
	case limit == "0":
		d.say(note, "eviction", fmt.Sprintf("%s: %s, but no maxmemory, so that nothing is evicted", n.name, policy), "before you set maxmemory: "+set)
	case evicted != "" && evicted != "0":
		d.say(problem, "eviction", fmt.Sprintf("%s: %s, and %s keys were evicted", n.name, policy, evicted), set)
	default:
		d.say(problem, "eviction", fmt.Sprintf("%s: %s", n.name, policy), set)
	}
}

// checkClock compares with this machine's clock, half a round trip ago.
func (d *redisServer) checkClock(ctx context.Context, n node) {
	begun := time.Now()
	there, err := n.client.Time(ctx).Result()
	if err != nil {
		d.say(problem, "clock", n.name+": "+err.Error(), adviceFor(err))
		return
	}
	d.sayClock(n.name, there.Sub(begun.Add(time.Since(begun)/2)))
}

// sweep takes the names of breakers that are gone out of the index.
func (d *redisServer) sweep(ctx context.Context) bool {
	gone, err := d.redis.Sweep(ctx)
	if gone > 0 {
		d.say(fine, "index", fmt.Sprintf("names of breakers that are gone, now taken out: %d", gone), "")
	}
	return err == nil
}

// place implements server.
func (d *redisServer) place(name string) string {
	lane := d.store.Lane(name)
	if _, cluster := d.client.(*redis.ClusterClient); !cluster {
		return fmt.Sprintf("lane %d", lane)
	}
	return fmt.Sprintf("lane %d (slots %d-%d)", lane, lane*laneSlots, (lane+1)*laneSlots-1)
}

// forget implements server.
func (d *redisServer) forget(name string) string {
	return "UNLINK " + shell(keyOf(d.set.prefix.value, name))
}

// checkForms implements server: it reads the schema of each hash, in one exchange.
func (d *redisServer) checkForms(ctx context.Context, breakers []store.Snapshot) bool {
	if len(breakers) == 0 {
		return true
	}
	pipe := d.client.Pipeline()
	for _, s := range breakers {
		pipe.HGet(ctx, keyOf(d.set.prefix.value, s.Name), "v")
	}
	replies, _ := pipe.Exec(ctx) // each has its own error
	for i, reply := range replies {
		text, err := reply.(*redis.StringCmd).Result()
		switch {
		case err == nil:
			d.checkSchema("breaker "+quote(breakers[i].Name), text)
		case !errors.Is(err, redis.Nil) && !strings.Contains(err.Error(), "WRONGTYPE"): // gone meanwhile, or told as unreadable
			d.say(problem, "breakers", "not all looked at: "+err.Error(), adviceFor(err))
			return false
		}
	}
	return true
}

// checkSchema compares how the breaker lies in its hash with what the scripts of this program write.
func (d *redisServer) checkSchema(check, text string) {
	there, err := strconv.Atoi(text)
	switch {
	case err != nil:
		d.say(problem, check, "its schema is "+strconv.Quote(text), "see what else writes under this prefix; UNLINK the key, and replicas bring back what they know")
	case there > limits.Schema:
		d.say(problem, check, fmt.Sprintf("schema %d, newer than this program's %d", there, limits.Schema), "upgrade this program, and each replica that is older")
	case there < limits.Schema:
		d.say(note, check, fmt.Sprintf("schema %d, older than this program's %d", there, limits.Schema), "wait: the next report brings it up to date")
	}
}
