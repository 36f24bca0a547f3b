package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	pings     = 5
	slowTrip  = 20 * time.Millisecond // a fifth of what a probe's claim may take
	driftNote = time.Second
)

// checkWay measures the way to the store. Everything else needs it.
func (d *doctor) checkWay(ctx context.Context) bool {
	trips := make([]time.Duration, 0, pings)
	for range pings {
		begun := time.Now()
		if err := d.store.Ping(ctx); err != nil {
			d.say(problem, "way", err.Error(), adviceFor(err))
			return false
		}
		trips = append(trips, time.Since(begun))
	}
	slices.Sort(trips)
	if median := trips[pings/2]; median > slowTrip {
		d.say(note, "way", fmt.Sprintf("a round trip takes more than %v: %s", slowTrip, span(median)),
			"run the store near its replicas: a probe is given up if its claim takes 100ms")
	} else {
		d.say(fine, "way", fmt.Sprintf("a round trip takes less than %v", slowTrip), "")
	}
	return true
}

// adviceFor says what to do about a store that cannot be asked.
func adviceFor(err error) string {
	switch text := err.Error(); {
	case strings.Contains(text, "WRONGPASS"), strings.Contains(text, "NOAUTH"):
		return "put user and password that the server knows into the URL"
	case rightOf(err) != noRight:
		return "give the user the rights of deploy/redis-users.acl"
	case unknownCommand(err):
		return renamed
	case strings.Contains(text, "OOM "):
		return "give the server more memory, or move what else lies there: breakers need little, and none may be evicted"
	case strings.Contains(text, "READONLY"):
		return "this is a replica: ask the master, or let Sentinels name it in the URL"
	case strings.Contains(text, "NOREPLICAS"):
		return "the master wants replicas that it does not have: start them, or lower min-replicas-to-write"
	case strings.Contains(text, "CLUSTERDOWN"):
		return "slots of the Cluster are without a node: see CLUSTER INFO"
	case strings.Contains(text, "no such host"):
		return "check the host in the URL"
	case strings.Contains(text, "refused"):
		return "check host and port in the URL, and that the server runs"
	case strings.Contains(text, "timeout"), errors.Is(err, context.DeadlineExceeded):
		return "check the network and the server's load, or give a longer --timeout"
	default:
		return "check the URL, rediss:// for TLS included, and the server's log"
	}
}

// checkServers looks at each server's version, eviction and clock.
func (d *doctor) checkServers(ctx context.Context) bool {
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

func (d *doctor) checkVersion(n node, info map[string]string) {
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

func (d *doctor) checkEviction(n node, info map[string]string) {
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
func (d *doctor) checkClock(ctx context.Context, n node) {
	begun := time.Now()
	there, err := n.client.Time(ctx).Result()
	if err != nil {
		d.say(problem, "clock", n.name+": "+err.Error(), adviceFor(err))
		return
	}
	offset := there.Sub(begun.Add(time.Since(begun) / 2))
	word := "ahead"
	if offset < 0 {
		word = "behind"
	}
	if offset.Abs() > driftNote {
		d.say(note, "clock", fmt.Sprintf("%s: %s %s of this machine's", n.name, span(offset.Abs()), word),
			"set both by NTP; breakers go by the server's clock alone, but times shown here differ")
	} else {
		d.say(fine, "clock", fmt.Sprintf("%s: within %v of this machine's", n.name, driftNote), "")
	}
}
