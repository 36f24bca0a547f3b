// Package redisstore keeps the fleet's verdict in Redis 6.2 or later, or Valkey: one server, Sentinel or Cluster.
//
//	fleet, err := redisstore.Open("redis://redis:6379", redisstore.WithPrefix("payments-prod"))
//	defer fleet.Close()
//	m, err := breaker.NewManager(fleet)
//
// # How it works
//
// A breaker is one hash, and every request one Lua script on it: it reads the clock, judges, writes in one HSET after
// every check and pushes the transition. Redis runs one script at a time, so that no two replicas can make the same
// transition, and no lock is held while a call runs. What many replicas report in one exchange is one pipeline. A script
// that the server does not know is sent whole in the same exchange. See scripts/lua for the scripts, docs/machine.md for
// what each request does, and docs/architecture.md for the decisions behind it.
//
// # URLs
//
//	redis://user:password@host:6379/0                          one server
//	rediss://...                                               the same over TLS, here and below
//	unix:///run/redis.sock?db=0                                one server, over a unix socket
//	redis://host1:6379?addr=host2:6379&addr=host3:6379         Cluster; a single known node: ?addr=host1:6379
//	redis://sentinel1:26379/0?master_name=m&addr=sentinel2:26379&username=u&password=p
//	                                                           Sentinel; the user before the @ is the Sentinels' own
//
// go-redis's other parameters (pool_size, dial_timeout, ...) may follow. [Open] makes a client that obeys contexts and
// sends nothing twice. [New] takes any client; if its settings differ, exchanges are still bounded here: the caller
// returns at the deadline, and at most 64 exchanges of one lane may be left behind in a client that does not. A client of
// Open never reads from replicas, whose copy may be old; do not give New one that does.
//
// # When Redis fails
//
// An error is about the exchange or about one report; it never is a verdict. It comes as an [*Error] that holds the
// client's, as a [*ReplyError] if no script gives such an answer, or as the context's. Any request may be sent again. The
// package logs nothing. go-redis writes failed dials to standard error; [LogClient] gives these lines to the program's own log.
//
// [Store.Watch] has a connection of its own, notices one that has gone silent, and begins again with a Resync. A server
// that denies this user the channel is not an error either: replicas then learn of transitions by their next exchange.
// [Store.Pushes] tells of it.
//
// # Lanes
//
// Names of one lane share their fate. One server is one lane. A Cluster is 32, ranges of 512 slots each: nodes own long
// ranges, so that nearly all lanes lie on one node each, whatever moves.
//
// # What a user of Redis must be allowed
//
// Keys <prefix>:*, channel <prefix>:events, and the commands eval, evalsha, hmget, hget, hgetall, hset, hdel, pexpire,
// persist, unlink, exists, sadd, srem, smembers, srandmember, time, ping, publish, subscribe, unsubscribe and hello; in a
// Cluster also cluster|slots, cluster|shards, command and asking. The eviction policy should be noeviction: a breaker
// that is evicted comes back from what replicas know, but without its window.
package redisstore
