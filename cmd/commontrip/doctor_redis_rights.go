package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/commontrip/commontrip/internal/limits"
	redisstore "github.com/commontrip/commontrip/store/redis"
)

// scratch is a name space of its own that the rights to the fleet's keys cover, and the key of its one breaker.
func (d *redisServer) scratch() (prefix, key string) {
	prefix = d.scratchPrefix()
	return prefix, keyOf(prefix, scratchName)
}

func (d *redisServer) channel() string { return d.set.prefix.value + ":events" }

// checkRights tries each command that the store sends, on keys of its own. If it could not take away again what it
// makes, it makes nothing.
func (d *redisServer) checkRights(ctx context.Context) bool {
	_, key := d.scratch()
	set := key + ":set"
	commands := [][]any{
		{"unlink", key, set},
		{"eval", "return redis.call('time')[1]", 1, key},
		{"evalsha", strings.Repeat("0", 40), 1, key}, // no such script; a right that lacks is told before
		{"hset", key, "f", "1", "g"},                 // no value for g: nothing is written
		{"hmget", key, "f"},
		{"hget", key, "f"},
		{"hgetall", key},
		{"hdel", key, "g"},
		{"pexpire", key, 60_000},
		{"persist", key},
		{"exists", key},
		{"srem", set, "m"},
		{"sadd", set, "m"},
		{"smembers", set},
		{"srandmember", set, 1},
		{"publish", d.channel(), "doctor"},
		{"unlink", set},
	}
	var lack lack
	for _, c := range commands {
		word := fmt.Sprint(c[0])
		if word == "sadd" && slices.Contains(lack.commands, "unlink") {
			continue
		}
		err := d.client.Do(ctx, c...).Err()
		if err != nil && !expected(err) && !lack.note(word, err) {
			d.say(problem, "rights", fmt.Sprintf("%s: %v", word, err), adviceFor(err))
			return false
		}
	}
	if len(lack.unknown) > 0 {
		d.say(problem, "rights", "the server does not know "+strings.Join(lack.unknown, ", "), renamed)
		return false
	}
	if denied := lack.String(); denied != "" {
		d.say(problem, "rights", "the server denies "+denied, d.grant(ctx, lack)+lack.further())
		return false
	}
	d.allowed = true
	if d.client.Do(ctx, "acl", "whoami").Val() == "default" && len(secretsOf(d.set.url.value)) == 0 {
		d.say(note, "rights", "all there; the server asks for no password", "if others can reach it, make users of deploy/redis-users.acl")
		return true
	}
	d.say(fine, "rights", "all there", "")
	return true
}

// expected says whether a tried command that may be sent answers like this.
func expected(err error) bool {
	return errors.Is(err, redis.Nil) || strings.HasPrefix(err.Error(), "NOSCRIPT") || strings.Contains(err.Error(), "wrong number of arguments")
}

// checkScripts runs each script on a breaker that nobody knows, and cleans up.
func (d *redisServer) checkScripts(ctx context.Context) bool {
	if !d.allowed {
		d.say(note, "scripts", "not tried without the rights", "see to the rights, and ask the doctor again")
		return false
	}
	prefix, key := d.scratch()
	s, err := redisstore.New(d.client, redisstore.WithPrefix(prefix), redisstore.WithTimeout(d.app.flags.timeout))
	if err != nil {
		d.say(note, "scripts", "not tried: the prefix leaves no room for another name space", "choose a prefix of at most 80 bytes")
		return false
	}
	defer s.Close()
	defer func() { // ctx may have ended
		cleaning, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.app.flags.timeout)
		defer cancel()
		_ = d.client.Unlink(cleaning, key).Err()
	}()
	if step, err := tryVerbs(ctx, s); err != nil {
		advice := adviceFor(err)
		if rightOf(err) == noRight && !unknownCommand(err) {
			advice = "see that the server runs Lua scripts (EVAL), and that all replicas and this program are of one version"
		}
		d.say(problem, "scripts", step+": "+err.Error(), advice)
		return false
	}
	d.say(fine, "scripts", fmt.Sprintf("all run; schema %d", limits.Schema), "")
	return true
}

// checkPush sends a message over the fleet's channel and waits for it.
func (d *redisServer) checkPush(ctx context.Context) bool {
	fail := func(err error, commands ...string) bool {
		lack := lack{commands: commands, channel: rightOf(err) == channelRight}
		if lack.channel {
			lack.commands = nil
		}
		advice := adviceFor(err)
		if rightOf(err) != noRight {
			advice = d.grant(ctx, lack)
		}
		d.say(problem, "push", lateNews+err.Error(), advice)
		return false
	}
	sub := d.client.Subscribe(ctx, d.channel())
	defer sub.Close()
	if _, err := sub.Receive(ctx); err != nil {
		return fail(err, "subscribe", "unsubscribe")
	}
	word := "doctor " + rand.Text()
	begun := time.Now()
	if err := d.client.Publish(ctx, d.channel(), word).Err(); err != nil {
		return fail(err, "publish")
	}
	for {
		m, err := sub.ReceiveMessage(ctx)
		if err != nil {
			d.say(problem, "push", lateNews+"no echo within "+d.app.flags.timeout.String(), "see that nothing between here and the server keeps back pub/sub")
			return false
		}
		if m.Payload == word {
			break
		}
	}
	d.sayEcho(time.Since(begun))
	return true
}
