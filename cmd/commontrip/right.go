package main

import (
	"context"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// right is what a user of a server lacks.
type right int

const (
	noRight right = iota // the error is about something else
	commandRight
	keyRight
	channelRight
)

// How the releases word a refusal. A script is refused with other words than a client:
//
//	6.2, 7.0         NOPERM this user has no permissions to run the 'eval' command [or its subcommand]
//	                 NOPERM this user has no permissions to access one of the keys [channels] used as arguments
//	                 ERR The user executing the script can't run this command or subcommand
//	                 ERR The user executing the script can't access at least one of the keys mentioned in the command arguments
//	7.2 on, Valkey   NOPERM User weak has no permissions to run the 'eval' command
//	                 NOPERM No permissions to access a key [channel]
//	                 ERR ACL failure in script: User weak has no permissions to access the 'x' key [channel]
var (
	refused   = regexp.MustCompile(`\bNOPERM\b|ACL failure in script|The user executing the script can't`)
	ofKey     = regexp.MustCompile(`access (one of the keys|at least one of the keys|a key|the '.*' key)`)
	ofChannel = regexp.MustCompile(`access (one of the channels|at least one of the channels|a channel|the '.*' channel)`)
)

// rightOf says which right an error of a server is about.
func rightOf(err error) right {
	switch {
	case err == nil || !refused.MatchString(err.Error()):
		return noRight
	case ofChannel.MatchString(err.Error()):
		return channelRight
	case ofKey.MatchString(err.Error()):
		return keyRight
	default:
		return commandRight
	}
}

// renamed is what to do about a command that a server does not know.
const renamed = "the server has renamed or disabled it (rename-command in its configuration, or its provider did): undo that, since " +
	"commontrip uses the command's own name, or take another server"

// unknownCommand says whether a server, or a script of it, does not know a command.
func unknownCommand(err error) bool {
	text := err.Error()
	return strings.Contains(text, "unknown command") || strings.Contains(text, "Unknown Redis command") || strings.Contains(text, "Unknown command called from script")
}

// lack is what a user lacks to be a replica.
type lack struct {
	commands, unknown []string // denied; not known to the server
	key, channel      bool     // the fleet's are denied
}

// note takes in how a command failed, and says whether that is a lack.
func (l *lack) note(command string, err error) bool {
	list := &l.commands
	switch rightOf(err) {
	case keyRight:
		l.key = true
		return true
	case channelRight:
		l.channel = true
		return true
	case noRight:
		if !unknownCommand(err) {
			return false
		}
		list = &l.unknown
	}
	if !slices.Contains(*list, command) {
		*list = append(*list, command)
	}
	return true
}

// String names what lacks, "" if nothing does.
func (l lack) String() string {
	var parts []string
	if len(l.commands) > 0 {
		parts = append(parts, "+"+strings.Join(l.commands, " +"))
	}
	if l.key {
		parts = append(parts, "the fleet's keys")
	}
	if l.channel {
		parts = append(parts, "its channel")
	}
	return strings.Join(parts, ", ")
}

// further says who needs the commands that lack, and what is not known without them.
func (l lack) further() string {
	switch {
	case len(l.commands) == 0:
		return ""
	case l.key && l.channel:
		return "; a user that is only to look needs none of these commands"
	default:
		return "; then ask the doctor again, who tries keys and channel with these commands. A user that is only to look needs none of them"
	}
}

// grant is the command that gives the user what it lacks, and takes nothing away. A pattern stands in it only if it was
// denied: Redis refuses one for a user that has all keys (~*) or all channels (&*).
func (d *redisServer) grant(ctx context.Context, l lack) string {
	words := []string{"ACL SETUSER", d.user(ctx)}
	for _, command := range l.commands {
		words = append(words, "+"+command)
	}
	if l.key {
		words = append(words, "~"+d.set.prefix.value+":*")
	}
	if l.channel {
		words = append(words, "&"+d.channel())
	}
	return strings.Join(words, " ")
}

// user is the name by which the server knows this program.
func (d *redisServer) user(ctx context.Context) string {
	if name, err := d.client.Do(ctx, "acl", "whoami").Text(); err == nil {
		return name
	}
	return userOf(d.set.url.value)
}

// userOf is the user in a URL, that of the servers and not of Sentinels.
func userOf(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return "default"
	}
	name := u.User.Username()
	if _, set := u.User.Password(); !set { // it is a password that lacks its colon
		name = ""
	}
	if u.Query().Has("master_name") {
		name = u.Query().Get("username")
	}
	if name == "" {
		return "default"
	}
	return name
}
