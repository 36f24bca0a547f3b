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
	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
)

// scratch is a name space of its own that the rights to the fleet's keys cover, and the key of its one breaker, "check".
func (d *doctor) scratch() (prefix, key string) {
	prefix = d.set.prefix.value + ":doctor-" + strings.ToLower(rand.Text()[:8])
	return prefix, prefix + ":{check}"
}

func (d *doctor) channel() string { return d.set.prefix.value + ":events" }

// checkRights tries each command that the store sends, on keys of its own. If it could not take away again what it
// makes, it makes nothing.
func (d *doctor) checkRights(ctx context.Context) bool {
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
func (d *doctor) checkScripts(ctx context.Context) bool {
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
	const who = "doctor#check"
	steps := []struct {
		name string
		do   func() error
	}{
		{"sync", func() error {
			return s.Sync(ctx, []store.Report{{
				Name: "check", Replica: who, Seq: 1, MaxAge: time.Minute, Runs: []store.Run{{Outcome: store.Success, Count: 1}},
			}})[0].Err
		}},
		{"command", func() error {
			_, err := s.Command(ctx, store.Command{Name: "check", Action: store.Trip, For: time.Hour, By: who})
			return err
		}},
		{"claim", func() error {
			_, err := s.Claim(ctx, store.Claim{Name: "check", ID: "check", Replica: who, Want: 1})
			return err
		}},
		{"settle", func() error {
			_, err := s.Settle(ctx, store.Settlement{Lease: store.Lease{Name: "check", ID: "none", Generation: 1}, Replica: who, Outcome: store.Ignored})
			return err
		}},
		{"read", func() error {
			x, err := read(ctx, s, "check")
			if err == nil && x.State != store.Open {
				err = fmt.Errorf("a tripped breaker reads %v", x.State)
			}
			return err
		}},
		{"remove", func() error { return s.Remove(ctx, "check") }},
	}
	for _, step := range steps {
		if err := step.do(); err != nil {
			advice := adviceFor(err)
			if rightOf(err) == noRight && !unknownCommand(err) {
				advice = "see that the server runs Lua scripts (EVAL), and that all replicas and this program are of one version"
			}
			d.say(problem, "scripts", step.name+": "+err.Error(), advice)
			return false
		}
	}
	d.say(fine, "scripts", fmt.Sprintf("all run; schema %d", limits.Schema), "")
	return true
}

// checkPush sends a message over the fleet's channel and waits for it.
func (d *doctor) checkPush(ctx context.Context) bool {
	const lost = "replicas learn of transitions only by their next exchange (1s if a breaker is in use): "
	fail := func(err error, commands ...string) bool {
		lack := lack{commands: commands, channel: rightOf(err) == channelRight}
		if lack.channel {
			lack.commands = nil
		}
		advice := adviceFor(err)
		if rightOf(err) != noRight {
			advice = d.grant(ctx, lack)
		}
		d.say(problem, "push", lost+err.Error(), advice)
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
			d.say(problem, "push", lost+"no echo within "+d.app.flags.timeout.String(), "see that nothing between here and the server keeps back pub/sub")
			return false
		}
		if m.Payload == word {
			break
		}
	}
	if took := time.Since(begun); took > slowTrip {
		d.say(note, "push", "the echo took "+span(took), "see the server's load, or run it nearer to its replicas")
	} else {
		d.say(fine, "push", fmt.Sprintf("the echo took less than %v", slowTrip), "")
	}
	return true
}
