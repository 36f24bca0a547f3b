package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/commontrip/commontrip/tests/redistest"
)

// The doctor knew the words of 6.2 and 7.0 only: a refusal by a script of Redis 8 was "check the URL".
func TestEachReleasesRefusalIsUnderstood(t *testing.T) {
	for text, want := range map[string]right{
		"NOPERM this user has no permissions to run the 'eval' command or its subcommand":                                  commandRight,
		"NOPERM User weak has no permissions to run the 'eval' command":                                                    commandRight,
		"ERR The user executing the script can't run this command or subcommand":                                           commandRight,
		"ERR ACL failure in script: User weak has no permissions to run the 'hset' command script: 0a, on @user_script:1.": commandRight,
		"NOPERM this user has no permissions to access one of the keys used as arguments":                                  keyRight,
		"NOPERM No permissions to access a key":                                                                            keyRight,
		"NOPERM User weak has no permissions to access the 'a channel:{x}' key":                                            keyRight,
		"ERR The user executing the script can't access at least one of the keys mentioned in the command arguments":       keyRight,
		"ERR ACL failure in script: User weak has no permissions to access the 'k' key script: 0a":                         keyRight,
		"NOPERM this user has no permissions to access one of the channels used as arguments":                              channelRight,
		"NOPERM No permissions to access a channel":                                                                        channelRight,
		"redisstore: ERR ACL failure in script: User weak has no permissions to access the 'commontrip:events' channel":    channelRight,
		"NOSCRIPT No matching script":                          noRight,
		"ERR unknown command 'eval', with args beginning with": noRight,
	} {
		if got := rightOf(errors.New(text)); got != want {
			t.Errorf("%q: %d; want %d", text, got, want)
		}
		if advice := adviceFor(errors.New(text)); want != noRight && !strings.Contains(advice, "rights of deploy/redis-users.acl") {
			t.Errorf("%q: %q", text, advice)
		}
	}
}

// ACL SETUSER with a pattern is refused for a user that has all keys or channels.
func TestTheCommandThatGrantsIsAcceptedAndEnough(t *testing.T) {
	const commands = "+ping +time +eval +evalsha +hget +hmget +hgetall +hset +hdel +exists +unlink +pexpire +persist +sadd +srem +smembers " +
		"+srandmember +publish +subscribe +unsubscribe"
	without := func(lacking ...string) string {
		text := commands + " "
		for _, l := range lacking {
			text = strings.Replace(text, "+"+l+" ", "", 1)
		}
		return strings.TrimSpace(text)
	}
	for name, c := range map[string]struct{ rules, grant string }{
		"all keys and channels": {"~* &* " + without("hset", "persist"), "ACL SETUSER weak +hset +persist"},
		"no keys":               {"~other:* &commontrip:events " + commands, "ACL SETUSER weak ~commontrip:*"},
		"all keys, no channel":  {"~* &other " + commands, "ACL SETUSER weak &commontrip:events"},
		"neither":               {"&other " + commands, "ACL SETUSER weak ~commontrip:* &commontrip:events"},
		"may not subscribe":     {"~* &* -subscribe " + strings.Replace(commands, "+subscribe +unsubscribe", "", 1), "ACL SETUSER weak +subscribe +unsubscribe"},
		"may not publish":       {"~commontrip:* &* " + without("publish"), "ACL SETUSER weak +publish"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := redistest.Start(t)
			rules := append([]string{"ACL", "SETUSER", "weak", "on", ">" + canary, "resetkeys", "resetchannels", "-@all"}, strings.Fields(c.rules)...)
			redisDo(t, srv, "+OK", rules...)
			d := deskAt(t, strings.Replace(srv.URL(), "//", "//weak:cAnaRy-9%23@", 1))
			found := d.examined(ill)
			said := found("rights") + found("push")
			if !strings.Contains(said, "| "+c.grant+"\n") && !strings.Contains(said, "| "+c.grant+";") {
				t.Fatalf("%q; want %q", said, c.grant)
			}
			redisDo(t, srv, "+OK", strings.Fields(c.grant)...)
			found = d.examined(done)
			holds(t, found("rights"), "ok: all there")
			holds(t, found("push"), "the echo took ")
		})
	}
}

func TestTheUserIsThatOfTheServers(t *testing.T) {
	for url, want := range map[string]string{
		"redis://h:1": "default", "redis://:pw@h:1": "default", "redis://pw@h:1": "default", "redis://weak:pw@h:1": "weak",
		"redis://sentinel:pw@h:1?master_name=m&username=weak&password=x": "weak", "redis://s:pw@h:1?master_name=m": "default",
		"unix://weak:pw@/run/redis.sock": "weak",
	} {
		if got := userOf(url); got != want {
			t.Errorf("%s: %q; want %q", url, got, want)
		}
	}
}
